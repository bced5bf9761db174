"""
Remembers the response to a request with an `Idempotency-Key`, for a day.

While the request is served, its record has a lease that is renewed. So if the process is killed,
the key is free again after a minute. See
https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ...errors import KeyInUse, KeyReused, ResponseLost, StorageError
from ...secret import HiddenRepr
from ...wire import json
from ..store import BlobStore, RecordStore

KIND = "idempotency"
LIFETIME = 24 * 3600
"""Seconds for which a response is remembered."""

LEASE, RENEWAL = 60.0, 20.0
"""Seconds of a lease, and between two renewals."""

MAX_INLINE = 32 * 1024
"""Bytes of a response that are stored in the record; a longer one is a blob."""

PAGE = 100
"""Records that are read at a time to find the expired ones."""


class StoredResponse(HiddenRepr, frozen=True):
    """A whole response: the bytes are `body`, or the blob `key`."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    key: str | None = None


class Record(HiddenRepr, frozen=True, kw_only=True):
    """
    What is known of a key; times are in seconds since 1970.

    `fingerprint` is that of the request. Without a `response`, the request `holder` is being served
    until `lease_until`, or has been released; or its response is `lost`.
    """

    fingerprint: str
    holder: str
    expires_at: float
    lease_until: float = 0.0
    response: StoredResponse | None = None
    lost: bool = False


class Claim(Struct):
    """The right to serve the request of a key; `raw` is the record as it is stored."""

    key: str
    record: Record
    raw: bytes


class IdempotencyStore:
    """The keys of all clients, in the tables of files and jobs."""

    def __init__(self, table: RecordStore, blobs: BlobStore, now: Callable[[], float]) -> None:
        self._table = table
        self._blobs = blobs
        self._now = now
        self._lost: dict[str, Record] = {}  # what no table had room for

    async def begin(self, client: str, name: str, fingerprint: str) -> Claim | StoredResponse:
        """
        Claim a client's key `name` for a request, or return the response that it has.

        Raises `KeyInUse` while a request with it is served, `KeyReused` for another request, and
        `ResponseLost` if its response could not be stored.
        """
        key = hashlib.sha256(f"{client}\0{name}".encode()).hexdigest()
        while True:
            raw = await self._table.get(KIND, key)
            record = self._lost.get(key) or (None if raw is None else _decode(raw))
            if record is not None and self._counts(record):
                if record.fingerprint != fingerprint:
                    raise KeyReused(
                        "this `Idempotency-Key` was sent with another request in the last 24 hours:"
                        " use a new key for each request"
                    )
                if record.lost:
                    await self._note_lost(key, raw)
                    raise ResponseLost(
                        "the request with this `Idempotency-Key` was served, but its response could"
                        " not be stored, so it cannot be sent again: to pay for another one, use a"
                        " new key"
                    )
                if record.response is None:
                    raise KeyInUse(
                        "the first request with this `Idempotency-Key` is being served: try again"
                    )
                return record.response
            self._lost.pop(key, None)
            claim = await self._claim(key, fingerprint, raw)
            if claim is not None:
                return claim

    def _counts(self, record: Record) -> bool:
        now = self._now()
        if record.response is None and not record.lost:
            return record.lease_until > now
        return record.expires_at > now

    async def _claim(self, key: str, fingerprint: str, old: bytes | None) -> Claim | None:
        now = self._now()
        record = Record(
            fingerprint=fingerprint,
            holder=secrets.token_hex(8),
            expires_at=now + LIFETIME,
            lease_until=now + LEASE,
        )
        claim = Claim(key, record, json.encode(record))
        return claim if await self._table.put(KIND, key, claim.raw, old) else None

    async def renew(self, claim: Claim) -> None:
        """Extend the lease."""
        await self._write(claim, replace(claim.record, lease_until=self._now() + LEASE))

    async def release(self, claim: Claim) -> None:
        """Forget the request: the next one with the key is served."""
        await self._write(claim, replace(claim.record, lease_until=0.0))

    async def finish(
        self, claim: Claim, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Remember the response."""
        response = StoredResponse(status, dict(headers), body)
        if len(body) > MAX_INLINE:
            blob = f"idempotency/{claim.key}-{claim.record.holder}"
            await self._blobs.write(blob, _once(body))
            response = StoredResponse(status, dict(headers), key=blob)
        expires_at = self._now() + LIFETIME
        await self._write(claim, replace(claim.record, expires_at=expires_at, response=response))

    async def lose(self, claim: Claim) -> None:
        """
        Remember that the response could not be stored, so that it is not paid for again.

        If there is no room for that either, this process remembers it, and writes it later.
        """
        expires_at = self._now() + LIFETIME
        record = replace(claim.record, expires_at=expires_at, lost=True)
        try:
            await self._write(claim, record)
        except StorageError:
            self._lost[claim.key] = record

    async def _note_lost(self, key: str, old: bytes | None) -> None:
        """Write what only this process remembers."""
        if (record := self._lost.get(key)) is not None:
            with suppress(StorageError):
                await self._table.put(KIND, key, json.encode(record), old)
                del self._lost[key]

    async def _write(self, claim: Claim, record: Record) -> None:
        """Write the record, unless another request has taken over the key."""
        raw = json.encode(record)
        if await self._table.put(KIND, claim.key, raw, claim.raw):
            claim.record, claim.raw = record, raw

    def body(self, response: StoredResponse) -> AsyncIterator[bytes]:
        """The bytes of a response."""
        return _once(response.body) if response.key is None else self._blobs.read(response.key)

    async def delete_expired(self) -> None:
        """Delete what counts no more; a stack's table and bucket do that by themselves."""
        after: str | None = None
        while rows := await self._table.list(KIND, after=after, limit=PAGE, newest_first=False):
            for key, raw in rows:
                record = _decode(raw)
                if record is not None and self._counts(record):
                    continue
                if record is not None and record.response is not None and record.response.key:
                    with suppress(FileNotFoundError):
                        await self._blobs.delete(record.response.key)
                await self._table.delete(KIND, key)
            after = rows[-1][0]


def _decode(raw: bytes) -> Record | None:
    """The record; `None` if it cannot be read: then the key is free."""
    try:
        return json.decode(raw, type=Record)
    except (ValueError, TypeError, msgspec.MsgspecError):
        return None


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
