"""Reads the config that a stack was deployed with; its deployment stores it in S3, without keys."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...config.catalog import Catalog
from ...config.load import check
from ...config.resolve import resolve
from ...errors import ConfigError
from ...wire import json
from .clients import ClientError, call, error_code

ALTERNATIVE = "or say which config it was deployed with: --config FILE"


class _ConfigFile(Struct, frozen=True):
    """The file: the config, and the values of its `os.environ/NAME` that are not keys."""

    config: dict[str, Any]
    environment: dict[str, str]


class DeployedConfig(Struct, frozen=True):
    """The address of a stack's config; `url` is `None` if the stack's outputs have none."""

    client: Any
    stack: str
    url: str | None

    async def catalog(self) -> Catalog:
        """The deployments and settings of the config; `ConfigError` if it cannot be read."""
        if self.url is None:
            raise ConfigError(
                f"the stack `{self.stack}` does not say where its config is: deploy it again, "
                f"{ALTERNATIVE}"
            )
        file = await self._read(self.url)
        env = {"AWS_REGION": self.client.meta.region_name, **file.environment}
        return resolve(check(file.config, env, f"the config of {self.stack}"), env)

    async def _read(self, url: str) -> _ConfigFile:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            got = await call(self.client.get_object, Bucket=bucket, Key=key)
        except ClientError as error:
            raise ConfigError(
                f"the config of the stack `{self.stack}` cannot be read ({error_code(error)}): "
                f"get the right to s3:GetObject on `{url}`, {ALTERNATIVE}"
            ) from None
        data: bytes = await call(got["Body"].read)
        return json.decode(data, type=_ConfigFile)
