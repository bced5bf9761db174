"""LangChain's ChatOpenAI and agents against the gateway at `argv[1]`."""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from typing import Any

from cases import (
    ALL,
    PROMPT,
    WEATHER,
    check,
    check_first,
    check_mixed,
    check_weather,
    for_each_vendor,
    run_cases,
)
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from openai import InternalServerError, NotFoundError
from pydantic import BaseModel, Field

RACE = {"fastest_response": True}


class Weather(BaseModel):
    city: str
    degrees: int = Field(ge=-90, le=60)


def chat(model: str = "gpt", **options: Any) -> ChatOpenAI:
    """Return a client as any user would make it."""
    return ChatOpenAI(model=model, base_url=sys.argv[1], api_key="none", **options)


def plain() -> str:
    response = chat().invoke(PROMPT)
    check(response.usage_metadata["output_tokens"] > 0, response.usage_metadata)
    return response.content


def streamed() -> str:
    chunks = list(chat(stream_usage=True).stream(PROMPT))
    check(sum(bool(chunk.content) for chunk in chunks) > 1, chunks)
    check(any(chunk.usage_metadata for chunk in chunks), "no usage")
    return "".join(chunk.content for chunk in chunks)


def batch() -> str:
    responses = chat().batch([PROMPT] * 3)
    check(all(response.content == "Hello from gpt-4o." for response in responses), responses)
    return f"{len(responses)} responses"


def race() -> str:
    response = chat("slow, gpt", extra_body=RACE).invoke(PROMPT)
    won: str = response.response_metadata["model_name"]
    check(won == "gpt", response)
    return won


def race_streamed() -> str:
    chunks = list(chat("slow, gpt", extra_body=RACE).stream(PROMPT))
    named = [chunk.response_metadata.get("model_name") for chunk in chunks]
    check({name for name in named if name} == {"gpt"}, named)
    return "".join(chunk.content for chunk in chunks)


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"7 degrees in {city}"


def agent(model: str, **options: Any) -> Any:
    # The agent's name is sent as `name` of its messages.
    return create_agent(chat(model, **options), [get_weather], name="forecaster")


def tools(model: str) -> str:
    """An agent's run, then a second question in the same conversation, then a streamed run."""
    ask = {"role": "user", "content": WEATHER}
    state = agent(model).invoke({"messages": [ask]})
    state = agent(model).invoke({"messages": [*state["messages"], ask]})
    check_weather(state["messages"][-1].text)
    streamed = agent(model, streaming=True).invoke({"messages": [ask]})
    return check_weather(streamed["messages"][-1].text)


def structured(model: str) -> str:
    """Both ways that LangChain has: a JSON schema, and a call of a tool."""
    for method in ("json_schema", "function_calling"):
        found = chat(model).with_structured_output(Weather, method=method).invoke(PROMPT)
        check(found == Weather(city="Oslo", degrees=7), (method, found))
    return repr(found)


def unknown_model() -> str:
    try:
        chat("no-such-model").invoke(PROMPT)
    except NotFoundError as raised:
        check(raised.code == "model_not_found", raised.code)
        return f"{type(raised).__name__}: {raised.code}"
    raise AssertionError("no error was raised")


def error() -> str:
    try:
        chat("failing").invoke(PROMPT)
    except InternalServerError as raised:
        return f"{type(raised).__name__}: {raised.status_code}"
    raise AssertionError("no error was raised")


def cancelled() -> str:
    stream = chat("endless").stream(PROMPT)
    words = [next(stream).content for _ in range(4)]
    stream.close()
    time.sleep(0.3)
    return f"after {len(words)} chunks"


run_cases(
    f"langchain-openai {version('langchain-openai')} (Python)",
    {
        "cancelled": cancelled,
        "plain": plain,
        "streamed": streamed,
        "batch of 3": batch,
        "all, one fails": lambda: check_first(chat(ALL).invoke(PROMPT).text),
        "all, one fails, streamed": lambda: check_mixed(
            "".join(chunk.text for chunk in chat(ALL).stream(PROMPT))
        ),
        "race": race,
        "race, streamed": race_streamed,
        **for_each_vendor("tools", tools),
        **for_each_vendor("structured", structured),
        "unknown model": unknown_model,
        "error": error,
    },
)
