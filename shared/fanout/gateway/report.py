"""
What a race, hedge or fallback has come to: the report of its calls, or its error. Pure.

The report has each model's outcome, times, usage and cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NotRequired, TypeAlias, TypedDict

from ..concurrency import Cancelled, Failure, RaceOutcome, RaceResult, Success
from ..errors import AllFailed, Broken, Busy, Cause, ErrorDetail, detail_of, withdrawal_of
from ..routing.leg import Leg
from ..schema.chat import ChatCompletion, Usage
from ..schema.gateway_fields import Mode
from ..telemetry.prices import cost_of, nanodollars_of_usage, to_dollars

if TYPE_CHECKING:
    from ..schema.agreement import AgreeReport
    from ..schema.judging import JudgeReport

_NONE: Mapping[str, Any] = {}

AttemptOutcome: TypeAlias = Literal[
    "won",
    "cancelled",
    "failed",
    "not_started",
    "invalid",
    "agreed",
    "dissented",
    "no_vote",
    "lost",
    "merged",
    "judged",
]


class Attempt(TypedDict):
    """
    One model's outcome in a race, hedge or fallback; times in milliseconds.

    In a checked request it is one call's, and `invalid` if the response does not fit the schema. In
    mode `agree`, responses that are not used have `agreed`, `dissented`, or have `no_vote`. Those
    that a judge does not choose have `lost`; those of which it makes one are `merged`. A call of
    the judge is `judged`.
    """

    model: str
    outcome: AttemptOutcome
    first_token_ms: float | None
    duration_ms: float | None
    error: Any
    usage: Usage | None
    cost_usd: float | None
    service_tier: NotRequired[str]
    fallback_of: NotRequired[str]
    billing: Literal["stops", "continues", "unknown"] | None


class Report(TypedDict):
    """The `fanout` field of a response."""

    mode: Mode
    attempts: list[Attempt]
    cost_usd: NotRequired[float | None]
    agree: NotRequired[AgreeReport]
    judge: NotRequired[JudgeReport]


def make_report(
    mode: Mode,
    legs: Sequence[Leg],
    outcomes: Sequence[RaceOutcome[Any]],
    started: float,
    ended: float,
) -> Report:
    """
    The `fanout` field of a response to a race that started at `started`.

    `ended` is the end of the winner's response; a stream ends later than its race.
    """
    attempts = [
        attempt
        for leg, outcome in zip(legs, outcomes, strict=True)
        for attempt in _attempts(leg, outcome, started, ended)
    ]
    report = Report(mode=mode, attempts=attempts)
    if (cost := total_cost(legs)) is not None:
        report["cost_usd"] = cost
    return report


def mode_of(mode: Mode, leg: Leg) -> Mode:
    """The mode of a response to a request: that of one model is `fallback` once that was needed."""
    return "fallback" if leg.fallbacks and mode in {"one", "all"} else mode


def reported_mode(completion: Mapping[str, Any], mode: Mode) -> Mode:
    """The mode that the report of a response names, or else that of its request."""
    found: Mode = completion.get("fanout", _NONE).get("mode", mode)
    return found


def is_merged(completion: Mapping[str, Any]) -> bool:
    """Whether a judge has made the response of several models'."""
    judged = completion.get("fanout", _NONE).get("judge")
    return judged is not None and judged["outcome"] == "merged"


def is_undecided(completion: Mapping[str, Any]) -> bool:
    """Whether the models did not agree, so that the response is none of theirs."""
    votes = completion.get("fanout", _NONE).get("agree")
    return votes is not None and not votes["decided"]


class Dropped(NamedTuple):
    """
    What some model did not get of the client's request, or in another form; each name once.

    `translated`: some model got a request that was made of the client's, of another API. So it did
    not get either what such a request has no place for.
    """

    names: tuple[str, ...] = ()
    translated: bool = False


NOTHING = Dropped()


def dropped_by(calls: Iterable[tuple[Iterable[str], bool]]) -> Dropped:
    """What some of these calls did not have, each of which was translated or was not."""
    listed = list(calls)
    names = dict.fromkeys(name for names, _ in listed for name in names)
    return Dropped(tuple(names), any(translated for _, translated in listed))


def all_dropped(legs: Iterable[Leg]) -> Dropped:
    """What the models of these legs did not get."""
    return dropped_by((leg.latest.dropped, leg.latest.translated) for leg in legs)


def winners_dropped(legs: Sequence[Leg], completion: Mapping[str, Any]) -> Dropped:
    """What the model that responded did not get; all, if the response is of none or of several."""
    if is_undecided(completion) or is_merged(completion):
        return all_dropped(legs)
    model = completion["model"]
    won = [leg for leg in legs if leg.responding_model == model]
    return all_dropped(won[:1] or legs)


def total_cost(legs: Sequence[Leg]) -> float | None:
    """The cost of these legs in US dollars; `None` if no cost is known."""
    called = [one for leg in legs for one in leg.called]
    costs = [
        nanodollars_of_usage(leg.deployment, leg.usage, leg.tier)
        for leg in called
        if leg.deployment
    ]
    known = [cost for cost in costs if cost is not None]
    return to_dollars(sum(known)) if known else None


def _attempts(
    leg: Leg, outcome: RaceOutcome[Any], started: float, ended: float
) -> Iterator[Attempt]:
    """The leg's own attempt, then those of its fallbacks; the `outcome` is that of the last one."""
    yield _attempt(leg, leg.failure or outcome, started, ended)
    for number, fallback in enumerate(leg.fallbacks, 1):
        found = outcome if number == len(leg.fallbacks) else None
        yield from _attempts(fallback, found, started, ended)


def _attempt(leg: Leg, outcome: RaceOutcome[Any], started: float, ended: float) -> Attempt:
    deployment = leg.deployment
    was_cancelled = deployment is not None and isinstance(outcome, Cancelled)
    duration = (
        ended - started if isinstance(outcome, Success) else outcome.elapsed if outcome else None
    )
    attempt = Attempt(
        model=leg.model,
        outcome=_outcome_name(outcome),
        first_token_ms=_milliseconds(leg.first_token, started),
        duration_ms=_milliseconds(duration),
        error=_error(outcome.error) if isinstance(outcome, Failure) else None,
        usage=leg.usage,
        cost_usd=cost_of(deployment, leg.usage, leg.tier) if deployment else None,
        billing=leg.billing if was_cancelled else None,
    )
    if leg.tier is not None:
        attempt["service_tier"] = leg.tier
    if leg.fallback_of:
        attempt["fallback_of"] = leg.fallback_of
    return attempt


def call_attempt(
    leg: Leg,
    outcome: AttemptOutcome,
    since: float,
    span: tuple[float, float],
    error: Exception | None = None,
    tier: str | None = None,
) -> Attempt:
    """
    One call of a leg, whose `span` is its start and its end; its first token counts from `since`.

    Its cost is that of the service tier.
    """
    deployment = leg.deployment
    return Attempt(
        model=leg.model,
        outcome=outcome,
        first_token_ms=_milliseconds(leg.first_token, since),
        duration_ms=_milliseconds(span[1], span[0]),
        error=None if error is None else _error(error),
        usage=leg.usage,
        cost_usd=cost_of(deployment, leg.usage, tier) if deployment else None,
        billing=leg.billing if outcome == "cancelled" else None,
    )


def _error(error: Exception) -> dict[str, Any]:
    from ..schema.error import error_object

    return error_object(detail_of(error))


def _milliseconds(moment: float | None, since: float = 0.0) -> float | None:
    return None if moment is None else round((moment - since) * 1000, 1)


def _outcome_name(outcome: RaceOutcome[Any]) -> Any:
    match outcome:
        case None:
            return "not_started"
        case Success():
            return "won"
        case Failure():
            return "failed"
        case Cancelled():
            return "cancelled"


def all_failed(legs: Sequence[Leg], result: RaceResult[Any]) -> Exception:
    """
    `AllFailed` with every error, in call order; if only one model ran, its own error.

    The errors of a model whose fallbacks failed, too, are its own and theirs. If the client has
    lost a right, the error is that: without it, another call would have been made.
    """
    failures: list[Cause] = []
    for leg, outcome in zip(legs, result.outcomes, strict=True):
        if isinstance(outcome, Failure):
            error = outcome.error
            failures += (
                error.failures if isinstance(error, AllFailed) else [Cause(leg.model, error)]
            )
    if (withdrawal := withdrawal_of(one.error for one in failures)) is not None:
        return withdrawal
    is_one = len(failures) == 1 or all(isinstance(cause.error, Busy) for cause in failures)
    return failures[0].error if is_one else AllFailed(failures)


def empty_winner(
    result: RaceResult[ChatCompletion],
    empty: Mapping[int, Success[ChatCompletion]],
    legs: Sequence[Leg],
) -> RaceResult[ChatCompletion]:
    """The race that no response with content has won: its first empty one has, if there is one."""
    for place in empty:
        index = next(i for i, leg in enumerate(legs) if id(leg) == place)
        outcomes = [*result.outcomes[:index], empty[place], *result.outcomes[index + 1 :]]
        return RaceResult(index, outcomes)
    return result


def empty_error(legs: Sequence[Leg]) -> Callable[[int], Exception]:
    """What makes the error of a leg whose stream has ended without content."""

    def error(index: int) -> Exception:
        deployment = legs[index].latest.deployment
        if deployment is None:
            raise AssertionError("a stream that ended was never opened")
        return Broken(deployment, ErrorDetail("the response ended without any content"))

    return error
