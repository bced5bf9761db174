"""LiteLLM's library as a client of the gateway at `argv[1]`."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it downloads its prices

import litellm
from cases import (
    ALL,
    CALLS,
    PROMPT,
    SEEN,
    TOKENS,
    WEATHER,
    check,
    check_all,
    check_weather,
    for_each_vendor,
    run_cases,
)
from pydantic import BaseModel, Field

litellm.suppress_debug_info = True
RACE = {"fastest_response": True}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}]
SERVER: Any = {"api_base": sys.argv[1], "api_key": "none"}


class Weather(BaseModel):
    city: str
    degrees: int = Field(ge=-90, le=60)


def ask(model: str, messages: Any = None, **options: Any) -> Any:
    """Call any model of the gateway as one of a server with OpenAI's API."""
    messages = messages or [{"role": "user", "content": PROMPT}]
    return litellm.completion(model=f"openai/{model}", messages=messages, **SERVER, **options)


def ask_streamed(model: str, messages: Any = None, **options: Any) -> Any:
    """Return the response that LiteLLM's own helper makes of the chunks."""
    chunks = list(ask(model, messages, stream=True, **options))
    return litellm.stream_chunk_builder(chunks, messages=messages)


def plain() -> str:
    response = ask("gpt")
    check(response.usage.completion_tokens == TOKENS, response)
    return str(response.choices[0].message.content)


def streamed() -> str:
    chunks = list(ask("gpt", stream=True, stream_options={"include_usage": True}))
    words = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    check("".join(words) == "Hello from gpt-4o." and sum(map(bool, words)) > 1, words)
    used = [usage.completion_tokens for chunk in chunks if (usage := getattr(chunk, "usage", None))]
    check(used == [TOKENS], used)
    return "".join(words)


def all_plain() -> str:
    choices = ask(ALL).choices
    return check_all(
        (one.finish_reason, one.message.content, getattr(one.message, "refusal", None))
        for one in choices
    )


def all_streamed() -> str:
    """LiteLLM's helper leaves out the choice of the model that fails: it has no text."""
    found = [(one.index, one.message.content) for one in ask_streamed(ALL).choices]
    check(found == [(0, "Hello from slow."), (2, "Hello from gpt-4o.")], found)
    return f"{len(found)} choices"


def race() -> str:
    response = ask("slow, gpt", extra_body=RACE)
    check(response.model == "gpt", response)
    return str(response.model)


def race_streamed() -> str:
    response = ask_streamed("slow, gpt", extra_body=RACE)
    check(response.choices[0].message.content == "Hello from gpt-4o.", response)
    return str(response.model)


def tools(model: str) -> str:
    """Two turns plain, then two turns streamed; the model's messages are sent back as they are."""
    for turn in (ask, ask_streamed):
        messages: list[Any] = [{"role": "user", "content": WEATHER}]
        called = turn(model, messages, tools=TOOLS).choices[0].message
        check(len(called.tool_calls or ()) == CALLS, called)
        messages.append(called)
        for call in called.tool_calls:
            found = f"7 degrees in {json.loads(call.function.arguments)['city']}"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": found})
        response = turn(model, messages, tools=TOOLS)
        text = check_weather(response.choices[0].message.content)
    return text


def structured(model: str) -> str:
    text = ask(model, response_format=Weather).choices[0].message.content
    check(Weather.model_validate_json(text) == Weather(city="Oslo", degrees=7), text)
    return str(text)


def embeddings() -> str:
    response = litellm.embedding(model="openai/vectors", input=["a", "bb", "ccc"], **SERVER)
    found = [one["embedding"][0] for one in response.data]
    check(found == [1, 2, 3], response)
    return f"{len(found)} vectors"


def failure(model: str, kind: type[Exception]) -> str:
    try:
        ask(model)
    except kind as raised:
        return type(raised).__name__
    raise AssertionError("no error was raised")


def cancelled() -> str:
    stream = ask("endless", stream=True)
    words = 0
    for _ in stream:
        words += 1
        if words == SEEN:
            break
    stream.completion_stream.close()
    time.sleep(0.3)
    return f"after {words} words"


run_cases(
    f"litellm {version('litellm')} (Python)",
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
        "embeddings": embeddings,
        "unknown model": lambda: failure("no-such-model", litellm.NotFoundError),
        "error": lambda: failure("failing", litellm.BadGatewayError),
    },
)
