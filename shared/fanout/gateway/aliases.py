"""Replaces a config's name for several models by the models, in the mode that it has."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from ..config.routes import ModelSet
from ..errors import RequestError
from ..schema.fanout import MAX_CALLS, FanOutRequest


def expanded(request: FanOutRequest, sets: Mapping[str, ModelSet]) -> FanOutRequest:
    """
    The request for the models of its name; a mode that the request sets counts.

    Raises `RequestError` if it names other models beside it.
    """
    if len(request.models) > 1:
        name = min(sets.keys() & set(request.models))
        listed = ", ".join(sets[name].models)
        raise RequestError(
            f"`{name}` stands for several models: send it alone, or name its models: {listed}",
            "model",
        )
    found = sets[request.models[0]]
    if (calls := len(request.conversations) * len(found.models)) > MAX_CALLS:
        raise RequestError(
            f"the request needs {calls} calls to models; the limit is {MAX_CALLS}", "messages"
        )
    if request.once and request.mode == "all":
        raise _not_once(request)
    if request.mode != "one":
        agree = request.agree and request.agree.of(request.conversations[0], found.models)
        return replace(request, models=found.models, alias=request.models[0], agree=agree)
    stagger = None if found.mode == "fallback" else found.stagger or 0.0
    mode = "hedge" if found.mode == "race" and found.stagger else found.mode
    if request.is_cascade or (request.once and mode == "hedge"):
        mode, stagger = "fallback", None
    elif request.once and mode != "fallback":
        raise _not_once(request)
    return replace(
        request, models=found.models, mode=mode, stagger=stagger, alias=request.models[0]
    )


def _not_once(request: FanOutRequest) -> RequestError:
    return RequestError(
        f"`fanout.once` cannot be used with `{request.models[0]}`, which calls several models: "
        "leave it out, or name one model",
        "fanout.once",
    )
