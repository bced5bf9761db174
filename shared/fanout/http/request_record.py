"""The record of a request for the log and the metrics: who sent it, what it named, how it ended."""

from __future__ import annotations

from ..errors import Forbidden, UnknownModel
from ..telemetry.observers import Observer, RequestRecord
from .exchange import Exchange


def observe(
    observer: Observer, exchange: Exchange, error: Exception | None, seconds: float
) -> None:
    """Report a request that took `seconds`, unless it called no model."""
    request = exchange.request
    if request is None and error is None:
        return  # /health and /models
    observer.request(
        RequestRecord(
            request_id=exchange.request_id,
            caller=exchange.client.name,
            mode=request.mode if request else "none",
            models=_known_models(exchange, error),
            winner=exchange.winner,
            stream=bool(request and request.stream),
            status=exchange.status or 0,
            error=type(error).__name__ if error else None,
            duration_ms=round(seconds * 1000, 1),
        )
    )


def _known_models(exchange: Exchange, error: Exception | None) -> tuple[str, ...]:
    """The request's models; if one is unknown or not allowed, only those that exist."""
    names = exchange.request.models if exchange.request else ()
    if not isinstance(error, UnknownModel | Forbidden):
        return names
    return tuple(name for name in names if exchange.gateway.catalog.has(name))
