"""The `llm` command against the gateway at `argv[1]`; `scripts/clients.py` runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from cases import LIMIT, PROMPT, SYSTEM, check, run_cases

URL = sys.argv[1]
MODELS = f"""\
- model_id: smol
  model_name: smol
  api_base: {URL}
"""
WORDS = ["-s", SYSTEM, "-o", "max_tokens", str(LIMIT), PROMPT]
HOME = tempfile.TemporaryDirectory(prefix="llm-")
ENDPOINT = ["openai", "endpoint", URL]


def llm(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, with its own settings folder."""
    command = [str(Path(sys.executable).with_name("llm")), *words]
    env = {**os.environ, "LLM_USER_PATH": HOME.name}
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def printed(*words: str) -> str:
    """Return what the command prints; raise if it fails or prints nothing."""
    done = llm(*words)
    check(done.returncode == 0 and done.stdout.strip(), done.stderr or done)
    return done.stdout.strip()


def models() -> str:
    names = printed(*ENDPOINT, "--models").split()
    check({"smol", "smol-warm", "smol-claude"} <= set(names), names)
    return ", ".join(names)


def error() -> str:
    done = llm(*ENDPOINT, "-m", "no-such-model", PROMPT)
    check(done.returncode != 0 and "there is no model `no-such-model`" in done.stderr, done)
    return done.stderr.strip().splitlines()[-1]


Path(HOME.name, "extra-openai-models.yaml").write_text(MODELS)
run_cases(
    f"llm {version('llm')}",
    {
        "a prompt": lambda: printed("-m", "smol", "--no-stream", *WORDS),
        "a prompt, streamed": lambda: printed("-m", "smol", *WORDS),
        "the endpoint's models": models,
        "endpoint": lambda: printed(*ENDPOINT, "-m", "smol", *WORDS),
        "unknown model": error,
    },
)
HOME.cleanup()
