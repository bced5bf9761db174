"""Checks the gateway's own keys: bearer tokens, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from ..config import model
from ..config.resolve import ClientKey
from ..errors import FanoutError, Unauthorized
from ..transport.credentials import SecretSource

ANONYMOUS = ClientKey(model.ANONYMOUS, None)
"""Every client of a gateway without keys, which serves this machine only."""


class KeysUnavailable(FanoutError):
    """The key cannot be checked, because Secrets Manager does not respond."""

    status = 503
    type = "server_error"
    code = "keys_unavailable"
    retry_after = 1.0


class Authenticator:
    """Finds the client that a request's key belongs to."""

    def __init__(self, client_keys: Sequence[ClientKey], secrets: SecretSource) -> None:
        self._client_keys = client_keys
        self._secrets = secrets

    async def authenticate(self, authorization: str | None) -> ClientKey:
        """
        The client whose key the `authorization` header has.

        Raises `Unauthorized` if no key matches, `KeysUnavailable` if keys could not be read. Every
        key is compared, even after a match, so that timing reveals nothing.
        """
        if not self._client_keys:
            return ANONYMOUS
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized(
                "the API key is missing: send the gateway's key as `Authorization: Bearer KEY`",
                None,
            )
        given = token.strip().encode("latin-1")  # the header's bytes: ASGI decodes them so
        found: ClientKey | None = None
        for client in self._client_keys:
            for text in await self._secrets.values(client.secret) if client.secret else ():
                if hmac.compare_digest(text.encode(), given):
                    found = client
        if found is None and any(
            c.secret and self._secrets.is_unavailable(c.secret) for c in self._client_keys
        ):
            raise KeysUnavailable("the gateway cannot read its own keys right now; try again")
        if found is None:
            raise Unauthorized("the API key is not one of the gateway's keys", None)
        return found
