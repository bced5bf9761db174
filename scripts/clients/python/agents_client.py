"""OpenAI's Agents SDK, with each of its two APIs, against the gateway at `argv[1]`."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from cases import (
    ALL,
    PROMPT,
    SEEN,
    WEATHER,
    check,
    check_first,
    check_weather,
    for_each_vendor,
    run_cases,
)
from openai import AsyncOpenAI, InternalServerError, NotFoundError
from pydantic import BaseModel

set_tracing_disabled(True)
LOOP = asyncio.new_event_loop()
APIS: dict[str, Any] = {"": OpenAIChatCompletionsModel, ", responses": OpenAIResponsesModel}
"""The SDK's classes for the APIs, by what the client's name has of them."""

api = ""


class Weather(BaseModel):
    city: str
    degrees: int


@function_tool
def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"7 degrees in {city}"


def agent(model: str = "gpt", settings: ModelSettings | None = None, **options: Any) -> Agent:
    """Return an agent as any user would make it."""
    client = AsyncOpenAI(base_url=sys.argv[1], api_key="none")
    chat = APIS[api](model=model, openai_client=client)
    return Agent(
        name="Forecaster", model=chat, model_settings=settings or ModelSettings(), **options
    )


def run(made: Agent, prompt: Any = PROMPT) -> Any:
    return LOOP.run_until_complete(Runner.run(made, prompt))


async def stream(made: Agent, prompt: str) -> Any:
    """Return the number of text deltas, and the run's output."""
    result = Runner.run_streamed(made, prompt)
    events = [event async for event in result.stream_events()]
    raw = [event for event in events if event.type == "raw_response_event"]
    deltas = [event for event in raw if event.data.type == "response.output_text.delta"]
    return len(deltas), result.final_output


def plain() -> str:
    return str(run(agent()).final_output)


def streamed() -> str:
    deltas, text = LOOP.run_until_complete(stream(agent(), PROMPT))
    check(deltas > 1 and text == "Hello from gpt-4o.", (deltas, text))
    return str(text)


def race() -> str:
    settings = ModelSettings(extra_body={"fastest_response": True})
    text = run(agent("slow, gpt", settings)).final_output
    check(text == "Hello from gpt-4o.", text)
    return str(text)


def all_plain() -> str:
    return check_first(run(agent(ALL)).final_output)


def all_streamed() -> str:
    """The first choice; a response has the text that came first."""
    _, text = LOOP.run_until_complete(stream(agent(ALL), PROMPT))
    if api:
        check(text == "Hello from gpt-4o.", text)
        return str(text)
    return check_first(text)


def tools(model: str) -> str:
    """A run, a second question in the same conversation, one call at a time, a streamed run."""
    made = agent(model, tools=[get_weather])
    first = run(made, WEATHER)
    check_weather(first.final_output)
    again = [*first.to_input_list(), {"role": "user", "content": WEATHER}]
    check_weather(run(made, again).final_output)
    single = agent(model, ModelSettings(parallel_tool_calls=False), tools=[get_weather])
    text = run(single, WEATHER).final_output
    check("7 degrees in Oslo" in text and "Bergen" not in text, text)
    return check_weather(LOOP.run_until_complete(stream(made, WEATHER))[1])


def structured(model: str) -> str:
    found = run(agent(model, output_type=Weather)).final_output
    check(found == Weather(city="Oslo", degrees=7), found)
    return repr(found)


def failure(model: str, kind: type[Exception]) -> str:
    try:
        run(agent(model))
    except kind as raised:
        return type(raised).__name__
    raise AssertionError("no error was raised")


async def cancel() -> int:
    result = Runner.run_streamed(agent("endless"), PROMPT)
    seen = 0
    async for event in result.stream_events():
        seen += event.type == "raw_response_event"
        if seen == SEEN:
            result.cancel()
    await asyncio.sleep(0.3)
    return seen


def cancelled() -> str:
    return f"after {LOOP.run_until_complete(cancel())} events"


for api in APIS:
    run_cases(
        f"openai-agents {version('openai-agents')}{api} (Python)",
        {
            "cancelled": cancelled,
            "plain": plain,
            "streamed": streamed,
            "all, one fails": all_plain,
            "all, one fails, streamed": all_streamed,
            "race": race,
            **for_each_vendor("tools", tools),
            **for_each_vendor("structured", structured),
            "unknown model": lambda: failure("no-such-model", NotFoundError),
            "error": lambda: failure("failing", InternalServerError),
        },
    )
