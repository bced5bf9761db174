"""LangChain's ChatOpenAI against the gateway at `argv[1]`; `scripts/clients.py` runs it."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from cases import LIMIT, PROMPT, RACE, SYSTEM, check, run_cases
from langchain_openai import ChatOpenAI
from openai import NotFoundError
from pydantic import BaseModel

MESSAGES = [("system", SYSTEM), ("human", PROMPT)]


def chat(model: str = "smol", **options: Any) -> ChatOpenAI:
    """Return a client as any user would make it."""
    options = {"max_tokens": LIMIT, "max_retries": 0} | options
    return ChatOpenAI(model=model, base_url=sys.argv[1], api_key="none", **options)


def invoke() -> str:
    answer = chat().invoke(MESSAGES)
    check(answer.content, answer)
    check(answer.usage_metadata["output_tokens"] > 0, answer.usage_metadata)
    return answer.content


def stream() -> str:
    chunks = list(chat(stream_usage=True).stream(MESSAGES))
    text = "".join(chunk.content for chunk in chunks)
    check(sum(bool(chunk.content) for chunk in chunks) > 1, chunks)
    check(any(chunk.usage_metadata for chunk in chunks), "no usage")
    return text


def batch() -> str:
    answers = chat().batch([MESSAGES] * 3)
    check(len(answers) == 3 and all(answer.content for answer in answers), answers)  # noqa: PLR2004
    return f"{len(answers)} answers"


def race() -> str:
    answer = chat(RACE, extra_body={"fastest_response": True}).invoke(MESSAGES)
    won = answer.response_metadata["model_name"]
    check(won in RACE.split(", "), won)
    return f"{won} won: {answer.content}"


def streamed_race() -> str:
    chunks = list(chat(RACE, extra_body={"fastest_response": True}).stream(MESSAGES))
    named = [chunk.response_metadata.get("model_name") for chunk in chunks]
    won = {name for name in named if name}
    check(len(won) == 1 and won < set(RACE.split(", ")), won)
    return f"{won.pop()} won: {''.join(chunk.content for chunk in chunks)}"


class Slogan(BaseModel):
    slogan: str


def structured() -> str:
    answer = chat(max_tokens=96).with_structured_output(Slogan, method="json_schema")
    found = answer.invoke(MESSAGES)
    check(isinstance(found, Slogan), found)
    return repr(found)


def error() -> str:
    try:
        chat("no-such-model").invoke(MESSAGES)
    except NotFoundError as raised:
        check(raised.code == "model_not_found", raised.code)
        return f"{type(raised).__name__}: {raised.code}"
    check(False, "no error was raised")
    return ""


run_cases(
    f"langchain-openai {version('langchain-openai')}",
    {
        "invoke": invoke,
        "stream": stream,
        "batch of 3": batch,
        "race": race,
        "race, streamed": streamed_race,
        "structured output": structured,
        "unknown model": error,
    },
)
