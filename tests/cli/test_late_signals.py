"""A signal at any step of a run's end: the results and exit code 0, or a clean 130."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import pytest

from fanout.bulk.local.response_index import ResponseIndex
from fanout.cli import batch_actions, batch_output, job_signals, main
from fanout.disk.files import Draft
from tests.bulk.local.test_paid_once import Shell, ids, sent, shell
from tests.bulk.local_jobs import jsonl, line
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

__all__ = ["shell"]

STEPS: dict[str, tuple[Any, str]] = {
    "the job has ended": (batch_output, "error_lines"),
    "the output is opened": (batch_output, "_open_draft"),
    "the output is written": (Draft, "write"),
    "the output is renamed": (Draft, "commit"),
    "the draft is gone": (Draft, "discard"),
    "the results are there": (job_signals, "action_is_done"),
    "the text is printed": (batch_output, "show"),
    "the folder is closed": (ResponseIndex, "close"),
    "the loop is closed": (asyncio.Runner, "close"),
    "the signals are ignored": (job_signals.JobSignals, "done"),
    "the command has returned": (batch_actions, "run_action"),
    "the exit code is there": (main, "_run"),
}
"""What is called at the end of a run, in its order."""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    ("step", "when"),
    [
        (step, when)
        for step, (owner, name) in STEPS.items()
        for when in ("before", "after")
        if when == "after" or name not in {"run_action", "_run"}  # they begin before the calls
    ],
)
def test_a_signal_at_the_end_is_harmless_or_a_clean_stop(
    shell: Shell,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    when: str,
    number: str,
) -> None:
    upstream.script("a", answers("Hello"))
    shell.write(jsonl([line("n1"), line("n2")]))
    words = ("batch", "run", "in.jsonl", "--config", shell.config, "-o", "out.jsonl")
    owner, name = STEPS[step]
    real: Callable[..., Any] = getattr(owner, name)
    handlers: list[Any] = []

    def injected(*args: Any, **kwargs: Any) -> Any:
        def at(point: str) -> None:
            if when == point and not handlers and len(upstream.calls) == 2:
                handlers.append(signal.getsignal(signal.SIGINT))
                signal.raise_signal(getattr(signal, number))

        at("before")
        result = real(*args, **kwargs)
        at("after")
        return result

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, injected)
        found = shell.run(*words)
    assert len(handlers) == 1
    assert "Traceback" not in found.err
    assert "Error" not in found.err
    if found.code == 0:
        assert "responses: out.jsonl" in found.err
        assert ids(shell.folder / "out.jsonl") == {"n1": 1, "n2": 1}
    else:
        assert (found.code, found.out) == (130, "")
        assert found.err.count("cancelled") == 1
        assert "responses: out.jsonl" not in found.err
        again = shell.run(*words)
        assert again.code == 0, again.err
        assert ids(shell.folder / "out.jsonl") == {"n1": 1, "n2": 1}
    late = list(STEPS).index(step) >= list(STEPS).index("the text is printed")
    assert found.code == 0 or not late
    assert set(sent(upstream).values()) == {1}
