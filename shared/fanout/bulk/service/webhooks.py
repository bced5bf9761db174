"""
A job's webhook: what is sent at the job's end, how it is signed, and when it is sent again.

The headers are those of Standard Webhooks, the events OpenAI's; see
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md and
https://platform.openai.com/docs/guides/webhooks (2026-11).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from ...config.catalog import Catalog
from ...errors import RequestError
from ...secret import HiddenRepr
from ...transport.address_rules import AddressRules
from ...wire import json

MAX_URL = 2_048
REFERENCE = "os.environ/"
SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

DELAYS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 28_800)
"""Seconds after each failed attempt but the last; together 23.7 hours."""

GONE = 410
"""The status by which a receiver says that it wants no further attempt (Standard Webhooks)."""

ENCODED = "whsec_"
"""What a secret in base64 begins with; any other is used as it is."""


class FieldNames(Struct, frozen=True):
    """What errors call the address and the secret."""

    url: str = "fanout.webhook.url"
    secret: str = "fanout.webhook.secret"  # noqa: S105 -- a field


FIELDS = FieldNames()


class NewWebhook(HiddenRepr, frozen=True, kw_only=True):
    """`fanout.webhook` of a batch: an address, and the name of the secret that signs."""

    url: str
    secret: str


class Webhook(HiddenRepr, frozen=True, kw_only=True):
    """
    A job's webhook, and how far its delivery is. Times are in seconds since 1970.

    `secret` is a name in the environment or in Secrets Manager, never the secret. `next_at` is when
    the next attempt may start, `error` why the last one failed.
    """

    url: str
    secret: str
    attempts: int = 0
    next_at: float = 0.0
    delivered_at: int | None = None
    failed_at: int | None = None
    error: str | None = None

    @property
    def is_ended(self) -> bool:
        """Whether it is delivered or given up."""
        return self.delivered_at is not None or self.failed_at is not None

    def restarted(self) -> Webhook:
        """The same for another job."""
        return Webhook(url=self.url, secret=self.secret)

    def to_dict(self) -> dict[str, object]:
        """`fanout.webhook` of a batch object."""
        return {
            "url": self.url,
            "attempts": self.attempts,
            "delivered_at": self.delivered_at,
            "failed_at": self.failed_at,
            "error": self.error,
        }


class WebhookRules(Struct, frozen=True):
    """
    What webhooks a gateway accepts: the names of its `secrets`, and the addresses.

    `secrets` is `None` if any variable of the environment may be one, as for the command line.
    """

    addresses: AddressRules
    secrets: frozenset[str] | None = None


def rules_of(catalog: Catalog) -> WebhookRules:
    """
    The rules of a config.

    A gateway without client keys serves its own user, who may use this machine's servers.
    """
    general, is_own = catalog.general, not catalog.client_keys
    private = general.webhook_private_addresses
    return WebhookRules(
        AddressRules(private=private, loopback=private or is_own),
        frozenset(general.webhook_secrets),
    )


def check_webhook(new: NewWebhook, rules: WebhookRules, names: FieldNames = FIELDS) -> Webhook:
    """The webhook; raises `RequestError` if its address or its secret may not be used."""
    _check_address(new.url, rules.addresses, names.url)
    name = new.secret.removeprefix(REFERENCE)
    if not SECRET_NAME.fullmatch(name):
        raise RequestError(
            f"`{names.secret}` must be the name of a secret, such as `{REFERENCE}WEBHOOK_SECRET`, "
            "not the secret itself",
            names.secret,
        )
    if rules.secrets is not None and name not in rules.secrets:
        raise RequestError(
            f"`{names.secret}` must be one of the gateway's `general_settings.webhook_secrets`",
            names.secret,
        )
    return Webhook(url=new.url, secret=name)


def _check_address(url: str, rules: AddressRules, name: str) -> None:
    """Raise `RequestError` for an address that may not be used whatever its host resolves to."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises `ValueError` for a wrong one
    except ValueError:
        raise RequestError(f"`{name}` is not a URL", name) from None
    is_plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL
    if not is_plain or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RequestError(
            f"`{name}` must be an `https` URL in ASCII of at most {MAX_URL} characters", name
        )
    if parts.username is not None or parts.password is not None or parts.fragment:
        message = "must have no user, password or fragment; the signature proves the sender"
        raise RequestError(f"`{name}` {message}", name)
    host = parts.hostname
    if not _is_host_name(host):
        raise RequestError(
            f"`{name}` has no possible host name: between its dots are 1 to {MAX_LABEL} characters",
            name,
        )
    is_local = host == "localhost" or rules.is_loopback(host)
    if parts.scheme == "http" and not (rules.private or (rules.loopback and is_local)):
        raise RequestError(f"`{name}` must begin with `https://`", name)
    if (is_local and not rules.loopback) or not rules.allows_name(host):
        raise RequestError(
            f"`{name}` must be a public address; "
            "`general_settings.webhook_private_addresses` allows others",
            name,
        )


MAX_HOST, MAX_LABEL = 253, 63
"""Characters of a host name, and between two of its dots (RFC 1035)."""


def _is_host_name(host: str) -> bool:
    """Whether it is an IPv6 address, or a name whose labels have a possible length (RFC 1035)."""
    labels = host.removesuffix(".").split(".")
    is_short = len(host) <= MAX_HOST and all(0 < len(label) <= MAX_LABEL for label in labels)
    return ":" in host or is_short


# ---- what is sent ----


def event_body(job_id: str, status: str, ended_at: int) -> bytes:
    """OpenAI's event of a batch that ended; `status` is the batch's."""
    return json.encode(
        {
            "id": event_id(job_id),
            "object": "event",
            "created_at": ended_at,
            "type": f"batch.{status}",
            "data": {"id": job_id},
        }
    )


def event_id(job_id: str) -> str:
    """The event's id and `webhook-id`: the same in each attempt, since a job ends once."""
    return f"evt_{job_id.removeprefix('batch_')}"


def signed_headers(
    webhook_id: str, timestamp: int, body: bytes, secrets: Sequence[str]
) -> Mapping[str, str]:
    """The headers, with one signature for each secret; raises `ValueError` for a wrong secret."""
    text = f"{webhook_id}.{timestamp}.".encode() + body
    digests = [hmac.digest(_key(secret), text, hashlib.sha256) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "fanout",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in digests),
    }


def _key(secret: str) -> bytes:
    if not secret.startswith(ENCODED):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(ENCODED), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
