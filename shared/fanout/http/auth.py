"""Checks the gateway's own keys, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..config import model
from ..config.catalog import ClientKey
from ..errors import FanoutError, StorageFull, Unauthorized
from ..transport.credentials import SecretSource
from .asgi import Headers

if TYPE_CHECKING:
    from ..keys.ledger import KeyLedger

ANONYMOUS = ClientKey(model.ANONYMOUS, None)
"""Every client of a gateway without keys, which serves this machine only."""


KEY_HEADERS = (
    "x-litellm-api-key",
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
)
"""
Where a client may send its key, and which counts if several are there: the first one.

LiteLLM's comes first, because its clients send another service's key in `authorization` beside it.
The others are those of clients of Azure, Anthropic and Gemini, and of Azure's API Management.
"""


class KeysUnavailable(FanoutError):
    """The key cannot be checked: Secrets Manager or the store of virtual keys does not respond."""

    status = 503
    type = "server_error"
    code = "keys_unavailable"
    retry_after = 1.0

    def __init__(self, message: str = "the gateway cannot read its keys; try again") -> None:
        super().__init__(message)


def unavailable(error: FanoutError) -> KeysUnavailable:
    """What a client gets if the store of virtual keys has failed with `error`."""
    if not isinstance(error, StorageFull):
        return KeysUnavailable()
    return KeysUnavailable(
        "the gateway's storage is full, so it cannot count what a virtual key spends; "
        "deleting files makes room"
    )


class Authenticator:
    """
    Finds the client that a request's key belongs to: one of the config's, or a virtual key.

    `open_keys` opens the ledger of virtual keys, when it is first needed.
    """

    def __init__(
        self,
        client_keys: Sequence[ClientKey],
        secrets: SecretSource,
        open_keys: Callable[[], KeyLedger] | None = None,
    ) -> None:
        self._client_keys = client_keys
        self._secrets = secrets
        self._open_keys = open_keys
        self._ledger: KeyLedger | None = None

    @property
    def keys(self) -> Callable[[], KeyLedger] | None:
        """What returns the ledger; `None` if there are no virtual keys."""
        return None if self._open_keys is None else self._opened

    def _opened(self) -> KeyLedger:
        if self._ledger is None:
            if self._open_keys is None:
                raise AssertionError("there are virtual keys")
            self._ledger = self._open_keys()
        return self._ledger

    async def close(self) -> None:
        """Close the store of virtual keys, if it was opened."""
        if self._ledger is not None:
            await self._ledger.late.close()
            self._ledger.store.close()

    async def authenticate(self, headers: Headers) -> ClientKey:
        """
        The client whose key is in one of `KEY_HEADERS`.

        Raises `Unauthorized` if no key matches, `KeysUnavailable` if keys could not be read. Every
        key is compared, even after a match, so that timing reveals nothing.
        """
        if not self._client_keys:
            return ANONYMOUS
        key = given_key(headers)
        if not key:
            raise Unauthorized(
                "the API key is missing: send the gateway's key as `Authorization: Bearer KEY`",
                None,
            )
        found = await self._in_config(key)
        if found is None and self._open_keys is not None:
            found = await self._virtual(key)
        if found is None and any(
            c.secret and self._secrets.is_unavailable(c.secret) for c in self._client_keys
        ):
            raise KeysUnavailable("the gateway cannot read its own keys right now; try again")
        if found is None:
            raise Unauthorized("the API key is not one of the gateway's keys", None)
        return found

    async def is_config_key(self, key: str) -> bool:
        """Whether this is a key of the config, which cannot be a virtual key as well."""
        return await self._in_config(key) is not None

    async def _in_config(self, key: str) -> ClientKey | None:
        given = key.encode("latin-1")  # the header's bytes: ASGI decodes them so
        found: ClientKey | None = None
        for client in self._client_keys:
            for text in await self._secrets.values(client.secret) if client.secret else ():
                if hmac.compare_digest(text.encode(), given):
                    found = client
        return found

    async def _virtual(self, key: str) -> ClientKey | None:
        """The client of a virtual key."""
        from ..keys.clients import authenticate

        try:
            return await authenticate(self._opened(), key)
        except Unauthorized:
            return None
        except FanoutError as error:  # of the store
            raise unavailable(error) from error


def given_key(headers: Headers) -> str:
    """The key that a request has, or nothing. `Bearer` is optional, except in `authorization`."""
    for name in KEY_HEADERS:
        scheme, _, token = (value := headers.get(name, "").strip()).partition(" ")
        is_bearer = scheme.lower() == "bearer"
        if is_bearer or (value and name != "authorization"):
            return token.strip() if is_bearer else value
    return ""
