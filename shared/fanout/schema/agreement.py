"""
How a request's responses agree: the fields of `fanout` for mode `agree`, and a response's vote.

Loaded for the first request in this mode only. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from msgspec import Struct
from msgspec.structs import replace

from ..errors import RequestError
from .chat import ChatCompletion
from .request import ChatRequest, JSONFormat, SchemaFormat

DEFAULT_K = 2
"""Models that must agree, if the request does not say how many."""

DEFAULT_ACCURACY = 0.8
"""How often a model is right whose accuracy the request does not give."""

MAX_ON = 50
"""The most fields that `on` may name."""


class Agree(Struct, frozen=True):
    """
    When the responses of several models decide.

    `k` of them must be equal in `on`: the whole JSON, the text, or the named fields. `start` models
    run at a time. The leader must be `lead` votes ahead. With `confidence`, its answer must be
    right with that probability, by the models' `accuracies` (in the order of the request's models).
    `order` is the order in which they start. `given` are the request's fields. A
    response that `accepts` returns true for goes before others that agree.
    """

    k: int
    on: Literal["json", "text"] | tuple[str, ...]
    start: int
    order: tuple[int, ...]
    accuracies: tuple[float, ...]
    lead: int = 1
    confidence: float | None = None
    given: Any = None
    accepts: Callable[[ChatCompletion], bool] | None = None

    def of(self, chat: ChatRequest, models: Sequence[str]) -> Agree:
        """The same rules for other models: those that the request's name stands for."""
        return replace(read_agree(chat, models, self.given), accepts=self.accepts)

    def check_models(self) -> None:
        """Raise `RequestError` if there is only one model."""
        if len(self.accuracies) < DEFAULT_K:
            raise RequestError(
                "`fanout.mode: agree` needs at least two models: name them in `fanout.models`",
                "fanout.models",
            )


class Ballot(TypedDict):
    """An answer, and the models that gave it; `value` is what was compared."""

    value: Any
    votes: int
    models: list[str]


class AgreeReport(TypedDict):
    """
    How the models voted: the `agree` field of a response's report.

    `calls` were made and `calls_saved` were not; `saved_usd` is what those would have cost with the
    tokens of this response. `final_probability` is that of the leader after all votes;
    `confidence` is how probably its answer is right.
    """

    decided: bool
    k: int
    on: Literal["json", "text", "fields"]
    fields: list[str]
    votes: list[Ballot]
    calls: int
    calls_saved: int
    saved_usd: float | None
    final_probability: float
    confidence: NotRequired[float]


class AgreeFields(Protocol):
    """The fields of `fanout` for this mode."""

    @property
    def k(self) -> int | None: ...

    @property
    def on(self) -> str | list[str] | None: ...

    @property
    def start(self) -> int | Literal["all"] | None: ...

    @property
    def lead(self) -> int | None: ...

    @property
    def confidence(self) -> float | None: ...

    @property
    def weights(self) -> dict[str, float] | list[float] | None: ...


def read_agree(chat: ChatRequest, models: Sequence[str], given: AgreeFields) -> Agree:
    """The rules for `models`; raises `RequestError` with the field's name."""
    count = len(models)
    _check_request(chat)
    votes = DEFAULT_K if given.k is None else given.k
    if count < DEFAULT_K:  # the name may stand for several models: see `check_models`
        return Agree(votes, _read_on(given.on, chat), 1, (0,), (DEFAULT_ACCURACY,), given=given)
    if votes > count:
        raise RequestError(
            f"`fanout.k` is {votes}, but there are {count} models: they can never agree", "fanout.k"
        )
    lead = given.lead or 1
    if lead > count:
        raise RequestError(f"`fanout.lead` is {lead}, but there are {count} models", "fanout.lead")
    weights = given.weights
    accuracies = _accuracies(models, weights)
    order = sorted(range(count), key=lambda index: -accuracies[index]) if weights else range(count)
    first = votes if given.start is None else count if given.start == "all" else given.start
    return Agree(
        votes,
        _read_on(given.on, chat),
        min(first, count),
        tuple(order),
        accuracies,
        lead,
        given.confidence,
        given,
    )


def _check_request(chat: ChatRequest) -> None:
    """Raise `RequestError` for what cannot be voted on."""
    if chat.n is not None and chat.n > 1:
        raise RequestError("`n` must be 1 with `fanout.mode: agree`: each model has one vote", "n")
    if chat.tools or chat.functions:
        name = "tools" if chat.tools else "functions"
        raise RequestError(
            f"`{name}` cannot be used with `fanout.mode: agree`: texts and JSON are compared", name
        )


def _accuracies(
    models: Sequence[str], weights: Mapping[str, float] | Sequence[float] | None
) -> tuple[float, ...]:
    param = "fanout.weights"
    if weights is None:
        return (DEFAULT_ACCURACY,) * len(models)
    if isinstance(weights, Mapping):
        if unknown := sorted(weights.keys() - set(models)):
            raise RequestError(f"`{param}`: `{unknown[0][:128]}` is none of the models", param)
        return tuple(weights.get(name, DEFAULT_ACCURACY) for name in models)
    if len(weights) != len(models):
        raise RequestError(
            f"`{param}` has {len(weights)} numbers for {len(models)} models: give one for each",
            param,
        )
    return tuple(weights)


def _read_on(
    on: str | Sequence[str] | None, chat: ChatRequest
) -> Literal["json", "text"] | tuple[str, ...]:
    param = "fanout.on"
    if on is None:
        is_json = isinstance(chat.response_format, JSONFormat | SchemaFormat)
        return "json" if is_json else "text"
    if isinstance(on, str):
        if on == "json":
            return "json"
        if on == "text":
            return "text"
        raise RequestError(f'`{param}` must be "json", "text" or a list of fields', param)
    if not on or not all(on):
        raise RequestError(f"`{param}` must name at least one field", param)
    if wrong := [path for path in on if not all(path.split("."))]:
        raise RequestError(
            f"`{param}`: `{wrong[0]:.128}` has an empty name: write a field such as `price.amount`",
            param,
        )
    if len(on) > MAX_ON:
        raise RequestError(f"`{param}` has {len(on)} fields; at most {MAX_ON}", param)
    return tuple(on)
