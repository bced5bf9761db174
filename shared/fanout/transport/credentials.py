"""The interfaces of key sources and AWS signers, and keys from the config or the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..config.connection import AWSLogin
from ..errors import MissingKey
from ..secret import HiddenRepr, Secret
from .engine import Outgoing


class SecretSource(Protocol):
    """Provides the keys of calls: from the environment, or from Secrets Manager."""

    async def values(self, secret: Secret) -> Sequence[str]:
        """Every key that is valid now, or none; several are used in turn."""
        ...

    def hint(self, secret: Secret) -> str:
        """What to do if there is no key."""
        ...

    def is_unavailable(self, secret: Secret) -> bool:
        """Whether the key could not be read so far."""
        ...

    async def renew(self, secret: Secret, rejected: str) -> bool:
        """Read the key again after `rejected` was rejected; whether there is another one now."""
        ...


class EnvironmentSecrets:
    """Keys that were in the config or in the environment at the start."""

    async def values(self, secret: Secret) -> Sequence[str]:
        """The key, if there is one."""
        return (text,) if (text := secret.reveal()) else ()

    def hint(self, secret: Secret) -> str:
        """Where to put the key."""
        return f"set `{secret.name}` in the environment, or `api_key` in the config"

    def is_unavailable(self, secret: Secret) -> bool:  # noqa: ARG002
        """Always false: the environment can always be read."""
        return False

    async def renew(self, secret: Secret, rejected: str) -> bool:  # noqa: ARG002
        """Always false: the environment of a process does not change."""
        return False


class AWSKeys(HiddenRepr, frozen=True):
    """A deployment's own AWS credentials, with their texts; see `AWSLogin`."""

    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    profile: str | None = None
    role: str | None = None
    session_name: str = "fanout"
    external_id: str | None = None


async def aws_keys(login: AWSLogin | None, secrets: SecretSource) -> AWSKeys | None:
    """The login with its keys' texts; raises `MissingKey` if one is not there."""
    if login is None:
        return None
    texts: list[str | None] = []
    for key in (login.access_key, login.secret_key, login.session_token):
        found = await secrets.values(key) if key is not None else ()
        if key is not None and not found:
            raise MissingKey(f"no AWS credentials: {secrets.hint(key)}")
        texts.append(found[0] if found else None)
    access_key, secret_key, session_token = texts
    return AWSKeys(
        access_key,
        secret_key,
        session_token,
        login.profile,
        login.role,
        login.session_name,
        login.external_id,
    )


class Signer(Protocol):
    """Signs requests to AWS, for providers that need it."""

    async def headers(self, request: Outgoing, service: str, region: str) -> Mapping[str, str]:
        """The headers that sign `request`."""
        ...
