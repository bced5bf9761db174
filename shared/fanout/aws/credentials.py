"""
Signs requests to AWS with credentials from the environment or from botocore.

A Lambda has its role's credentials in the environment. If the environment has none, botocore looks
in profiles, SSO and the instance's metadata; it is imported only then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..errors import MissingKey
from ..transport.engine import Outgoing
from ..wire.sigv4 import Credentials, sign

NO_CREDENTIALS = (
    "no AWS credentials: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, "
    "or install boto3 (`pip install fanout-gateway[aws]`) for profiles and SSO"
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AWSSigner:
    """Signs requests (Signature Version 4) with the process's AWS credentials."""

    def __init__(self, env: Mapping[str, str], now: Callable[[], datetime] = _utc_now) -> None:
        self._now = now
        self._fixed = environment_credentials(env)
        self._chain: Any = None

    async def headers(self, request: Outgoing, service: str, region: str) -> Mapping[str, str]:
        """The headers that sign `request`; raises `MissingKey` if there are no credentials."""
        credentials = self._fixed
        if credentials is None:
            credentials = await asyncio.to_thread(self._from_botocore)
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

    def _from_botocore(self) -> Credentials:
        """The credentials that botocore finds; it refreshes them before they expire."""
        if self._chain is None:
            try:
                from botocore.session import Session
            except ImportError:
                raise MissingKey(NO_CREDENTIALS) from None
            self._chain = Session().get_credentials()
        if self._chain is None:
            raise MissingKey(NO_CREDENTIALS)
        frozen = self._chain.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def environment_credentials(env: Mapping[str, str]) -> Credentials | None:
    """The credentials in the environment, if it has any."""
    key, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    return Credentials(key, secret, env.get("AWS_SESSION_TOKEN")) if key and secret else None
