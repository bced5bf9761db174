"""
The fields of `fanout` that say what is done with the responses: checks, agreement, a judge.

Loaded for the first request that has a `fanout` only. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import RequestError
from .request import ChatRequest, Check, Strategy

if TYPE_CHECKING:
    from .agreement import Agree
    from .gateway_fields import FanOutField, GatewayFields, Mode
    from .judging import Judging

AGREE_FIELDS = ("k", "on", "start", "lead", "confidence", "weights")
JUDGE_FIELDS = ("judge", "criteria")
JUDGED: frozenset[Mode] = frozenset({"best", "merge"})


def read_strategy(
    fields: GatewayFields,
    fanout: FanOutField,
    chat: ChatRequest,
    models: tuple[str, ...],
    mode: Mode,
) -> Strategy:
    """What the fields say; raises `RequestError` for those that do not fit the mode."""
    is_cascade = mode in {"one", "fallback"} and fanout.start == 1 and _is_checked(fanout)
    own = [name for name in AGREE_FIELDS if not (is_cascade and name == "start")]
    if fanout.once and (mode == "agree" or mode in JUDGED or (mode == "all" and len(models) > 1)):
        raise RequestError(
            f"`fanout.once` cannot be used in mode {mode}, which calls several models: leave it "
            "out, or use the mode fallback",
            "fanout.once",
        )
    _reject(fanout, own if mode != "agree" else (), "`fanout.mode: agree`")
    _reject(fanout, JUDGE_FIELDS if mode not in JUDGED else (), "the modes best and merge")
    if fields.fallbacks and (mode == "agree" or mode in JUDGED):
        raise RequestError(
            f"`fallbacks` cannot be used with `fanout.mode: {mode}`: name all models in "
            "`fanout.models`",
            "fallbacks",
        )
    if fanout.escalate and mode == "agree":
        raise RequestError(
            "`fanout.escalate` cannot be used with `fanout.mode: agree`: list its models in "
            "`fanout.models`, so that each has a vote",
            "fanout.escalate",
        )
    return Strategy(
        _check(fanout, chat),
        _agree(fanout, chat, models, mode),
        _judge(fanout, chat, models, mode),
        is_cascade,
    )


def _reject(fanout: FanOutField, names: Iterable[str], where: str) -> None:
    """Raise `RequestError` for a field that is set in a mode which does not have it."""
    for name in names:
        if getattr(fanout, name) is not None:
            raise RequestError(f"`fanout.{name}` works only with {where}", f"fanout.{name}")


def _is_checked(fanout: FanOutField) -> bool:
    return bool(fanout.check or fanout.attempts or fanout.escalate or fanout.schema is not None)


def _check(fanout: FanOutField, chat: ChatRequest) -> Check | None:
    if not _is_checked(fanout):
        return None
    from .checked import read_check

    return read_check(
        chat,
        check=fanout.check,
        attempts=fanout.attempts,
        escalate=fanout.escalate,
        has_own_schema=fanout.schema is not None,
    )


def _agree(
    fanout: FanOutField, chat: ChatRequest, models: tuple[str, ...], mode: Mode
) -> Agree | None:
    if mode != "agree":
        return None
    from .agreement import read_agree

    return read_agree(chat, models, fanout)


def _judge(
    fanout: FanOutField, chat: ChatRequest, models: tuple[str, ...], mode: Mode
) -> Judging | None:
    if mode not in JUDGED:
        return None
    from .judging import read_judging

    checked = _is_checked(fanout)
    return read_judging(chat, models, mode, fanout.judge, fanout.criteria, is_checked=checked)
