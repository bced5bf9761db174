"""The options of the command line by the fields of a request that they set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..errors import RequestError

OPTIONS: Mapping[str, str] = {
    "max_completion_tokens": "--max-tokens",
    "temperature": "--temperature",
    "timeout": "--timeout",
    "fanout.models": "-m",
    "fanout.stagger": "--stagger",
    "fanout.attempts": "--attempts",
    "fanout.k": "-k",
    "fanout.on": "--on",
    "fanout.start": "--start",
    "fanout.lead": "--lead",
    "fanout.confidence": "--confidence",
    "fanout.weights": "--weight",
    "fanout.check": "--check",
    "fanout.escalate": "--escalate",
    "response_format.json_schema.schema": "--response-format",
}


@contextmanager
def options_named(options: Mapping[str, str] = OPTIONS) -> Iterator[None]:
    """An error that leaves the block names the option that the user typed, not the field."""
    try:
        yield
    except RequestError as error:
        if option := options.get(error.param or ""):
            message = str(error).replace(f"`{error.param}`", option)
            message = message.replace("`fanout.mode: agree`", "`fanout agree`")
            raise RequestError(message, error.param, error.detail.code) from None
        raise
