"""
The responses of a job's lines as the rows of a table.

`responses_of` and `row_values` make the rows of every output: CSV, TSV, JSONL and Parquet. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...telemetry.prices import count_of, to_dollars
from ...wire import json
from ..totals import LineCost, failed_calls, invalid_calls, paid_calls, responses_in
from ..work.result_lines import StoredResult

RESPONSE_COLUMN = "answer"
ADDED = ("error", "model", "tokens", "cost_usd")
"""The columns after `answer`, or after those of the responses' schema."""
ADDED_TYPES = ("string", "string", "integer", "number")
"""Their types, as JSON Schema has them."""

MAX_QUOTED = 200
"""Characters of a response that is not the JSON that it should be, in the column `error`."""


class RowResponse(Struct, frozen=True, array_like=True):
    """One response of a line: its text or its error, and what it used. The cost is in dollars."""

    text: str | None
    error: str | None = None
    model: str | None = None
    tokens: int | None = None
    cost_usd: float | None = None


def responses_of(
    result: StoredResult, model: str | None, cost: Callable[[object], LineCost]
) -> list[RowResponse]:
    """
    The responses of a line: one, or one for each model, choice and conversation.

    `model` is that of a line that failed, if none of its calls is known.
    """
    if result.error is not None:
        return [_failed({"error": result.error}, model, cost)]
    found = [one for response in responses_in(result.body) for one in _responses(response, cost)]
    found = found or [RowResponse(None, "the response is empty", model)]
    if result.unlisted:
        found[0] = _with_calls(found[0], result.unlisted, cost)
    return found


def _with_calls(
    response: RowResponse,
    calls: Sequence[Mapping[str, Any]],
    cost: Callable[[object], LineCost],
) -> RowResponse:
    """A line's first response with what the calls have used that it does not list."""
    more = cost(paid_calls(calls))
    usages = [one["usage"] for one in calls if isinstance(one.get("usage"), dict)]
    tokens = sum(count_of(usage.get("total_tokens")) for usage in usages)
    dollars = round(to_dollars(more.nanodollars), 9) + (response.cost_usd or 0.0)
    is_known = more.is_complete and (response.tokens is None or response.cost_usd is not None)
    return replace(
        response,
        tokens=tokens + (response.tokens or 0),
        cost_usd=round(dollars, 9) if is_known else None,
    )


def _responses(
    response: Mapping[str, Any], cost: Callable[[object], LineCost]
) -> list[RowResponse]:
    choices = response.get("choices")
    if not isinstance(choices, list):  # a failed model in LiteLLM's list
        return [_failed(response, _text_or_none(response.get("model")), cost)]
    found = []
    for index, choice in enumerate(one for one in choices if isinstance(one, dict)):
        # Choices of several models have their own usage; other choices share the response's.
        used = choice if "model" in choice else response if index == 0 else {}
        found.append(_response(choice, used, response, cost))
    return found


def _response(
    choice: Mapping[str, Any],
    used: Mapping[str, Any],
    response: Mapping[str, Any],
    cost: Callable[[object], LineCost],
) -> RowResponse:
    model = _text_or_none(choice.get("model", response.get("model")))
    tokens, dollars = _used(used, cost)
    error = choice.get("error")
    if isinstance(error, dict):
        return RowResponse(None, _error_text(error), model, tokens, dollars)
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    text = _text_or_none(message.get("content"))
    if text is None and message.get("tool_calls"):
        text = json.encode(message["tool_calls"]).decode()
    refusal = message.get("refusal")
    reason = f"refused: {refusal}" if text is None and refusal else None
    return RowResponse(text, reason, model, tokens, dollars)


def _failed(
    response: Mapping[str, Any], model: str | None, cost: Callable[[object], LineCost]
) -> RowResponse:
    """A response that is only an error, with what its calls have used and the last one's model."""
    error = response.get("error")
    calls = failed_calls(response)
    last = _text_or_none(calls[-1].get("model")) if calls else None
    text = _error_text(error if isinstance(error, dict) else {})
    return RowResponse(None, text, last or model, *_used(response, cost))


def _used(
    response: Mapping[str, Any], cost: Callable[[object], LineCost]
) -> tuple[int | None, float | None]:
    """The tokens and dollars of a response and of the calls before it that were not valid."""
    calls = [response, *invalid_calls(response), *failed_calls(response)]
    usages = [one["usage"] for one in calls if isinstance(one.get("usage"), dict)]
    if not usages:
        return None, None
    found = cost(response)
    dollars = round(to_dollars(found.nanodollars), 9) if found.is_complete else None
    return sum(count_of(usage.get("total_tokens")) for usage in usages), dollars


def _text_or_none(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.encode(value).decode()


def _error_text(error: Mapping[str, Any]) -> str:
    message, code = error.get("message"), error.get("code")
    text = str(message or "the request failed")
    return f"{text} ({code})" if code else text


def added_columns(columns: Sequence[str], fields: Mapping[str, str]) -> list[str]:
    """The names of the columns after the input's; one that is there already gets a number."""
    names: list[str] = []
    for name in (*(fields or (RESPONSE_COLUMN,)), *ADDED):
        number, unique = 1, name
        while unique in columns or unique in names:
            number += 1
            unique = f"{name}_{number}"
        names.append(unique)
    return names


def row_values(response: RowResponse, fields: Mapping[str, str]) -> list[object]:
    """The values of the added columns."""
    error = response.error
    texts: list[object] = [response.text]
    if fields:
        texts, wrong = _fields_of(response.text, fields)
        error = error or wrong
    return [*texts, error, response.model, response.tokens, response.cost_usd]


def _fields_of(text: str | None, fields: Mapping[str, str]) -> tuple[list[object], str | None]:
    """The properties of the JSON object that the text is; else why there are none."""
    empty: list[object] = [None] * len(fields)
    if text is None:
        return empty, None
    try:
        value = json.decode(text)
    except (*json.NOT_JSON, RecursionError):
        value = None
    if not isinstance(value, dict):
        shown = text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
        return empty, f"the response is not a JSON object: {shown}"
    return [value.get(name) for name in fields], None
