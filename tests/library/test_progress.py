"""`progress=True`: a bar on a terminal and in a notebook, nothing in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

ROOT = Path(__file__).parent.parent.parent

CODE = """
import sys
import termios
from fanout import batch_completion
{before}
found = batch_completion("openai/m", {messages}, progress={progress}, num_retries=0,
                         api_base=sys.argv[1], api_key="k", max_workers=1)
print(len(found), "tqdm" in sys.modules)
"""
THREE = '[[{"role": "user", "content": "Hi"}]] * 3'
NOTEBOOK = """
import types
shell = types.SimpleNamespace(kernel=object())
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
"""


def run(
    upstream: Upstream,
    *,
    terminal: bool,
    progress: bool = True,
    messages: str = THREE,
    before: str = "",
) -> tuple[str, str]:
    """What the script writes to stdout, and to stderr: a terminal or a pipe."""
    upstream.script("m", answers("A"), [refuse(400, "no")], answers("C"))
    code = CODE.format(progress=progress, messages=messages, before=before)
    command = [sys.executable, "-c", code, f"{upstream.url}/v1"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "shared")}
    if not terminal:
        done = subprocess.run(  # noqa: S603 -- what it runs is written here
            command, capture_output=True, text=True, check=True, env=env
        )
        return done.stdout, done.stderr
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    done = subprocess.run(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True, env=env
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # Linux: the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return done.stdout, shown.decode()


def test_a_terminal_shows_how_many_are_done_and_how_many_failed(upstream: Upstream) -> None:
    out, shown = run(upstream, terminal=True)
    assert out.split() == ["3", "True"]
    assert "3/3" in shown
    assert "failed=1" in shown


def test_an_iterator_has_no_total(upstream: Upstream) -> None:
    out, shown = run(upstream, terminal=True, messages=f"iter({THREE})")
    assert out.split() == ["3", "True"]
    assert "3response" in shown.replace(" ", "")


def test_a_pipe_stays_quiet(upstream: Upstream) -> None:
    out, shown = run(upstream, terminal=False)
    assert (out.split(), shown) == (["3", "True"], "")


def test_without_progress_nothing_is_shown_or_loaded(upstream: Upstream) -> None:
    out, shown = run(upstream, terminal=True, progress=False)
    assert (out.split(), shown) == (["3", "False"], "")


def test_a_notebook_shows_the_bar_although_its_stderr_is_no_terminal(upstream: Upstream) -> None:
    out, shown = run(upstream, terminal=False, before=NOTEBOOK)
    assert out.split() == ["3", "True"]
    assert "3/3" in shown


@pytest.mark.parametrize("stream", [True, False])
def test_progress_is_allowed_with_and_without_streams(upstream: Upstream, *, stream: bool) -> None:
    import fanout

    upstream.script("m", answers("A"))
    hello = [{"role": "user", "content": "Hi"}]
    found = fanout.batch_completion(
        "openai/m",
        [hello],
        progress=True,
        stream=stream,
        api_base=f"{upstream.url}/v1",
        api_key="k",
    )
    assert len(found) == 1
