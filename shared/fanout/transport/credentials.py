"""Where the keys of calls come from, and who signs for AWS: two seams, and the usual source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..secret import Secret
from .engine import Outgoing


class SecretSource(Protocol):
    """Where a key's text comes from: the environment, or Secrets Manager."""

    async def texts(self, secret: Secret) -> Sequence[str]:
        """Every text that is valid now, none if there is none; several are used in turn."""
        ...

    def advice(self, secret: Secret) -> str:
        """What to do where there is none."""
        ...

    def is_down(self, secret: Secret) -> bool:
        """Whether nobody could say so far what the text is."""
        ...

    async def renew(self, secret: Secret, refused: str) -> bool:
        """Look anew, after `refused` was refused; whether there is another text now."""
        ...


class EnvironmentSecrets:
    """Keys that were in the config or in the environment at the start."""

    async def texts(self, secret: Secret) -> Sequence[str]:
        """The text, if there is one."""
        return (text,) if (text := secret.reveal()) else ()

    def advice(self, secret: Secret) -> str:
        """Where a key may be put."""
        return f"set `{secret.name}` in the environment, or `api_key` in the config"

    def is_down(self, secret: Secret) -> bool:  # noqa: ARG002
        """The environment is always there."""
        return False

    async def renew(self, secret: Secret, refused: str) -> bool:  # noqa: ARG002
        """The environment of a process does not change."""
        return False


class Signer(Protocol):
    """Signs for AWS; set where a provider asks for it."""

    async def headers(self, request: Outgoing, service: str, region: str) -> Mapping[str, str]:
        """The headers that sign `request`."""
        ...
