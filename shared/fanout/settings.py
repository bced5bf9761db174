"""Reads the process's environment once. The only reader of `os.environ`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from msgspec import field

from .secret import HiddenRepr

CONFIG_NAMES = ("fanout.yaml", "config.yaml")

EXTRAS = {
    "aws": "botocore",
    "local": "xllamacpp",
    "otel": "opentelemetry-sdk",
    "parquet": "pyarrow",
    "postgres": "psycopg",
    "vertex": "google-auth",
}
"""A package that each extra of pyproject.toml installs."""

HTTP_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
"""Variables that may name a proxy for servers without TLS."""


def install_command(*wanted: str) -> str:
    """
    How to install extras of pyproject.toml; Fanout is on no package index yet.

    An environment of `uv tool` or `pipx` is known by the file that they write into it: the command
    of Fanout then has this environment, and pip would install into another one.
    """
    installers = {"uv-receipt.toml": "uv tool install", "pipx_metadata.json": "pipx install"}
    for file, installer in installers.items():
        if Path(sys.prefix, file).exists():  # it replaces the environment, with all its extras
            extras = ",".join(name for name in EXTRAS if name in wanted or is_installed(name))
            return f"run `{installer} --force '.[{extras}]'` in a clone of Fanout"
    return f"run `pip install '.[{','.join(wanted)}]'` in a clone of Fanout"


def is_installed(extra: str) -> bool:
    """Whether an extra of pyproject.toml is installed."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(EXTRAS[extra])
    except PackageNotFoundError:
        return False
    return True


class Settings(HiddenRepr, frozen=True):
    """
    The config's path and the environment.

    `config` is the path of the YAML file (`FANOUT_CONFIG`), or `None` for no config. `env` is a
    copy of the environment; it may contain keys, so its repr is hidden.
    """

    config: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Settings(config={self.config!r})"

    @classmethod
    def read(cls, config: str | Path | None = None) -> Settings:
        """The settings of this process; `config` overrides `FANOUT_CONFIG`."""
        env = dict(os.environ)
        path = config or env.get("FANOUT_CONFIG") or None
        return cls(Path(path) if path else None, env)


def windows_data(env: Mapping[str, str]) -> str | None:
    """The user's folder for data and caches on Windows; `None` elsewhere."""
    return env.get("LOCALAPPDATA") if sys.platform == "win32" else None


def has_http_proxy() -> bool:
    """Whether the environment names a proxy for servers without TLS."""
    return any(map(os.environ.get, HTTP_PROXIES))
