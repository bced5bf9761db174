"""The `llm` command against the gateway at `argv[1]`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from cases import (
    ALL,
    PROMPT,
    WEATHER,
    check,
    check_mixed,
    check_weather,
    for_each_vendor,
    run_cases,
)

URL = sys.argv[1]
ENTRY = """\
- model_id: {name}
  model_name: {name}
  api_base: {url}
  supports_tools: true
  supports_schema: true
"""
NAMES = ("gpt", "claude", "gemini", "thinker", "fast", "endless", "failing")
MODELS = "".join(ENTRY.format(name=name, url=URL) for name in (*NAMES, f'"{ALL}"'))
TOOL = 'def get_weather(city: str) -> str:\n    return f"7 degrees in {city}"\n'
HOME = tempfile.TemporaryDirectory(prefix="llm-")
ENDPOINT = ["openai", "endpoint", URL]
LLM = str(Path(sys.executable).with_name("llm"))
ENV = {**os.environ, "LLM_USER_PATH": HOME.name, "OPENAI_API_KEY": "none"}


def llm(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, with its own settings folder."""
    return subprocess.run(
        [LLM, *words], env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def printed(*words: str) -> str:
    """Return what the command prints; raise if it fails or prints nothing."""
    done = llm(*words)
    check(done.returncode == 0 and done.stdout.strip(), done.stderr or done)
    return done.stdout.strip()


def models() -> str:
    names = printed(*ENDPOINT, "--models").split()
    check({"gpt", "claude", "gemini"} <= set(names), names)
    return ", ".join(names)


def tools(model: str) -> str:
    """Plain, then streamed."""
    check_weather(printed("-m", model, "--functions", TOOL, "--no-stream", WEATHER))
    return check_weather(printed("-m", model, "--functions", TOOL, WEATHER))


def all_streamed() -> str:
    return check_mixed(printed("-m", ALL, PROMPT))


def race(*words: str) -> str:
    """By a model name that stands for a race: the command cannot add a field."""
    text = printed("-m", "fast", *words, PROMPT)
    check(text == "Hello from gpt-4o.", text)
    return text


def structured(model: str) -> str:
    text = printed("-m", model, "--schema", "city, degrees int", PROMPT)
    check("Oslo" in text and "7" in text, text)
    return text


def failure(words: list[str], message: str) -> str:
    done = llm(*words, PROMPT)
    check(done.returncode != 0 and message in done.stderr, done)
    return done.stderr.strip().splitlines()[-1]


def cancelled() -> str:
    with subprocess.Popen(
        [LLM, "-m", "endless", PROMPT], env=ENV, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        text = os.read(process.stdout.fileno(), 100) if process.stdout else b""
        process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    check(text, "it printed nothing")
    return "by Ctrl-C"


Path(HOME.name, "extra-openai-models.yaml").write_text(MODELS)
run_cases(
    f"llm {version('llm')} (Python)",
    {
        "cancelled": cancelled,
        "plain": lambda: printed("-m", "gpt", "--no-stream", PROMPT),
        "streamed": lambda: printed("-m", "gpt", PROMPT),
        "list of models": models,
        "endpoint command": lambda: printed(*ENDPOINT, "-m", "gpt", PROMPT),
        "all, one fails, streamed": all_streamed,
        "race": lambda: race("--no-stream"),
        "race, streamed": race,
        **for_each_vendor("tools", tools),
        **for_each_vendor("structured", structured),
        "unknown model": lambda: failure(
            [*ENDPOINT, "-m", "no-such-model"], "there is no model `no-such-model`"
        ),
        "error": lambda: failure(["-m", "failing"], "the model is broken"),
    },
)
HOME.cleanup()
