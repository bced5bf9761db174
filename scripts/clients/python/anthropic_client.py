"""Anthropic's Python SDK against the gateway at `argv[1]`; `python -m scripts.clients` runs it."""

from __future__ import annotations

import sys
import time
from typing import Any

import anthropic
from anthropic import Anthropic, InternalServerError, NotFoundError
from cases import (
    ALL,
    CALLS,
    PROMPT,
    SEEN,
    TOKENS,
    WEATHER,
    check,
    check_first,
    check_weather,
    for_each_vendor,
    run_cases,
)
from pydantic import BaseModel, Field

client = Anthropic(base_url=sys.argv[1].removesuffix("/v1"), api_key="none", max_retries=0)
messages: Any = client.messages
ASK: Any = {"max_tokens": 4000, "messages": [{"role": "user", "content": PROMPT}]}
RACE = {"fastest_response": True}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
MARK = {"type": "ephemeral"}
TOOLS = [{"name": "get_weather", "input_schema": PARAMETERS, "cache_control": MARK}]
THINKING = {"type": "enabled", "budget_tokens": 1024}


class Weather(BaseModel):
    city: str
    degrees: int = Field(ge=-90, le=60)


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def plain() -> str:
    message = messages.create(model="gpt", **ASK)
    check(message.model == "gpt" and message.usage.output_tokens == TOKENS, message)
    return text_of(message)


def streamed() -> str:
    with messages.stream(model="gpt", **ASK) as stream:
        words = list(stream.text_stream)
        message = stream.get_final_message()
    check(len(words) > 1 and message.usage.output_tokens == TOKENS, message)
    check("".join(words) == text_of(message), message)
    return "".join(words)


def all_plain() -> str:
    message = messages.create(model=ALL, **ASK)
    check_first(text_of(message))
    failed, other = message.model_extra["fanout"]["responses"]
    check(other["content"][0]["text"] == "Hello from gpt-4o.", other)
    return str(failed["error"]["message"])


def race() -> str:
    message = messages.create(model="slow, gpt", extra_body=RACE, **ASK)
    check(message.model == "gpt", message)
    return str(message.model)


def race_streamed() -> str:
    with messages.stream(model="slow, gpt", extra_body=RACE, **ASK) as stream:
        message = stream.get_final_message()
    check(message.model == "gpt" and text_of(message) == "Hello from gpt-4o.", message)
    return str(message.model)


def tools(model: str) -> str:
    """Two turns plain, then two turns streamed; the model's content is sent back as it is."""
    more = {"thinking": THINKING} if model == "thinker" else {}
    for ask in (messages.create, ask_streamed):
        said: list[Any] = [{"role": "user", "content": WEATHER}]
        rest: Any = {"model": model, "max_tokens": 4000, "tools": TOOLS, **more}
        called = ask(messages=said, **rest)
        calls = [block for block in called.content if block.type == "tool_use"]
        check(called.stop_reason == "tool_use" and len(calls) == CALLS, called)
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call.id,
                "content": f"7 degrees in {call.input['city']}",
            }
            for call in calls
        ]
        said += [{"role": "assistant", "content": called.content}]
        said += [{"role": "user", "content": results}]
        response = check_weather(text_of(ask(messages=said, **rest)))
    return response


def ask_streamed(**fields: Any) -> Any:
    with messages.stream(**fields) as stream:
        return stream.get_final_message()


def structured(model: str) -> str:
    found = messages.parse(model=model, output_format=Weather, **ASK).parsed_output
    check(found == Weather(city="Oslo", degrees=7), found)
    return repr(found)


def unknown_model() -> str:
    try:
        messages.create(model="no-such-model", **ASK)
    except NotFoundError as raised:
        body: Any = raised.body
        check(body["error"]["type"] == "not_found_error", body)
        return f"{type(raised).__name__}: {body['error']['type']}"
    raise AssertionError("no error was raised")


def error() -> str:
    try:
        messages.create(model="failing", **ASK)
    except InternalServerError as raised:
        return f"{type(raised).__name__}: {raised.status_code}"
    raise AssertionError("no error was raised")


def cancelled() -> str:
    words = 0
    with messages.stream(model="endless", **ASK) as stream:
        for _ in stream.text_stream:
            words += 1
            if words == SEEN:
                break
    time.sleep(0.3)
    return f"after {words} words"


run_cases(
    f"anthropic {anthropic.__version__} (Python)",
    {
        "cancelled": cancelled,
        "plain": plain,
        "streamed": streamed,
        "all, one fails": all_plain,
        "race": race,
        "race, streamed": race_streamed,
        **for_each_vendor("tools", tools),
        **for_each_vendor("structured", structured),
        "unknown model": unknown_model,
        "error": error,
    },
)
