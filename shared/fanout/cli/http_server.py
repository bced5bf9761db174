"""Serves the gateway's app: opens the gateway, and stops at a signal."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..bulk.local.lazy_service import data_home, open_local_batches
from ..config.catalog import Catalog
from ..errors import ConfigError, FanoutError
from ..gateway.factory import make_engine, open_gateway
from ..http.app import App
from ..server.limits import BACKLOG, ConnectionLimits
from ..server.listener import claim_address
from ..server.served_request import status_line
from ..server.server import Stop, serve
from ..settings import Settings, install_command
from ..telemetry.observers import JSONLinesObserver, Level, Observer, ObserverGroup, RequestRecord
from ..wire import json

if TYPE_CHECKING:
    from ..bulk.steps.accounts import JobAccounts
    from ..keys.ledger import KeyLedger
    from ..telemetry.prometheus import PrometheusObserver
    from ..telemetry.traces import TraceObserver

MAX_PORT = 65_535
GC_THRESHOLD = 20_000
"""
New containers between two runs of Python's garbage collector. Requests leave almost no cyclic
garbage; with Python's default of 700, the collector would take 5 % of a request's CPU time.
"""

SHUTDOWN_GRACE = 5.0
"""Seconds that requests in flight may still take after the server is asked to stop."""

OWN_FILES = 64
"""Open files that the process needs besides clients and calls to providers."""


def listen(address: str, port: int) -> socket.socket:
    """A listening socket; raises `ConfigError` if the address or port cannot be used."""
    check_port(port)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        claim_address(listener)
        listener.bind((address, port))
        listener.listen(BACKLOG)  # connections made before the app is ready wait
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {address} port {port} ({error.strerror or error}): "
            "stop the process that uses it, or choose another --port"
        ) from None
    return listener


def check_port(port: int) -> None:
    """Raise `ConfigError` if there is no such port."""
    if not 0 <= port <= MAX_PORT:
        raise ConfigError(f"--port must be between 0 and {MAX_PORT}, not {port}")


def run_server(  # noqa: PLR0913 -- what it serves, and whom it tells
    settings: Settings,
    catalog: Catalog,
    listener: socket.socket,
    *,
    observer: Observer,
    ready: Callable[[str], object],
    on_stop: Callable[[int], object] = lambda _: None,
    stop: Callable[[Callable[[], None]], object] = lambda _: None,
    grace: float = SHUTDOWN_GRACE,
) -> int:
    """
    Serve until a signal. `ready` is called with the base URL when the gateway is ready.

    `on_stop` is called at the signal with the number of requests in flight, which then have `grace`
    seconds; a second signal cancels them at once. `stop` is called with a function that stops the
    server. Raises `ConfigError` if a certificate of the config cannot be read.
    """
    app, observer = _make_app(settings, catalog, observer)
    limits = ConnectionLimits(
        connections=max_connections(2 * catalog.general.max_requests, raise_open_file_limit()),
        idle_seconds=catalog.general.keepalive_timeout,
        grace_seconds=grace,
    )

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: _report(observer, context)
        )
        stopping = Stop(lambda: on_stop(app.in_flight))
        stop(stopping.now)
        with stopping.by_signals():
            await serve(
                app,
                listener,
                stopping,
                limits=limits,
                rejection=lambda error: rejection(error, observer),
                report_bug=lambda error: observer.unexpected_error("", error),
                ready=lambda: ready(f"http://{_authority(listener)}/v1"),
            )

    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_event_loop()) as runner:
        runner.run(main())
    return 0


def _make_app(settings: Settings, catalog: Catalog, observer: Observer) -> tuple[App, Observer]:
    """The app, and the observer of all that it does: the given one, and those of the config."""
    metrics, traces = _metrics(catalog), _traces(catalog, settings, observer)
    more = [one for one in (metrics, traces) if one is not None]
    observed = ObserverGroup([observer, *more]) if more else observer
    engine = make_engine(catalog.general)
    warn = partial(_warn_of_soft_budget, observer, metrics)
    app = App(
        lambda: open_gateway(settings, catalog=catalog, engine=engine, observer=observed),
        observer=observed,
        jobs=lambda gateway: open_local_batches(
            gateway,
            data_home(settings.env),
            observer=observed,
            accounts=partial(_open_accounts, settings.env, warn, catalog)
            if catalog.has_virtual_keys
            else None,
        ),
        page=True,
        metrics=metrics.rendered if metrics else None,
        virtual_keys=partial(_open_keys, settings.env, warn),
    )
    if metrics:
        metrics.watch(lambda: app.in_flight)
    return app, observed


def _warn_of_soft_budget(
    observer: Observer, metrics: PrometheusObserver | None, item: Mapping[str, Any]
) -> None:
    """Log and count an account that has reached its soft budget."""
    from ..keys.litellm import soft_budget_fields

    if isinstance(observer, JSONLinesObserver):
        observer.note("soft_budget", "warning", soft_budget_fields(item))
    if metrics:
        metrics.soft_budget()


def _open_keys(
    env: Mapping[str, str], warn: Callable[[Mapping[str, Any]], None], catalog: Catalog
) -> KeyLedger:
    """The virtual keys of this machine; imported when a client sends a key that is none of ours."""
    from ..keys.opening import open_local

    ledger = open_local(env, catalog)
    ledger.on_soft_budget = warn
    return ledger


def _open_accounts(
    env: Mapping[str, str],
    warn: Callable[[Mapping[str, Any]], None],
    catalog: Catalog,
) -> JobAccounts:
    """The accounts of this machine's virtual keys, which pay for their jobs."""
    from ..keys.opening import open_local_accounts

    accounts = open_local_accounts(env, catalog)
    accounts.ledger.on_soft_budget = warn
    return accounts


def _metrics(catalog: Catalog) -> PrometheusObserver | None:
    """What counts for Prometheus, if the config asks for it."""
    if not catalog.general.metrics:
        return None
    from ..telemetry.prometheus import PrometheusObserver

    return PrometheusObserver(catalog.groups.__contains__)


def _traces(catalog: Catalog, settings: Settings, observer: Observer) -> TraceObserver | None:
    """What makes spans for OpenTelemetry, if the config asks for it; the log has its errors."""
    if not catalog.general.traces:
        return None

    def write(level: Level, fields: Mapping[str, object]) -> None:
        if isinstance(observer, JSONLinesObserver):
            observer.note("export", level, fields)

    try:
        from ..telemetry.traces import otlp_observer

        return otlp_observer(time.time, settings.env, write)
    except ModuleNotFoundError:
        install = install_command("otel")
        raise ConfigError(f"`general_settings.traces` needs OpenTelemetry: {install}") from None


def new_event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the event loop: uvloop, where it exists."""
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def rejection(error: FanoutError, observer: Observer) -> bytes:
    """The whole response to a request that could not be parsed; it is logged as any other."""
    from ..http.errors import error_headers
    from ..schema.error import error_body

    request_id = f"req_{random.getrandbits(96):024x}"
    body = json.encode(error_body(error))

    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-request-id": request_id,
        **error_headers(error),
        "connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    observer.request(
        RequestRecord(
            request_id=request_id,
            caller=None,
            mode="none",
            models=(),
            winner=None,
            stream=False,
            status=error.status,
            error=type(error).__name__,
            duration_ms=0.0,
        )
    )
    return status_line(error.status) + lines.encode() + b"\r\n" + body


def _report(observer: Observer, context: dict[str, Any]) -> None:
    """Log what went wrong in the event loop itself, as JSON."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        observer.unexpected_error("", error)


def max_connections(wanted: int, files: int | None) -> int:
    """At most half of the files that may be open: calls to providers need the others."""
    return wanted if files is None else max(1, min(wanted, (files - OWN_FILES) // 2))


def raise_open_file_limit() -> int | None:
    """
    Allow as many open files as the system does: each client and each call needs one.

    Returns the limit, None if it is not known.
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    with suppress(ValueError, OSError):  # not permitted
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _authority(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
