"""
The gateway's own httpx client, for `general_settings.http_client: httpx`.

Imported only then: importing httpx takes longer than the rest of the gateway together (decision
0001).
"""

from __future__ import annotations

import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx2 as httpx

from ..config.model import GeneralSettings
from ..errors import ConfigError
from .client_engine import READ_TIMEOUT, ClientEngine
from .engine import IDLE_TIMEOUT

IDLE_CONNECTIONS = 100
"""More cost more CPU than new connections do: httpx looks through them all at each call."""

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Hosts that are this machine: never called through a proxy."""

WORDS = {"true": True, "false": False}
"""The text of an environment variable, and its meaning."""


def make_httpx_engine(
    general: GeneralSettings, max_response_bytes: int, *, idle_timeout: float = IDLE_TIMEOUT
) -> ClientEngine:
    """
    An engine over one client with the config's certificates, and the proxies of the environment.

    It uses HTTP/1.1: over HTTP/2, httpx does not stop a cancelled call at the provider.
    """
    client = httpx.AsyncClient(
        verify=make_context(general),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=httpx.Timeout(READ_TIMEOUT, connect=general.connect_timeout),
        limits=httpx.Limits(
            max_connections=general.global_max_parallel_requests,
            max_keepalive_connections=IDLE_CONNECTIONS,
            keepalive_expiry=idle_timeout,
        ),
        mounts={f"all://{host}": None for host in LOOPBACK},
    )
    return ClientEngine(client, max_response_bytes=max_response_bytes, owns_client=True)


def make_context(general: GeneralSettings) -> ssl.SSLContext:
    """A TLS context with the config's certificates; raises `ConfigError` if one cannot be read."""
    verify, certificate = verify_setting(general), general.ssl_certificate
    if isinstance(verify, str):
        context = _trusting(Path(verify))
    else:
        context = httpx.create_ssl_context(verify)
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, password=_no_password)
        except (OSError, ValueError) as error:  # an `SSLError` is an `OSError`
            raise ConfigError(
                f"`general_settings.ssl_certificate`: `{certificate}` must be a PEM file with a "
                f"certificate and its private key, without a password: {_reason(error)}"
            ) from None
    return context


def verify_setting(general: GeneralSettings) -> bool | str:
    """`ssl_verify`: whether to check certificates, or the path of those to trust."""
    return WORDS.get(str(general.ssl_verify).lower(), general.ssl_verify)


def _trusting(bundle: Path) -> ssl.SSLContext:
    try:
        if bundle.is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise ConfigError(
            f"`general_settings.ssl_verify`: `{bundle}` must be true, false, or the path of a PEM "
            f"file or folder with the certificates to trust: {_reason(error)}"
        ) from None


def _no_password() -> str:
    """Without this, OpenSSL asks for a password in the terminal."""
    raise ValueError("it has a password")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
