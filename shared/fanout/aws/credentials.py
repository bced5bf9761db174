"""
Signs requests to AWS with credentials from the environment or from botocore.

A Lambda has its role's credentials in the environment. If the environment has none, botocore looks
in profiles, SSO and the instance's metadata; it is imported only then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from ..errors import MissingKey
from ..settings import install_command
from ..transport.credentials import AWSKeys
from ..transport.engine import ConnectFailed, Outgoing, connect_failed
from ..wire.sigv4 import Credentials, sign


def _no_credentials() -> MissingKey:
    return MissingKey(
        "no AWS credentials: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, "
        f"or install boto3 for profiles and SSO: {install_command('aws')}"
    )


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AWSSigner:
    """
    Signs requests (Signature Version 4) with the process's AWS credentials, or with `keys`.

    A role is assumed with them by botocore, and again before its credentials expire, at STS in the
    region of the request: each partition of AWS has an STS of its own.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        now: Callable[[], datetime] = _utc_now,
        *,
        keys: AWSKeys | None = None,
    ) -> None:
        self._now = now
        self._env = env
        self._keys = keys
        self._fixed = _fixed_credentials(env, keys)
        self._chains: dict[str, Any] = {}  # botocore's credentials, by region
        self._making = Lock()  # requests call from several threads

    async def headers(self, request: Outgoing, service: str, region: str) -> Mapping[str, str]:
        """The headers that sign `request`; raises `MissingKey` if there are no credentials."""
        credentials = self._fixed
        if credentials is None:
            credentials = await asyncio.to_thread(self._from_botocore, region)
        return sign(
            request.method,
            request.url,
            request.headers,
            request.body,
            credentials,
            region,
            service,
            self._now(),
        )

    def _from_botocore(self, region: str) -> Credentials:
        """The credentials that botocore finds; it refreshes them before they expire."""
        with self._making:
            chain = self._chains.get(region)
            if chain is None:
                chain = self._chains[region] = self._find_chain(region)
        try:
            frozen = chain.get_frozen_credentials()
        except Exception as error:
            failed = _failed(error, self._keys.role if self._keys else None)
            if failed is None:
                raise
            raise failed from None
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    def _find_chain(self, region: str) -> Any:
        """Botocore's credentials, which threads may share; raises `MissingKey`."""
        try:
            from botocore.exceptions import BotoCoreError
            from botocore.session import Session
        except ImportError:
            raise _no_credentials() from None
        keys = self._keys or AWSKeys()
        try:
            session = Session(profile=keys.profile)
            session.set_config_variable("region", region)
            if found := _fixed_credentials(self._env, replace(keys, role=None)):
                session.set_credentials(found.access_key, found.secret_key, found.session_token)
            source = session.get_credentials()
            if source is None:
                raise _no_credentials()
            return _assumed_role(session, source, keys) if keys.role else source
        except BotoCoreError as error:
            raise MissingKey(f"no AWS credentials: {error}") from None


def _failed(error: Exception, role: str | None) -> Exception | None:
    """The error for botocore's, which names a server that was not reached; `None` for others."""
    from botocore import exceptions

    if isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError)):
        host = urlsplit(str(error.kwargs.get("endpoint_url", ""))).hostname
        named = f"AWS's token server `{host}`" if host else "AWS's token server"
        return ConnectFailed(reason=connect_failed(str(error.kwargs)).reason, server=named)
    if role:
        return MissingKey(f"the role `{role}` cannot be assumed: {error}")
    if isinstance(error, (exceptions.BotoCoreError, exceptions.ClientError)):
        return MissingKey(f"no AWS credentials: {error}")
    return None


def _fixed_credentials(env: Mapping[str, str], keys: AWSKeys | None) -> Credentials | None:
    """Credentials that are known without botocore, if there are any."""
    if keys is None:
        return environment_credentials(env)
    if keys.role:
        return None
    if keys.access_key and keys.secret_key:
        return Credentials(keys.access_key, keys.secret_key, keys.session_token)
    return None if keys.profile else environment_credentials(env)


def _assumed_role(session: Any, source: Any, keys: AWSKeys) -> Any:
    """The credentials of a role, assumed with those of `source`; botocore renews them."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    extra = {"RoleSessionName": keys.session_name}
    if keys.external_id:
        extra["ExternalId"] = keys.external_id
    fetcher = AssumeRoleCredentialFetcher(
        session.create_client, source, keys.role, extra_args=extra
    )
    return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def environment_credentials(env: Mapping[str, str]) -> Credentials | None:
    """The credentials in the environment, if it has any."""
    key, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    return Credentials(key, secret, env.get("AWS_SESSION_TOKEN")) if key and secret else None
