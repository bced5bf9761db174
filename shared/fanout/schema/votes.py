"""The vote of a response in mode `agree`, or why it has none. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ..wire import json
from .agreement import Agree
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
from .text_keys import text_key, unfenced
from .value_kinds import Kinds

ASK_FOR_JSON = "ask for JSON with `response_format`, or for a last line such as `Answer: B`"


class Vote(Struct, frozen=True):
    """
    A response's vote: responses with the same `key` agree.

    `value` is what was compared, for people. `fields` are the fields of an object that were.
    """

    key: str
    value: Any
    fields: tuple[str, ...] = ()


class NoVote(Struct, frozen=True):
    """Why a response is no vote."""

    reason: str


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
