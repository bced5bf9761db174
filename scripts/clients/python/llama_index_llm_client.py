"""LlamaIndex's two classes for chat against the gateway at `argv[1]`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from cases import (
    ALL,
    PROMPT,
    SEEN,
    WEATHER,
    check,
    check_first,
    check_mixed,
    check_weather,
    for_each_vendor,
    run_cases,
)
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.prompts import PromptTemplate
from llama_index.core.workflow import Context
from llama_index.llms.openai import OpenAIResponses
from llama_index.llms.openai_like import OpenAILike
from openai import InternalServerError, NotFoundError
from pydantic import BaseModel, Field

RACE = {"extra_body": {"fastest_response": True}}
LOOP = asyncio.new_event_loop()
SERVER: Any = {"api_base": sys.argv[1], "api_key": "none", "max_retries": 0}


class Weather(BaseModel):
    """The weather in a city."""

    city: str
    degrees: int = Field(ge=-90, le=60)


def chat(model: str, **options: Any) -> Any:
    return OpenAILike(
        model=model,
        is_chat_model=True,
        is_function_calling_model=True,
        **SERVER,
        **options,
    )


def responses(model: str, **options: Any) -> Any:
    # It knows the windows of OpenAI's models only.
    return OpenAIResponses(model=model, context_window=100_000, **SERVER, **options)


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"7 degrees in {city}"


async def converse(llm: Any, *, streaming: bool) -> str:
    """An agent's run, and a second question in the same conversation."""
    agent = FunctionAgent(tools=[get_weather], llm=llm, streaming=streaming)
    memory = Context(agent)
    check_weather(str(await agent.run(WEATHER, ctx=memory)))
    return check_weather(str(await agent.run(WEATHER, ctx=memory)))


def cases(llm: Callable[..., Any]) -> dict[str, Callable[[], str]]:
    """The cases of one of the classes."""

    def streamed() -> str:
        pieces = list(llm("gpt").stream_complete(PROMPT))
        check(len(pieces) > 1 and pieces[-1].text == "Hello from gpt-4o.", pieces)
        return str(pieces[-1].text)

    def all_plain() -> str:
        text = llm(ALL).complete(PROMPT).text
        return check_first(text) if llm is chat else str(text)

    def all_streamed() -> str:
        text = list(llm(ALL).stream_complete(PROMPT))[-1].text
        return check_mixed(text) if llm is chat else str(text)

    def race() -> str:
        text = llm("slow, gpt", additional_kwargs=RACE).complete(PROMPT).text
        check(text == "Hello from gpt-4o.", text)
        return str(text)

    def tools(model: str) -> str:
        LOOP.run_until_complete(converse(llm(model), streaming=False))
        return LOOP.run_until_complete(converse(llm(model), streaming=True))

    def structured(model: str) -> str:
        found = llm(model).structured_predict(Weather, PromptTemplate(PROMPT))
        check(found == Weather(city="Oslo", degrees=7), found)
        return repr(found)

    def failure(model: str, kind: type[Exception]) -> str:
        try:
            llm(model).complete(PROMPT)
        except kind as raised:
            return type(raised).__name__
        raise AssertionError("no error was raised")

    def cancelled() -> str:
        pieces = llm("endless").stream_complete(PROMPT)
        seen = sum(1 for _, _ in zip(range(SEEN), pieces, strict=False))
        pieces.close()
        time.sleep(0.3)
        return f"after {seen} pieces"

    return {
        "cancelled": cancelled,
        "plain": lambda: str(llm("gpt").complete(PROMPT).text),
        "streamed": streamed,
        "all, one fails": all_plain,
        "all, one fails, streamed": all_streamed,
        "race": race,
        **for_each_vendor("tools", tools),
        **for_each_vendor("structured", structured),
        "unknown model": lambda: failure("no-such-model", NotFoundError),
        "error": lambda: failure("failing", InternalServerError),
    }


run_cases(
    f"llama-index-llms-openai-like {version('llama-index-llms-openai-like')} (Python)",
    cases(chat),
)
run_cases(
    f"llama-index-llms-openai {version('llama-index-llms-openai')}, responses (Python)",
    cases(responses),
)
