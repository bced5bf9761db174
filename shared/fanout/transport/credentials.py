"""
Adds the address and the key, the token or the signature to requests.

Has the interfaces of what provides these: key sources, AWS signers and Google's tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, assert_never

from msgspec import Struct

from ..config.connection import AWSLogin
from ..config.deployment import Deployment
from ..errors import MissingKey, PermissionDenied, ProviderError, QuotaExceeded, Refused
from ..providers.base import Bearer, GoogleToken, Header, SigV4
from ..secret import HiddenRepr, Secret
from ..wire.http import WireRequest
from .engine import Outgoing, WatchEnd, join

OF_A_KEY = frozenset({PermissionDenied, QuotaExceeded, Refused})
"""The errors of a call that may succeed with another key, at once."""


MAX_HEADERS = 1_000
"""Deployments, and keys of them, whose headers are kept."""


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


class TokenSource(Protocol):
    """Provides access tokens of Google Cloud, for providers that need one."""

    async def headers(self, credentials: str | None, name: str, scope: str) -> Mapping[str, str]:
        """
        The headers with a token. `credentials` are the path of a JSON file or its JSON, `None` for
        Google's default ones; errors call them `name`. Raises `MissingKey` or an `EngineError`.
        """
        ...

    def discard(self, headers: Mapping[str, str]) -> bool:
        """Forget a rejected token; whether the next request gets another one."""
        ...


class Signed(Struct, frozen=True):
    """
    A request to send, and its key: an API key with the secret that holds it, or a token.

    `token` are the headers with a token of Google's.
    """

    outgoing: Outgoing
    secret: Secret | None = None
    key: str | None = None
    token: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return "Signed(…)"


class RequestSigner:
    """Signs requests. `signer` and `tokens` are called with the first request that needs them."""

    def __init__(
        self,
        secrets: SecretSource,
        signer: Callable[[AWSKeys | None], Signer],
        tokens: Callable[[], TokenSource],
    ) -> None:
        self._secrets = secrets
        self._make_signer = signer
        self._make_tokens = tokens
        self._signers: dict[AWSKeys | None, Signer] = {}
        self._tokens: TokenSource | None = None
        self._last_key: dict[str, int] = {}  # by deployment
        self._headers: dict[tuple[str, str | None], tuple[object, Mapping[str, str]]] = {}

    async def sign(
        self,
        deployment: Deployment,
        wire: WireRequest,
        tried: Sequence[Signed] = (),
        *,
        first_key: bool = False,
        watch: WatchEnd | None = None,
        by_bytes: bool = False,
    ) -> Signed:
        """
        The request with all that its provider needs; raises `MissingKey`.

        It gets none of the keys with which it was `tried`, if there is another one. With
        `first_key`, several keys are not used in turn. `watch` and `by_bytes` are as for
        `Outgoing`.
        """
        provider, base = deployment.provider, deployment.base_url
        url = join(deployment.services[wire.service] if wire.service else base, wire.path)
        secret, key = await self._pick_key(deployment, tried, first_key=first_key)
        if not wire.headers and isinstance(provider.auth, Bearer):
            shared = self._shared_headers(deployment, key)
            outgoing = Outgoing(wire.method, url, shared, wire.body, watch, by_bytes)
            return Signed(outgoing, secret, key)
        headers = {"content-type": "application/json", **provider.headers, **wire.headers}
        token = None
        match provider.auth:
            case SigV4(service) if not key or wire.service not in {"", service}:
                headers |= deployment.additions.headers  # the signature covers them
                region = deployment.target.options.get("region", "us-east-1")
                outgoing = Outgoing(wire.method, url, headers, wire.body)
                signer = await self._signer_of(deployment)
                name = wire.service or service
                headers = {**headers, **await signer.headers(outgoing, name, region)}
            case GoogleToken(scope) if not key:
                token = await self._google_headers(deployment, scope)
                headers, key = {**headers, **token}, _bearer(token)
            case Bearer() | SigV4() | GoogleToken():  # a key of these is a token
                if key:
                    headers["authorization"] = f"Bearer {key}"
            case Header(name):
                if key:
                    headers[name] = key
            case _:
                assert_never(provider.auth)
        headers |= deployment.additions.headers
        outgoing = Outgoing(wire.method, url, headers, wire.body, watch, by_bytes)
        return Signed(outgoing, secret, key, token)

    def _shared_headers(self, deployment: Deployment, key: str | None) -> Mapping[str, str]:
        """The headers of all requests with this key that have none of their own."""
        made_of = deployment.provider.headers, deployment.additions.headers
        found = self._headers.get((deployment.id, key))
        if found is None or found[0] != made_of:
            headers = {"content-type": "application/json", **made_of[0]}
            if key:
                headers["authorization"] = f"Bearer {key}"
            if len(self._headers) >= MAX_HEADERS:
                self._headers.clear()
            shared = MappingProxyType({**headers, **made_of[1]})
            found = self._headers[deployment.id, key] = made_of, shared
        return found[1]

    async def has_other_key(
        self, deployment: Deployment, tried: Sequence[Signed], error: ProviderError
    ) -> bool:
        """
        Whether a call that failed may succeed with another key than those with which it was tried.

        A rejected key may have been replaced, so it is read again.
        """
        if type(error) not in OF_A_KEY:
            return False
        signed = tried[-1]
        if signed.token is not None and self._tokens is not None:
            is_first = len(tried) == 1 and isinstance(error, Refused)
            return is_first and self._tokens.discard(signed.token)
        if signed.secret is None or signed.key is None:
            return False
        if isinstance(error, Refused):
            await self._secrets.renew(signed.secret, signed.key)
        return bool(_untried(await self._find_keys(deployment), tried))

    async def _signer_of(self, deployment: Deployment) -> Signer:
        """The signer with the deployment's own AWS credentials, or with the process's."""
        keys = await aws_keys(deployment.additions.aws, self._secrets)
        if (signer := self._signers.get(keys)) is None:
            signer = self._signers[keys] = self._make_signer(keys)
        return signer

    async def _google_headers(self, deployment: Deployment, scope: str) -> Mapping[str, str]:
        self._tokens = self._tokens or self._make_tokens()
        secret, text, name = deployment.credentials, None, ""
        if secret is not None:
            name = secret.name
            text = next(iter(await self._secrets.values(secret)), None)
            if text is None:
                hint = self._secrets.hint(secret)
                raise MissingKey(f"`{deployment.name}`: no Google credentials: {hint}")
        try:
            return await self._tokens.headers(text, name, scope)
        except MissingKey as error:
            raise MissingKey(f"`{deployment.name}`: {error}") from None

    async def _pick_key(
        self, deployment: Deployment, tried: Sequence[Signed], *, first_key: bool
    ) -> tuple[Secret | None, str | None]:
        """One of the deployment's keys, with the secret that holds it; several are used in turn."""
        keys = await self._find_keys(deployment)
        if tried and (others := _untried(keys, tried)):
            return others[0]
        if len(keys) == 1 or (keys and first_key):
            return keys[0]
        if keys:
            number = self._last_key[deployment.id] = self._last_key.get(deployment.id, -1) + 1
            return keys[number % len(keys)]
        if deployment.keys and not deployment.provider.key_optional:
            raise MissingKey(
                f"`{deployment.name}`: no key for `{deployment.provider.name}`: "
                f"{self._secrets.hint(deployment.keys[0])}"
            )
        return None, None

    async def _find_keys(self, deployment: Deployment) -> list[tuple[Secret, str]]:
        keys: list[tuple[Secret, str]] = []
        for secret in deployment.keys:
            keys += [(secret, text) for text in await self._secrets.values(secret)]
        return keys


def _untried(
    keys: Sequence[tuple[Secret, str]], tried: Sequence[Signed]
) -> list[tuple[Secret, str]]:
    """The keys with which a call was not tried, those after the last one first."""
    texts = [text for _, text in keys]
    start = texts.index(tried[-1].key) + 1 if tried[-1].key in texts else 0
    used = {signed.key for signed in tried}
    return [one for one in (*keys[start:], *keys[:start]) if one[1] not in used]


def _bearer(headers: Mapping[str, str]) -> str | None:
    """The token itself, which errors must not repeat."""
    return headers.get("authorization", "").partition(" ")[2] or None
