"""A line to the gateway: checked as a caller's request is, for the models that its key may use."""

from __future__ import annotations

from collections.abc import Collection

from ..config.resolve import Catalog
from ..errors import FanoutError, Forbidden
from ..gateway import Context, Gateway
from ..observe import Observer
from ..schema.fanout import parse_request
from .adapt import Adaptive
from .costs import Costs
from .insist import Ask, Asked
from .lines import BadLine, Line

ASSUMED = 500
"""Tokens of an answer whose request sets no limit, where a number is needed beforehand."""


def make_ask(
    gateway: Gateway, caller: str, allowed: Collection[str] | None, observer: Observer
) -> Ask:
    """The function that a worker asks with."""

    async def ask(asked: Asked, pace: Adaptive) -> object:
        request = parse_request({**asked.line.body, "stream": False})
        for name in sorted(request.names):
            if allowed is not None and name not in allowed:
                raise Forbidden(f"the key `{caller}` may not use the model `{name}`", "model")
        context = Context(asked.request_id, caller, asked.deadline, pace)
        try:
            return (await gateway.answer(request, context)).body
        except FanoutError:
            raise
        except Exception as error:
            observer.bug(asked.request_id, error)
            raise

    return ask


def check_model(catalog: Catalog, caller: str, allowed: Collection[str] | None, name: str) -> None:
    """Refuse, before anything is paid for, a name that is unknown or not this key's to use."""
    if allowed is not None and name not in allowed:
        said = f"The key `{caller}` may not use the model `{name}`."
        raise BadLine("model_not_allowed", said, "body.model")
    try:
        catalog.find(name)
    except FanoutError as error:
        raise BadLine("model_not_found", f"{error}.", "body.model") from None


def models_of(line: Line) -> list[str]:
    """The names that a line asks."""
    fanout = line.body.get("fanout") or {}
    given = fanout.get("models") or line.body.get("model") or []
    names = given.split(",") if isinstance(given, str) else given
    return [name.strip() for name in names]


def answer_limit(line: Line) -> int | None:
    """The most tokens of its answers that a line allows; `None` if it sets no limit."""
    limit = line.body.get("max_completion_tokens") or line.body.get("max_tokens")
    count = line.body.get("n") or 1
    return limit * count if isinstance(limit, int) and isinstance(count, int) else None


def estimate(costs: Costs, line: Line, size: int) -> float:
    """Dollars that a line may cost: four bytes a token in, its own limit out."""
    total = 0.0
    for name in models_of(line):
        if rate := costs.rate(name):
            total += rate.sent * size / 4 + rate.got * (answer_limit(line) or ASSUMED)
    return total
