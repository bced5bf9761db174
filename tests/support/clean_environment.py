"""
Gives the tests an environment of their own, so that they pass for somebody who uses Fanout too.

HOME and the XDG folders are empty folders. Settings of Fanout, keys of providers, AWS accounts,
proxies and terminal settings are removed. `PATH`, the locale and the time zone stay as they are.
Imports nothing of Fanout: it must run before Fanout is imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"

USER_ENVIRONMENT: Mapping[str, str] = dict(os.environ)
"""The environment before it is cleaned: this module is imported first."""

_HOME = Path.home()
USER_CACHE = Path(USER_ENVIRONMENT.get("XDG_CACHE_HOME") or _HOME / ".cache")
USER_CONFIG = Path(USER_ENVIRONMENT.get("XDG_CONFIG_HOME") or _HOME / ".config")
"""Only downloads are shared with the user: wheels, the local model, the address of an index."""

FOLDERS = {
    "HOME": "",
    "XDG_CONFIG_HOME": ".config",
    "XDG_CACHE_HOME": ".cache",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
}
"""Each variable's folder below the new home."""

PRIVATE = re.compile(
    r"FANOUT_.*|OTEL_.*|AWS_.*|AZURE_.*|GOOGLE_.*|VERTEX.*|CLOUDSDK_.*|GCE_.*|NO_GCE_CHECK"
    r"|.*_API_KEY|.*_API_BASE|.*_TOKEN"
    r"|(HTTP|HTTPS|ALL|NO)_PROXY"
    r"|POWERTOOLS_.*|LOG_LEVEL|PYTHONIOENCODING|PYTHONUTF8"
    r"|FORCE_COLOR|NO_COLOR|PYTHON_COLORS|COLUMNS|LINES"
    r"|PYTHONDONTWRITEBYTECODE",  # each process would compile again what it imports
    re.IGNORECASE,
)
"""Variables that change what Fanout does or prints, or how long it takes to start."""

CERTIFICATES = frozenset({"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"})
"""The user's certificate authorities, which downloads need; a path that is not there is removed."""

AUTHORITY = Path(__file__).with_name("unused_authority.pem")
"""
The one authority of the tests: a client reads the machine's own for 20 milliseconds.

Its private key was never stored.
"""

DOWNLOADERS = {"UV_CONFIG_FILE": "uv/uv.toml", "PIP_CONFIG_FILE": "pip/pip.conf"}
"""Files below the user's config folder that name the package index; a few tests download wheels."""


def certificates(user: Mapping[str, str]) -> dict[str, str]:
    """The variables of `user` that name certificate authorities which are there."""
    named = {name: user[name] for name in CERTIFICATES & user.keys()}
    return {name: path for name, path in named.items() if Path(path).exists()}


def clean_environment(user: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment of `user` with `home` as its home and without private settings."""
    env = {name: value for name, value in user.items() if not PRIVATE.fullmatch(name)}
    env = {name: value for name, value in env.items() if name not in CERTIFICATES}
    env["SSL_CERT_FILE"] = str(AUTHORITY)
    env |= {name: str(home / folder) for name, folder in FOLDERS.items()}
    env.setdefault("UV_CACHE_DIR", str(USER_CACHE / "uv"))
    for name, path in DOWNLOADERS.items():
        if (USER_CONFIG / path).is_file():
            env.setdefault(name, str(USER_CONFIG / path))
    # Absolute, because `make` sets it relative to the project and tests start processes elsewhere.
    given = [str(Path(path).absolute()) for path in user.get("PYTHONPATH", "").split(os.pathsep)]
    paths = dict.fromkeys([str(SHARED), *given] if user.get("PYTHONPATH") else [str(SHARED)])
    return {**env, "PYTHONPATH": os.pathsep.join(paths)}
