"""
Reads provider keys from AWS Secrets Manager and caches them.

All keys are fetched together; a key is renewed while a request runs, and the old value is used as
long as renewing fails. The requests use the gateway's own HTTP engine: importing boto3 would take
longer than starting the whole gateway.
See https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from msgspec import MsgspecError, Struct

from ..config.aws_services import service_endpoint
from ..errors import MissingKey
from ..secret import Secret
from ..transport.credentials import Signer
from ..transport.engine import Engine, EngineError, Outgoing
from ..wire import json
from .endpoints import own_region, send_signed

TTL = 300.0
"""Seconds until a value is fetched again; a random part of up to a fifth is subtracted."""

EMPTY_TTL = 5.0
"""Seconds until a secret that has no value yet is fetched again."""

RENEW_PAUSE = 30.0
"""Seconds between two fetches of a key that its provider rejected."""

DOWN_PAUSE = 1.0
"""Seconds until a key that could not be read at all is fetched again."""

FETCH_TIMEOUT = 5.0
"""Seconds that fetching one key may take."""

RENEWAL_GRACE = 2.0
"""Seconds for which the end of a request waits for renewals that are still running."""


class SecretsLocation(Struct, frozen=True):
    """The service's address and region, and the prefix of the secrets' names."""

    endpoint: str
    region: str
    prefix: str

    @classmethod
    def from_env(cls, env: Mapping[str, str], prefix: str) -> SecretsLocation:
        """The service of the region, or the endpoint that boto3's environment variables name."""
        region = own_region(env)
        return cls(service_endpoint(env, "secretsmanager", region), region, prefix)


class _Entry(Struct):
    texts: tuple[str, ...]
    stale_at: float
    renewed_at: float


class SecretsManager:
    """
    A `SecretSource` that reads each of `names` from the secret `prefix` + name.

    A secret holds one key as plain text, or several as a JSON list; then all of them are valid and
    used in turn. A key whose text is in the config is not fetched.
    """

    def __init__(
        self,
        engine: Engine,
        signer: Signer,
        location: SecretsLocation,
        names: Iterable[str],
        *,
        rng: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._signer = signer
        self._location = location
        self._names = tuple(names)
        self._rng = rng
        self._now = now
        self._entries: dict[str, _Entry] = {}
        self._down_until: dict[str, float] = {}
        self._fetching = asyncio.Lock()
        self._renewals: dict[str, asyncio.Task[None]] = {}

    async def values(self, secret: Secret) -> Sequence[str]:
        """Every key that the secret holds; empty if it has no value yet."""
        if secret.is_known:
            return (secret.reveal() or "",)
        if self._is_missing(secret.name):
            await self._fetch_all()
        entry = self._entries.get(secret.name)
        return entry.texts if entry else ()

    def hint(self, secret: Secret) -> str:
        """What to do if the key is missing."""
        if secret.name in self._entries:
            stack = self._location.prefix.rstrip("/")
            return f"set one with `fanout keys set {secret.name} --stack {stack}`"
        return "Secrets Manager could not be read; try again"

    def is_unavailable(self, secret: Secret) -> bool:
        """Whether the secret could not be read so far."""
        return not secret.is_known and secret.name not in self._entries

    async def renew(self, secret: Secret, rejected: str) -> bool:
        """
        Fetch the secret again after its provider rejected a key; whether it has another key now.

        It is fetched at most every 30 s. Of several calls with the same rejected key only one
        fetches it, and the others use the result.
        """
        async with self._fetching:
            entry = self._entries.get(secret.name)
            if entry is None:
                return False
            if rejected in entry.texts and self._now() - entry.renewed_at >= RENEW_PAUSE:
                entry.renewed_at = self._now()
                await self._fetch(secret.name)
            texts = self._entries[secret.name].texts
            return bool(texts) and rejected not in texts

    @asynccontextmanager
    async def renewing(self) -> AsyncIterator[None]:
        """
        Renew stale keys while the block runs; the block itself does not wait for them.

        All renewals have ended or are cancelled when the block is left: AWS freezes a Lambda
        between two requests, so no task may outlive its request. Of blocks that run at the same
        time, one renews a key.
        """
        stale = [
            name
            for name, entry in self._entries.items()
            if entry.stale_at <= self._now() and not self._is_being_renewed(name)
        ]
        if not stale:
            yield
            return
        async with asyncio.TaskGroup() as group:
            renewals = {name: group.create_task(self._fetch(name)) for name in stale}
            self._renewals |= renewals
            try:
                yield
                await asyncio.wait(renewals.values(), timeout=RENEWAL_GRACE)
            finally:
                for renewal in renewals.values():
                    renewal.cancel()

    def _is_being_renewed(self, name: str) -> bool:
        renewal = self._renewals.get(name)
        return renewal is not None and not renewal.done()

    async def _fetch_all(self) -> None:
        """Fetch every missing secret at once; several requests that need one share the fetch."""
        async with self._fetching:
            missing = [name for name in self._names if self._is_missing(name)]
            async with asyncio.TaskGroup() as group:
                for name in missing:
                    group.create_task(self._fetch(name))

    def _is_missing(self, name: str) -> bool:
        entry = self._entries.get(name)
        if entry is None:
            return self._down_until.get(name, -math.inf) <= self._now()
        return not entry.texts and entry.stale_at <= self._now()

    async def _fetch(self, name: str) -> None:
        """Read a secret into the cache; if that fails, the old value stays."""
        now = self._now()
        texts = await self._read(name)
        entry = self._entries.get(name)
        if texts is not None:
            ttl = TTL * (1 - 0.2 * self._rng()) if texts else EMPTY_TTL
            renewed_at = entry.renewed_at if entry else -math.inf
            self._entries[name] = _Entry(texts, now + ttl, renewed_at)
        elif entry:
            entry.stale_at = now + RENEW_PAUSE
        else:
            self._down_until[name] = self._now() + DOWN_PAUSE

    async def _read(self, name: str) -> tuple[str, ...] | None:
        """The keys in the secret, empty if it has no value; `None` if it could not be read."""
        location = self._location
        body = json.encode({"SecretId": location.prefix + name})
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "secretsmanager.GetSecretValue",
        }
        request = Outgoing("POST", f"{location.endpoint}/", headers, body)
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                response = await send_signed(
                    self._engine, self._signer, "secretsmanager", location.region, request
                )
        except (EngineError, MissingKey, TimeoutError):
            return None
        if response.status != 200:  # noqa: PLR2004
            return () if b"ResourceNotFound" in response.body else None
        try:
            secret = json.decode(response.body, type=_SecretValue)
        except MsgspecError:
            return None
        return parse_keys(secret.SecretString or "")


class _SecretValue(Struct, frozen=True):
    SecretString: str | None = None


def parse_keys(text: str) -> tuple[str, ...]:
    """The keys in a secret's text: one key in plain text, or a JSON list of keys."""
    text = text.strip()
    if text.startswith("["):
        try:
            return tuple(key for key in json.decode(text.encode(), type=list[str]) if key)
        except MsgspecError:
            pass
    return (text,) if text else ()
