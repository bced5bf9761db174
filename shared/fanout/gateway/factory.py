"""Creates a `Gateway` and its parts from the settings, and closes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..concurrency import FairLimiter
from ..config.catalog import Catalog
from ..config.load import raise_problems, read_file
from ..config.model import GeneralSettings
from ..config.resolve import inspect_config
from ..routing.router import Router
from ..settings import Settings
from ..telemetry.observers import NullObserver, Observer
from ..transport.client import Transport
from ..transport.credentials import (
    AWSKeys,
    EnvironmentSecrets,
    SecretSource,
    Signer,
    TokenSource,
)
from ..transport.engine import IDLE_TIMEOUT, Engine
from .conversation import ShareTimes
from .gateway import Gateway

MEGABYTE = 1_000_000
DEFAULTS = GeneralSettings()


def load_catalog(settings: Settings) -> Catalog:
    """
    The catalog of the settings' config; without a config only prefixed names resolve.

    Raises `ConfigProblems` with a line for each problem of the file.
    """
    if settings.config is None:
        return Catalog({}, settings.env, is_open=True)
    text = read_file(settings.config)
    catalog, document, problems = inspect_config(text, settings.env, settings.config.name)
    raise_problems(document, tuple(problems))
    return catalog


def make_transport(
    settings: Settings,
    engine: Engine,
    secrets: SecretSource | None = None,
    *,
    general: GeneralSettings = DEFAULTS,
) -> Transport:
    """A transport over the engine; what signs for a cloud is loaded with the first call to it."""

    def signer(keys: AWSKeys | None) -> Signer:
        from ..aws.credentials import AWSSigner

        return AWSSigner(settings.env, keys=keys)

    def tokens() -> TokenSource:
        from ..google.credentials import process_tokens

        return process_tokens()

    return Transport(
        engine,
        secrets or EnvironmentSecrets(),
        signer,
        tokens,
        max_response_bytes=_bytes(general.max_response_size_mb),
        max_copies=_bytes(general.max_body_memory_mb),
    )


def make_engine(general: GeneralSettings, *, idle_timeout: float = IDLE_TIMEOUT) -> Engine:
    """
    The HTTP engine with the config's limits and timeouts.

    A host that stops the process between requests sets `idle_timeout`, the seconds for which unused
    connections are kept: it does not see that a provider closes one.
    Raises `ConfigError` if the certificates of `http_client: httpx` cannot be read.
    """
    if general.http_client == "httpx":
        from ..transport.httpx_client import make_httpx_engine

        return make_httpx_engine(
            general, _bytes(general.max_response_size_mb), idle_timeout=idle_timeout
        )
    from ..transport.connection_pool import PyqwestEngine

    return PyqwestEngine(
        connect_timeout=general.connect_timeout,
        max_response_bytes=_bytes(general.max_response_size_mb),
        max_sockets=general.global_max_parallel_requests,
        idle_timeout=idle_timeout,
    )


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    *,
    catalog: Catalog | None = None,
    engine: Engine | None = None,
    secrets: SecretSource | None = None,
    observer: Observer | None = None,
    share_times: ShareTimes | None = None,
) -> AsyncIterator[Gateway]:
    """
    A gateway for the block; parts that are not given are created.

    `share_times` is for a host whose processes share the times of adaptive hedges.

    Raises `ConfigError` if the config is wrong.
    """
    catalog = catalog or load_catalog(settings)
    general = catalog.general
    observer = observer or NullObserver()
    limit = _bytes(general.max_response_size_mb)
    engine = engine or make_engine(general)
    transport = make_transport(settings, engine, secrets, general=general)
    router = Router(catalog, transport, observer=observer, max_response_bytes=limit)
    try:
        limiter = FairLimiter(
            general.global_max_parallel_requests, divided=len(catalog.client_keys) > 1
        )
        gateway = Gateway(catalog, router, limiter=limiter)
        if share_times is not None:
            gateway.share_times(share_times)
        yield gateway
    finally:
        await transport.aclose()


def _bytes(megabytes: float) -> int:
    return int(megabytes * MEGABYTE)
