"""
Signs requests to AWS (Signature Version 4): a pure function of request, credentials and time.

See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
Does not depend on where credentials come from or how a request is sent.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

from ..secret import HiddenRepr

ALGORITHM = "AWS4-HMAC-SHA256"
# Headers that clients and proxies add or change on the way.
_UNSIGNED = frozenset(
    {"authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"}
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Credentials(HiddenRepr, frozen=True):
    """An AWS access key; its repr shows no secrets."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(access_key={self.access_key!r})"


def sign(  # noqa: PLR0913, PLR0917 - the signature depends on all of them
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """
    Return the headers to add to the request, including `authorization`.

    `url` must be percent-encoded, as it is sent; a space in its query is `%20`, never `+`. All
    `headers` are signed, so they must be sent unchanged. For S3 the hash of the body is added;
    `x-amz-content-sha256` in `headers` (such as `UNSIGNED-PAYLOAD`) replaces it.
    """
    if now.tzinfo is None:
        raise ValueError("`now` must have a time zone")
    parts = urlsplit(url)
    time = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    given = {name.lower(): value for name, value in headers.items()}
    body_hash = given.get("x-amz-content-sha256") or sha256(body).hexdigest()
    added = {"x-amz-date": time}
    if credentials.session_token:
        added["x-amz-security-token"] = credentials.session_token
    if service == "s3":
        added["x-amz-content-sha256"] = body_hash
    signed = {"host": _host(parts), **given, **added}
    names = sorted(signed.keys() - _UNSIGNED)
    lines = [f"{name}:{' '.join(signed[name].split())}" for name in names]
    head = (method.upper(), _path(parts.path, service), _query(parts.query))
    canonical = "\n".join((*head, *lines, "", ";".join(names), body_hash))
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, time, scope, sha256(canonical.encode()).hexdigest()))
    signature = _hmac(_key(credentials.secret_key, scope), to_sign).hex()
    added["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return added


def _host(parts: SplitResult) -> str:
    """The `host` header as clients send it: without the scheme's default port."""
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    return host if port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{host}:{port}"


def _path(path: str, service: str) -> str:
    """The canonical path: for S3 encoded once, for other services normalized and encoded twice."""
    if service == "s3":
        return quote(unquote_to_bytes(path), safe="/-_.~") or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    end = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return quote("/" + "/".join(kept) + end, safe="/-_.~")


def _query(query: str) -> str:
    """The canonical query: names and values encoded, sorted by name and value."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    encoded = sorted((_encode(name), _encode(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encode(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def _key(secret_key: str, scope: str) -> bytes:
    """The signing key for one day, region and service."""
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")
