"""The `agree`, `best` and `merge` arguments of `batch_completion_models`: what decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from ..errors import RequestError
from ..schema.agreement import DEFAULT_ACCURACY


class Agreement(TypedDict, total=False):
    """
    When the models agree.

    `k` models must give equal responses (2). `on` is `"json"`, `"text"` or the fields that are
    compared. `start` models run at a time (`k`), or `"all"`. The leader must be `lead` votes ahead,
    and right with the probability `confidence`. `weights` has how often each model is right, from 0
    to 1, by its name or in order: the most accurate ones start first.
    """

    k: int
    on: Literal["json", "text"] | Sequence[str]
    start: int | Literal["all"]
    lead: int
    confidence: float
    weights: Mapping[str, float] | Sequence[float]


class Judge(TypedDict, total=False):
    """The model that reads the responses, and the criteria by which it judges or merges them."""

    judge: str
    criteria: str


def decision_rules(
    models: Sequence[str],
    *,
    agree: int | Agreement | None,
    best: str | Judge | None,
    merge: str | Judge | None,
) -> dict[str, Any]:
    """The fields of `fanout` for the one that is given, empty for none; raises `RequestError`."""
    given = {"agree": agree, "best": best, "merge": merge}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise RequestError(f"`{names[0]}` and `{names[1]}` exclude each other", names[1])
    if agree is not None:
        return agree_rules(agree, models)
    if best is not None:
        return _judge_rules("best", best)
    return {} if merge is None else _judge_rules("merge", merge)


def _judge_rules(mode: str, given: str | Judge) -> dict[str, Any]:
    """The fields of `fanout` for a judge."""
    if not isinstance(given, str | Mapping):
        raise RequestError(f"`{mode}` must be the judge's model name, or a dict", mode)
    rules: dict[str, Any] = {"judge": given} if isinstance(given, str) else {**given}
    if unknown := sorted(rules.keys() - Judge.__annotations__.keys()):
        raise RequestError(f"`{mode}` has no field `{unknown[0]}`", mode)
    judge = rules.get("judge")
    if not isinstance(judge, str) or not judge.strip():
        raise RequestError(f"`{mode}` needs a `judge`: the name of a model", mode)
    if not isinstance(rules.get("criteria") or "", str):
        raise RequestError(f"`{mode}.criteria` must be text", mode)
    found = {**rules, "judge": judge.strip(), "mode": mode}
    return {name: value for name, value in found.items() if value is not None}


def agree_rules(given: int | Agreement, models: Sequence[str]) -> dict[str, Any]:
    """The fields of `fanout`, with a weight for each model in order; raises `RequestError`."""
    if isinstance(given, bool) or not isinstance(given, int | Mapping):
        raise RequestError("`agree` must be how many models must agree, or a dict", "agree")
    rules: dict[str, Any] = {"k": given} if isinstance(given, int) else {**given}
    if unknown := sorted(rules.keys() - Agreement.__annotations__.keys()):
        raise RequestError(f"`agree` has no field `{unknown[0]}`", "agree")
    on = rules.get("on")
    if on is not None and not isinstance(on, str):
        if not isinstance(on, Sequence) or not all(isinstance(name, str) for name in on):
            raise RequestError(
                f"`agree.on` must be `json`, `text` or a list of fields, not `{on!r:.80}`", "agree"
            )
        rules["on"] = list(on)
    weights = rules.get("weights")
    if weights is not None and not isinstance(weights, Mapping | Sequence):
        raise RequestError(
            "`agree.weights` must have a number from 0 to 1 for each model, by name or in order",
            "agree",
        )
    if isinstance(weights, Mapping):
        if others := sorted(weights.keys() - set(models)):
            raise RequestError(f"`agree.weights`: `{others[0]}` is none of the models", "agree")
        rules["weights"] = [weights.get(name, DEFAULT_ACCURACY) for name in models]
    elif weights is not None:
        rules["weights"] = list(weights)
    rules["mode"] = "agree"
    return {name: value for name, value in rules.items() if value is not None}
