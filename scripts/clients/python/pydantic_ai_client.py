"""pydantic-ai's agents against the gateway at `argv[1]`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable
from importlib.metadata import version
from typing import Any

from cases import PROMPT, SEEN, WEATHER, check, check_weather, for_each_vendor, run_cases
from pydantic import BaseModel, Field
from pydantic_ai import Agent, ModelHTTPError, NativeOutput, PromptedOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

RACE: Any = {"extra_body": {"fastest_response": True}}


class Weather(BaseModel):
    city: str
    degrees: int = Field(ge=-90, le=60)


def agent(model: str = "gpt", **options: Any) -> Any:
    """Return an agent as any user would make it."""
    provider = OpenAIProvider(base_url=sys.argv[1], api_key="none")
    return Agent(OpenAIChatModel(model, provider=provider), **options)


def plain() -> str:
    result = agent().run_sync(PROMPT)
    check(result.response.finish_reason == "stop", result.response)
    return str(result.output)


async def streamed_text(made: Any, **options: Any) -> Any:
    """Return the texts so far of a stream, and the response."""
    async with made.run_stream(PROMPT, **options) as result:
        texts = [text async for text in result.stream_text(debounce_by=None)]
        return texts, result.response


def streamed() -> str:
    texts, response = asyncio.run(streamed_text(agent()))
    check(len(texts) > 1 and response.usage.output_tokens > 0, response)
    return str(texts[-1])


def all_streamed() -> str:
    """Its types reject a choice with a finish reason that OpenAI does not have."""
    texts, _ = asyncio.run(streamed_text(agent("slow, broken, gpt")))
    check(texts[-1].startswith("Hello from"), texts)
    return str(texts[-1])


def all_plain() -> str:
    text = agent("slow, broken, gpt").run_sync(PROMPT).output
    check(text == "Hello from slow.", text)
    return str(text)


def race() -> str:
    result = agent("slow, gpt").run_sync(PROMPT, model_settings=RACE)
    check(result.response.model_name == "gpt", result.response)
    return str(result.output)


def race_streamed() -> str:
    texts, response = asyncio.run(streamed_text(agent("slow, gpt"), model_settings=RACE))
    check(response.model_name == "gpt", response)
    return str(texts[-1])


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"7 degrees in {city}"


def tools(model: str) -> str:
    """An agent's run, then a second question in the same conversation, then a streamed run."""
    made = agent(model, tools=[get_weather])
    first = made.run_sync(WEATHER)
    check_weather(first.output)
    check_weather(made.run_sync(WEATHER, message_history=first.all_messages()).output)
    # `run_stream` would end at the first text, which Claude writes before its calls.
    streamed = made.run_sync(WEATHER, event_stream_handler=read_events)
    return check_weather(streamed.output)


async def read_events(_: Any, events: AsyncIterable[Any]) -> None:
    async for _event in events:
        pass


def structured(model: str) -> str:
    """The three ways that pydantic-ai has: a tool, a JSON schema, and the prompt."""
    for output in (Weather, NativeOutput(Weather), PromptedOutput(Weather)):
        found = agent(model, output_type=output).run_sync(PROMPT).output
        check(found == Weather(city="Oslo", degrees=7), (output, found))
    return repr(found)


def failure(model: str, status: int) -> str:
    try:
        agent(model).run_sync(PROMPT)
    except ModelHTTPError as raised:
        check(raised.status_code == status, raised)
        return f"{type(raised).__name__}: {status}"
    raise AssertionError("no error was raised")


async def cancel() -> int:
    async with agent("endless").run_stream(PROMPT) as result:
        seen = 0
        async for _ in result.stream_text(debounce_by=None):
            seen += 1
            if seen == SEEN:
                break
        await result.cancel()
    await asyncio.sleep(0.3)
    return seen


def cancelled() -> str:
    return f"after {asyncio.run(cancel())} words"


run_cases(
    f"pydantic-ai {version('pydantic-ai-slim')} (Python)",
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
        "unknown model": lambda: failure("no-such-model", 404),
        "error": lambda: failure("failing", 502),
    },
)
