"""The config that a stack was deployed with, as its deployment leaves it in S3; no key is in it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...config.load import check
from ...config.resolve import Catalog, resolve
from ...errors import ConfigError
from ...wire import json
from .clients import ClientError, call, code_of

ELSE = "or say which config it was deployed with: --config FILE"


class _Said(Struct, frozen=True):
    """The file: the config, and what its `os.environ/NAME` stand for besides keys."""

    config: dict[str, Any]
    environment: dict[str, str]


class DeployedConfig(Struct, frozen=True):
    """Where a stack's config is; `url` is `None` where its outputs do not say."""

    client: Any
    stack: str
    url: str | None

    async def catalog(self) -> Catalog:
        """What the stack resolves it to; `ConfigError` says what to do where it cannot be read."""
        if self.url is None:
            raise ConfigError(
                f"the stack `{self.stack}` does not say where its config is: deploy it again, "
                f"{ELSE}"
            )
        said = await self._read(self.url)
        env = {"AWS_REGION": self.client.meta.region_name, **said.environment}
        return resolve(check(said.config, env, f"the config of {self.stack}"), env)

    async def _read(self, url: str) -> _Said:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            got = await call(self.client.get_object, Bucket=bucket, Key=key)
        except ClientError as error:
            raise ConfigError(
                f"the config of the stack `{self.stack}` cannot be read ({code_of(error)}): "
                f"get the right to s3:GetObject on `{url}`, {ELSE}"
            ) from None
        data: bytes = await call(got["Body"].read)
        return json.decode(data, type=_Said)
