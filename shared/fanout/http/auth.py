"""Who may ask: bearer keys, compared in constant time. Knows nothing of routes."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Sequence

from ..config.resolve import CallerKey
from ..errors import FanoutError, Forbidden, Unauthorized
from ..transport.credentials import SecretSource

ANYONE = CallerKey("anyone", None)
"""The caller of a gateway that has no keys at all: it serves this machine only."""


class KeysUnavailable(FanoutError):
    """Whether the key is one of ours nobody can say: where they are kept does not answer."""

    status = 503
    type = "server_error"
    code = "keys_unavailable"
    retry_after = 1.0


class Access:
    """The gateway's own keys."""

    def __init__(self, callers: Sequence[CallerKey], secrets: SecretSource) -> None:
        self._callers = callers
        self._secrets = secrets

    async def caller(self, authorization: str | None) -> CallerKey:
        """
        Whose key `authorization` holds; `Unauthorized` if it is nobody's, `KeysUnavailable` where
        that cannot be known.

        Every key is compared, whichever fits, so that the time tells nothing.
        """
        if not self._callers:
            return ANYONE
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized(
                "no API key: send the gateway's key as `Authorization: Bearer KEY`", None
            )
        given = token.strip().encode("latin-1")  # as ASGI has it: the bytes as they came
        found: CallerKey | None = None
        for caller in self._callers:
            for text in await self._secrets.texts(caller.secret) if caller.secret else ():
                if hmac.compare_digest(text.encode(), given):
                    found = caller
        if found is None and any(
            c.secret and self._secrets.is_down(c.secret) for c in self._callers
        ):
            raise KeysUnavailable("the gateway's own keys cannot be read just now; try again")
        if found is None:
            raise Unauthorized("the API key is not one of the gateway's", None)
        return found


def allow(caller: CallerKey, models: Collection[str]) -> None:
    """A fan-out is allowed only if each of its models is; `Forbidden` names one that is not."""
    if caller.models is None:
        return
    for name in sorted(models):
        if name not in caller.models:
            raise Forbidden(f"the key `{caller.name}` may not use the model `{name}`", "model")
