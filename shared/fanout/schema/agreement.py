"""
How a request's responses agree: the fields of `fanout` for mode `agree`, and a response's vote.

Loaded for the first request in this mode only. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NotRequired, Protocol, TypedDict

from msgspec import Struct
from msgspec.structs import replace

from ..errors import RequestError
from ..wire import json
from .canonical import (
    MISSING,
    canonical,
    field_of,
    json_key,
    schema_at,
    shown,
)
from .chat import ChatCompletion
from .free_text import compared_part
from .request import ChatRequest, JSONFormat, SchemaFormat
from .text_keys import text_key, unfenced
from .value_kinds import Kinds

DEFAULT_K = 2
"""Models that must agree, if the request does not say how many."""

DEFAULT_ACCURACY = 0.8
"""How often a model is right whose accuracy the request does not give."""

MAX_ON = 50
"""The most fields that `on` may name."""

ASK_FOR_JSON = "ask for JSON with `response_format`, or for a last line such as `Answer: B`"


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


class Vote(Struct, frozen=True):
    """
    A response's vote: responses with the same `key` agree.

    `value` is what was compared, for people. `fields` are the fields of an object that were.
    """

    key: str
    value: Any
    fields: tuple[str, ...] = ()


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


class NoVote(Struct, frozen=True):
    """Why a response is no vote."""

    reason: str


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


def vote_of(
    completion: ChatCompletion, agree: Agree, schema: Mapping[str, Any] | None
) -> Vote | NoVote:
    """The vote of a response, or why it has none: a failure, a cut-off or nothing to compare."""
    if (reason := _missing_vote(completion)) is not None:
        return NoVote(reason)
    message: Mapping[str, Any] = completion["choices"][0]["message"]
    text = message["content"]
    if agree.on == "text":
        return _vote_on_text(text)
    try:
        data = unfenced(text).encode()
        value = json.decode_strict(data)
    except (json.BadJSON, UnicodeEncodeError):
        return NoVote(f"the text is not JSON: {ASK_FOR_JSON}")
    exact = json.decode_exact(data) if _LONG_NUMBER.search(data) else value
    if isinstance(agree.on, tuple):
        return _vote_on(value, exact, agree.on, schema)
    return _vote_on_all(value, exact, schema)


def _vote_on_text(text: str) -> Vote | NoVote:
    key = text_key(text)
    if key is None:
        return NoVote(f"the text is too long to be compared: {ASK_FOR_JSON}")
    return Vote(key, key) if key else NoVote("there is no answer after the label `Answer:`")


_LONG_NUMBER = re.compile(rb"\d[\d.]{15}")
"""Digits of which a float does not keep all."""


def _missing_vote(completion: ChatCompletion) -> str | None:
    """Why a response has no text that is its answer; `None` if it has one."""
    if not completion["choices"]:
        return "the response has no choices"
    choice = completion["choices"][0]
    message: Mapping[str, Any] = choice["message"]
    if message.get("refusal"):
        return "the model refused to respond"
    if choice.get("finish_reason") in ENDED_EARLY:
        return ENDED_EARLY[choice["finish_reason"]]
    text = message.get("content")
    return None if isinstance(text, str) and text.strip() else "the response has no text"


ENDED_EARLY: Mapping[str | None, str] = {
    "length": "the response was cut off at the most tokens that it may have",
    "content_filter": "the provider's content filter ended the response",
}
"""Finish reasons of responses that have no vote."""


def _vote_on(
    value: Any, exact: Any, paths: tuple[str, ...], schema: Mapping[str, Any] | None
) -> Vote | NoVote:
    """
    The vote by named fields of the JSON; `exact` has the numbers without a loss.

    A field that may be null by the schema may be missing. One that is missing otherwise is no
    answer: if all are, there is no vote.
    """
    kinds = Kinds(schema)
    keys = [_key_at(exact, kinds, path) for path in paths]
    if all(key is MISSING for key in keys):
        return NoVote(f"the JSON has no `{paths[0]}`")
    key = json.encode([["missing"] if one is MISSING else one for one in keys]).decode()
    found = {path: shown(field_of(value, path), field_of(exact, path)) for path in paths}
    return Vote(key, {path: None if one is MISSING else one for path, one in found.items()}, paths)


def _key_at(exact: Any, kinds: Kinds, path: str) -> Any:
    """The canonical form of what is at a path; `MISSING` if that is nothing, and may not be."""
    found, schema = field_of(exact, path), schema_at(kinds, exact, path)
    if found is MISSING:
        return None if kinds.allows_null(schema) else MISSING
    return canonical(found, kinds, schema)


def _vote_on_all(value: Any, exact: Any, schema: Mapping[str, Any] | None) -> Vote:
    """The vote by the whole JSON, without free text."""
    found, compared = compared_part(value, schema), compared_part(exact, schema)
    key = json_key(compared.value, schema)
    return Vote(key, shown(found.value, compared.value), found.fields)
