"""The checks of the options' names, and the options that the functions use themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..errors import RequestError
from .options import ChatOptions, ControlOptions

OF_FUNCTIONS = frozenset({"fanout", "stagger", "max_workers", "progress", "checkpoint"})
"""Fields that the functions set, and parameters that only some of them have."""

NAMES = (ChatOptions.__annotations__.keys() | ControlOptions.__annotations__.keys()) | OF_FUNCTIONS

SIMILAR = 0.9
"""How alike an unknown option and a known one must be to be a typo (difflib's ratio)."""


def check_names(options: Mapping[str, Any], own: Collection[str] = ()) -> None:
    """
    Reject an option that is a known one misspelled, and a parameter of another function.

    `own` are further names that the function knows.

    An argument of LiteLLM's that Fanout does not have is rejected, too. Any other unknown option is
    sent to the model: vendors have options of their own.
    """
    for name, value in options.items():
        if name in OF_FUNCTIONS:
            raise RequestError(f"`{name}` is not an option of this function", name)
        if name == "once" and value:
            raise RequestError(
                "`once` is a field of requests to a gateway: call one model, with `fallbacks`", name
            )
        if name == "headers" and value:
            raise RequestError("`headers` has no effect here (write `extra_headers`)", name)
        if name not in NAMES and name not in own:
            _check_other(name, value, own)


def _check_other(name: str, value: object, own: Collection[str]) -> None:
    """Reject an argument of LiteLLM's without an equal here, and a misspelled option."""
    from difflib import get_close_matches

    from ..schema.litellm_arguments import REJECTED, asks_for_something, is_vendors, rejection

    if name not in REJECTED:
        if near := get_close_matches(name, (*own, *NAMES), 1, SIMILAR):
            raise RequestError(f"there is no option `{name}`; did you mean `{near[0]}`?", name)
    elif name != "model_list" and asks_for_something(name, value) and not is_vendors(name, value):
        raise rejection(name)


def longer_models(options: dict[str, Any]) -> dict[str, str]:
    """LiteLLM's `context_window_fallback_dict`, removed from the options."""
    name = "context_window_fallback_dict"
    longer = options.pop(name, None) or {}
    if not isinstance(longer, dict) or not all(isinstance(v, str) for v in longer.values()):
        raise RequestError(f"`{name}` must be a dict of model names", name)
    return longer


def stream_of(options: dict[str, Any]) -> bool:
    """The option `stream`, which is taken out; raises `RequestError` if it is no boolean."""
    stream = options.pop("stream", None)
    if stream is not None and not isinstance(stream, bool):
        raise RequestError("`stream` must be True or False", "stream")
    return bool(stream)


def check_timeout(options: Mapping[str, Any]) -> None:
    """Raise `RequestError` for httpx's `Timeout`, which is of one read and not of the response."""
    for name in ("timeout", "request_timeout"):
        if hasattr(options.get(name), "connect"):
            raise RequestError(
                f"`{name}` must be the seconds until the response is complete; a `Timeout` of "
                "httpx applies with `http_client=httpx.Client(timeout=…)`",
                name,
            )
