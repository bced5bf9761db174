"""
Keys out of AWS Secrets Manager, cached: fetched together, renewed beside a request, served stale
while a renewal fails.

Speaks the service's JSON protocol over the gateway's own engine, since boto3 would cost more
start-up time than the whole gateway.
See https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from msgspec import MsgspecError, Struct

from ..errors import MissingKey
from ..secret import Secret
from ..transport.credentials import Signer
from ..transport.engine import Engine, EngineError, Outgoing
from ..wire import json

TTL = 300.0
"""Seconds that a value is used before it is looked up anew, less up to a fifth by chance."""

EMPTY_TTL = 5.0
"""Seconds after which a secret that has no value yet is looked up again."""

RENEW_PAUSE = 30.0
"""Seconds between two look-ups of one name that refused keys ask for."""

DOWN_PAUSE = 1.0
"""Seconds in which nobody asks again for a name that could not be read: requests come on."""

LOOK_UP = 5.0
"""Seconds that one look-up may take."""

PATIENCE = 2.0
"""Seconds that a request may end later because a renewal beside it is still under way."""


class Place(Struct, frozen=True):
    """Where the secrets are: the service's address and region, and what their names begin with."""

    endpoint: str
    region: str
    prefix: str

    @classmethod
    def of(cls, env: Mapping[str, str], prefix: str) -> Place:
        """The region's own service, or the endpoint that the environment names, as boto3's."""
        region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
        named = env.get("AWS_ENDPOINT_URL_SECRETS_MANAGER") or env.get("AWS_ENDPOINT_URL")
        domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return cls(named or f"https://secretsmanager.{region}.{domain}", region, prefix)


class _Entry(Struct):
    texts: tuple[str, ...]
    stale_at: float
    renewed_at: float


class SecretsManager:
    """
    A `SecretSource` of `names`, each a secret called `prefix` + name.

    A secret holds one key as plain text, or several as a JSON list: then all are valid, and used
    in turn. A name that the config gives a text for is not looked up.
    """

    def __init__(
        self,
        engine: Engine,
        signer: Signer,
        place: Place,
        names: Iterable[str],
        *,
        draw: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._signer = signer
        self._place = place
        self._names = tuple(names)
        self._draw = draw
        self._now = now
        self._entries: dict[str, _Entry] = {}
        self._down_until: dict[str, float] = {}
        self._fetching = asyncio.Lock()

    async def texts(self, secret: Secret) -> Sequence[str]:
        """Every key under the secret's name; none if it has no value yet."""
        if secret.is_known:
            return (secret.reveal() or "",)
        if self._is_missing(secret.name):
            await self._fetch_all()
        entry = self._entries.get(secret.name)
        return entry.texts if entry else ()

    def advice(self, secret: Secret) -> str:
        """How the key gets there."""
        if secret.name in self._entries:
            stack = self._place.prefix.rstrip("/")
            return f"give it one: `fanout keys set {secret.name} --stack {stack}`"
        return "Secrets Manager could not be read just now"

    def is_down(self, secret: Secret) -> bool:
        """Whether the name has never been read."""
        return not secret.is_known and secret.name not in self._entries

    async def renew(self, secret: Secret, refused: str) -> bool:
        """
        Look the name up anew, at most each 30 s; whether it now has another key.

        Of callers with the same refused key one looks, and the others find what it has found.
        """
        async with self._fetching:
            entry = self._entries.get(secret.name)
            if entry is None:
                return False
            if refused in entry.texts and self._now() - entry.renewed_at >= RENEW_PAUSE:
                entry.renewed_at = self._now()
                await self._fetch(secret.name)
            texts = self._entries[secret.name].texts
            return bool(texts) and refused not in texts

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[None]:
        """
        Renew what is due beside the block, which does not wait for it.

        It is over, or given up, when the block has been left: a Lambda is frozen between requests,
        and nothing of a request may outlive it.
        """
        due = [name for name, e in self._entries.items() if e.stale_at <= self._now()]
        if not due:
            yield
            return
        async with asyncio.TaskGroup() as group:
            renewals = [group.create_task(self._fetch(name)) for name in due]
            try:
                yield
                await asyncio.wait(renewals, timeout=PATIENCE)
            finally:
                for renewal in renewals:
                    renewal.cancel()

    async def _fetch_all(self) -> None:
        """Every name that is not there yet, at once; of callers that wait, one asks."""
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
        """One secret's value into the cache; where it cannot be had, the old one stays."""
        now = self._now()
        texts = await self._value(name)
        entry = self._entries.get(name)
        if texts is not None:
            lasts = TTL * (1 - 0.2 * self._draw()) if texts else EMPTY_TTL
            renewed_at = entry.renewed_at if entry else -math.inf
            self._entries[name] = _Entry(texts, now + lasts, renewed_at)
        elif entry:
            entry.stale_at = now + RENEW_PAUSE
        else:
            self._down_until[name] = self._now() + DOWN_PAUSE

    async def _value(self, name: str) -> tuple[str, ...] | None:
        """The keys in the secret, none if it holds nothing; `None` if nobody could say."""
        body = json.encode({"SecretId": self._place.prefix + name})
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "secretsmanager.GetSecretValue",
        }
        request = Outgoing("POST", f"{self._place.endpoint}/", headers, body)
        try:
            async with asyncio.timeout(LOOK_UP):
                signed = await self._signer.headers(request, "secretsmanager", self._place.region)
                reply = await self._engine.send(
                    Outgoing(request.method, request.url, {**headers, **signed}, body)
                )
        except (EngineError, MissingKey, TimeoutError):
            return None
        if reply.status != 200:  # noqa: PLR2004
            return () if b"ResourceNotFound" in reply.body else None
        try:
            answer = json.decode(reply.body, type=_Value)
        except MsgspecError:
            return None
        return parse_keys(answer.SecretString or "")


class _Value(Struct, frozen=True):
    SecretString: str | None = None


def parse_keys(text: str) -> tuple[str, ...]:
    """One key as it is, or a JSON list of keys."""
    text = text.strip()
    if text.startswith("["):
        try:
            return tuple(key for key in json.decode(text.encode(), type=list[str]) if key)
        except MsgspecError:
            pass
    return (text,) if text else ()
