"""OpenAI's Python SDK with `/v1/responses` at `argv[1]`; `python -m scripts.clients` runs it."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import openai
from cases import (
    ALL,
    CALLS,
    PROMPT,
    SEEN,
    TOKENS,
    WEATHER,
    check,
    check_weather,
    for_each_vendor,
    run_cases,
)
from openai import InternalServerError, NotFoundError, OpenAI
from pydantic import BaseModel, Field

client = OpenAI(base_url=sys.argv[1], api_key="none")
responses = client.responses
RACE = {"fastest_response": True}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: Any = [{"type": "function", "name": "get_weather", "strict": True, "parameters": PARAMETERS}]


class Weather(BaseModel):
    city: str
    degrees: int = Field(ge=-90, le=60)


def plain() -> str:
    response = responses.create(model="gpt", input=PROMPT)
    check(response.model == "gpt", response)
    check(response.usage and response.usage.output_tokens == TOKENS, response)
    return response.output_text


def final(**fields: Any) -> Any:
    """The response that the SDK's helper makes of a stream."""
    with responses.stream(**fields) as stream:
        return stream.get_final_response()


def streamed() -> str:
    with responses.stream(model="gpt", input=PROMPT) as stream:
        words = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    check(len(words) > 1 and response.usage, response)
    check("".join(words) == response.output_text, response)
    return response.output_text


def check_every(response: Any) -> str:
    """The first response is the output, and the others are in `fanout`."""
    check(response.output_text in {"Hello from slow.", "Hello from gpt-4o."}, response)
    others = (response.model_extra or {})["fanout"]["responses"]
    check(sorted(one["status"] for one in others) == ["completed", "failed"], others)
    return next(str(one["error"]["message"]) for one in others if one["error"])


def all_plain() -> str:
    return check_every(responses.create(model=ALL, input=PROMPT))


def all_streamed() -> str:
    return check_every(final(model=ALL, input=PROMPT))


def race() -> str:
    response = responses.create(model="slow, gpt", input=PROMPT, extra_body=RACE)
    check(response.model == "gpt", response)
    return response.model


def race_streamed() -> str:
    response = final(model="slow, gpt", input=PROMPT, extra_body=RACE)
    check((response.model, response.output_text) == ("gpt", "Hello from gpt-4o."), response)
    return str(response.model)


def tools(model: str) -> str:
    """Two turns plain, then two turns streamed; the output is sent back as it is."""
    for ask in (responses.create, final):
        items: list[Any] = [{"role": "user", "content": WEATHER}]
        called = ask(model=model, input=items, tools=TOOLS)
        calls = [item for item in called.output if item.type == "function_call"]
        check(len(calls) == CALLS, called)
        items += called.output
        for call in calls:
            found = f"7 degrees in {json.loads(call.arguments)['city']}"
            output = {"type": "function_call_output", "call_id": call.call_id, "output": found}
            items.append(output)
        response = check_weather(ask(model=model, input=items, tools=TOOLS).output_text)
    return response


def structured(model: str) -> str:
    response = responses.parse(model=model, input=PROMPT, text_format=Weather)
    check(response.output_parsed == Weather(city="Oslo", degrees=7), response)
    return repr(response.output_parsed)


def unknown_model() -> str:
    try:
        responses.create(model="no-such-model", input=PROMPT)
    except NotFoundError as raised:
        check(raised.code == "model_not_found", raised.code)
        return f"{type(raised).__name__}: {raised.code}"
    raise AssertionError("no error was raised")


def error() -> str:
    try:
        responses.create(model="failing", input=PROMPT)
    except InternalServerError as raised:
        return f"{type(raised).__name__}: {raised.status_code}"
    raise AssertionError("no error was raised")


def cancelled() -> str:
    stream = responses.create(model="endless", input=PROMPT, stream=True)
    words = 0
    for event in stream:
        words += event.type == "response.output_text.delta"
        if words == SEEN:
            break
    stream.close()
    time.sleep(0.3)
    return f"after {words} words"


run_cases(
    f"openai {openai.__version__}, responses (Python)",
    {
        "cancelled": cancelled,
        "plain": plain,
        "streamed": streamed,
        "all, one fails": all_plain,
        "all, one fails, streamed": all_streamed,
        "race": race,
        "race, streamed": race_streamed,
        **for_each_vendor("tools", tools),
        **for_each_vendor("structured", structured),
        "unknown model": unknown_model,
        "error": error,
    },
)
