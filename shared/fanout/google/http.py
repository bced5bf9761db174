"""
The requests of google-auth, sent with the standard library.

Its own ways to send them need requests or urllib3. This one runs in the thread of the refresh.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from ..transport.engine import ConnectFailed, connect_failed

TIMEOUT = 10.0
"""Seconds after which a request fails; google-auth asks for up to 120."""

MAX_BYTES = 1_000_000
"""The size limit of a response: a token has some kilobytes."""

PIECE = 65_536


class Response(Struct, frozen=True):
    """What google-auth reads of a response."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class Sender:
    """
    Sends the requests for a token.

    `host` is the server that was called last, and `waits` whether that has sent no response.
    """

    def __init__(self) -> None:
        self.host = ""
        self.waits = False

    def __call__(self, url: str, *args: Any, **options: Any) -> Response:
        self.host, self.waits = urlsplit(url).hostname or "", True
        response = send(url, *args, **options)
        self.waits = False
        return response

    def failed(self, error: BaseException, reason: str = "") -> ConnectFailed:
        """The error of a request that had no response, or none that counts for this `reason`."""
        texts: list[str] = []
        cause: BaseException | None = error
        while cause is not None:
            texts.append(str(cause))
            cause = cause.__cause__ or cause.__context__
        named = f"Google's token server `{self.host}`" if self.host else "Google's token server"
        return ConnectFailed(reason=reason or connect_failed(" ".join(texts)).reason, server=named)


def send(
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_unused: Any,
) -> Response:
    """Send a request; raises google-auth's `TransportError` if there is no response."""
    from google.auth.exceptions import TransportError

    if not url.startswith(("https://", "http://")):
        raise TransportError("not a web address")
    data = body.encode() if isinstance(body, str) else body
    seconds = min(timeout or TIMEOUT, TIMEOUT)
    until = monotonic() + seconds
    request = urllib.request.Request(url, data, dict(headers or {}), method=method)  # noqa: S310
    try:
        try:
            with urllib.request.urlopen(request, timeout=seconds) as got:  # noqa: S310
                return Response(got.status, _headers(got), _read(got, until))
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, _headers(error), _read(error.fp, until))
    except (OSError, http.client.HTTPException) as error:
        raise TransportError(type(error).__name__) from error


def _headers(response: Any) -> dict[str, str]:
    """The headers with names in lower case, in which google-auth looks for them."""
    return {name.lower(): value for name, value in response.headers.items()}


def _read(response: Any, until: float) -> bytes:
    """The whole body; raises `OSError` if it is too large, or not complete in time."""
    body = bytearray()
    while piece := response.read1(PIECE):
        body += piece
        if len(body) > MAX_BYTES:
            raise OSError(f"a response of more than {MAX_BYTES} bytes")
        if monotonic() > until:
            raise TimeoutError
    return bytes(body)
