"""The models that a request names, and its mode: `model`, `fanout` and `fastest_response`."""

from __future__ import annotations

from ..errors import RequestError, UnknownModel
from .gateway_fields import (
    MAX_MODELS,
    MAX_NAME,
    FanOutField,
    GatewayFields,
    Mode,
)

DEFAULT_STAGGER = 0.5
"""Seconds between two starts in a hedge."""


def models_of(fields: GatewayFields, fanout: FanOutField) -> tuple[str, ...]:
    """The names in `fanout.models`, else in `model`: one name, several with commas, or a list."""
    if fanout.models is not None:
        names, param = fanout.models, "fanout.models"
    elif fields.model is None:
        raise RequestError("`model` is missing", "model", "missing_required_parameter")
    else:
        param = "model"
        if isinstance(fields.model, str):
            if 0 < len(name := fields.model.strip()) <= MAX_NAME and "," not in name:
                return (name,)
            names = fields.model.split(",")
        else:
            names = fields.model
    names = [name.strip() for name in names]
    if not names or not all(names):
        raise RequestError(f"`{param}` has an empty model name; write `a, b`", param)
    if long := [name for name in names if len(name) > MAX_NAME]:
        raise UnknownModel(f"there is no model `{long[0][:128]}…`: the name is too long", param)
    if len(names) > MAX_MODELS:
        raise RequestError(f"`{param}` names {len(names)} models; at most {MAX_MODELS}", param)
    return tuple(names)


def mode_of(fields: GatewayFields, fanout: FanOutField, count: int) -> tuple[Mode, float | None]:
    """The mode, and the seconds between two starts (`None`: the next starts after a failure)."""
    mode = fanout.mode or _default_mode(fields, fanout, count)
    if fields.fastest_response and mode not in {"race", "hedge"}:
        raise RequestError(
            f"`fastest_response` cannot be used with `fanout.mode: {mode}`", "fanout.mode"
        )
    if mode == "one" and count > 1:
        raise RequestError("`fanout.mode: one` needs exactly one model", "fanout.mode")
    if mode in {"race", "hedge"}:
        return _staggered(mode, fanout)
    if fanout.stagger is not None:
        raise RequestError("`fanout.stagger` works only in a race or hedge", "fanout.stagger")
    return mode, None if mode == "fallback" else 0.0


def _default_mode(fields: GatewayFields, fanout: FanOutField, count: int) -> Mode:
    if fanout.start == 1 and count > 1 and not fields.fastest_response:
        return "fallback"  # of a checked request: the next model is asked if no response fits
    if fields.fastest_response or fanout.stagger is not None:
        return "race"
    if count > 1 or isinstance(fields.model, list) or fanout.models:
        return "all"
    return "one"


def _staggered(mode: Mode, fanout: FanOutField) -> tuple[Mode, float | None]:
    """A hedge, if there is a pause between two starts, or else a race."""
    stagger = DEFAULT_STAGGER if fanout.stagger == "p95" else fanout.stagger
    if mode == "race" and not stagger:
        if fanout.once:
            raise RequestError(
                "`fanout.once` cannot be used in a race, which calls all models: leave one of both "
                "out",
                "fanout.once",
            )
        return "race", 0.0
    if fanout.once:
        return "fallback", None
    return "hedge", DEFAULT_STAGGER if stagger is None else stagger
