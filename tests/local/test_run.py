"""`fanout local serve` and `fanout local run` as processes: how they start and stop."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from msgspec import json

from fanout.local.models import SMOL, cache_home, weights_path
from tests.cli.terminal import read_all
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.timeout(600)  # the first one may have to fetch the model


@contextmanager
def started(
    env: dict[str, str], *words: str, stderr: int = subprocess.PIPE
) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Start the command and wait for the line that it prints when it is ready."""
    command = [sys.executable, "-m", "fanout", "local", *words]
    with subprocess.Popen(  # noqa: S603 -- our own words
        command, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, json.decode(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture
def own_home(model_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment with a home for this test, which has the real weights."""
    (tmp_path / "models").symlink_to(cache_home(model_env) / "models")
    return {**model_env, "FANOUT_HOME": str(tmp_path)}


def files_of(env: dict[str, str]) -> list[str]:
    """The names of the files in the home."""
    return sorted(path.name for path in Path(env["FANOUT_HOME"]).iterdir())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_gateway_ends_its_engine_ends_too(
    model_env: dict[str, str], sent: signal.Signals
) -> None:
    words = ("run", "--port", "0", "--json", "--unannounced", "--threads", "1")
    with started(model_env, *words) as (process, ready):
        assert ready["models"] == ["smol", "smol-warm", "smol-claude"]
        os.kill(ready["engine"], 0)  # it is there
        process.send_signal(sent)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read()
        process.stderr.read()  # ends only when the engine, which has it open too, is gone
        assert process.wait(PATIENCE) == (-9 if sent is signal.SIGKILL else 0)


def test_when_the_engine_ends_the_gateway_reports_it_and_ends(model_env: dict[str, str]) -> None:
    words = ("run", "--port", "0", "--json", "--unannounced", "--threads", "1")
    with started(model_env, *words) as (process, ready):
        os.kill(ready["engine"], signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err.endswith("fanout: the local model has stopped, so the gateway stops too\n")


def test_the_gateway_serves_the_openai_sdk_and_ask_finds_the_engine(
    own_home: dict[str, str],
) -> None:
    system = {"role": "system", "content": "Answer in one short sentence."}
    words = ("run", "--port", "0", "--json", "--threads", "1")
    with started(own_home, *words) as (process, ready):
        with openai.OpenAI(base_url=ready["url"], api_key="none") as client:
            response = client.chat.completions.create(
                model="smol-claude",
                messages=[system, {"role": "user", "content": "Hello?"}],  # type: ignore[list-item]
                max_tokens=8,
            )
            assert [model.id for model in client.models.list()] == ready["models"]
        ask = [sys.executable, "-m", "fanout", "all", "Hello?", "--json", "--max-tokens", "4"]
        done = subprocess.run(  # noqa: S603 -- our own words
            ask, env=own_home, capture_output=True, check=False
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert response.model == "smol-claude"
    assert response.choices[0].message.content
    assert done.returncode == 0
    assert [choice["model"] for choice in json.decode(done.stdout)["choices"]] == ready["models"]
    assert files_of(own_home) == ["models"]


def test_the_engine_prints_its_address_and_stops_on_a_signal(own_home: dict[str, str]) -> None:
    with started(own_home, "serve", "--port", "0", "--threads", "1") as (process, ready):
        assert set(ready) == {"model", "base_url", "pid", "seconds", "key"}
        assert (ready["model"], ready["pid"]) == (SMOL.name, process.pid)
        assert files_of(own_home) == ["engine.json", "models"]
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 0
    assert files_of(own_home) == ["models"]


def test_at_a_terminal_ctrl_c_says_what_happens(own_home: dict[str, str]) -> None:
    expected = {
        "serve": "fanout: stopped; requests in flight have no end\r\n",
        "run": "fanout: stopping\r\nfanout: stopped\r\n",
    }
    for action, text in expected.items():
        ours, theirs = pty.openpty()
        words = ["--threads", "1", *(["--json"] if action == "run" else [])]
        with started(own_home, action, "--port", "0", *words, stderr=theirs) as (process, _):
            os.close(theirs)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        assert read_all(ours).endswith(text)
        os.close(ours)


def test_damaged_weights_are_one_sentence_with_the_fix(tmp_path: Path) -> None:
    weights = weights_path(SMOL, tmp_path)
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"GGUF" + bytes(1000))
    command = [sys.executable, "-m", "fanout", "local", "serve", "--port", "0"]
    done = subprocess.run(  # noqa: S603 -- our own words
        command,
        env={**os.environ, "FANOUT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"fanout: `{weights}` is damaged: run `fanout local install`, which replaces it\n"
    )


def test_a_given_key_is_not_printed(own_home: dict[str, str]) -> None:
    env = {**own_home, "FANOUT_LOCAL_KEY": "a-key-of-mine"}
    with started(env, "serve", "--port", "0", "--threads", "1") as (_, ready):
        assert set(ready) == {"model", "base_url", "pid", "seconds"}
        with openai.OpenAI(base_url=ready["base_url"], api_key="a-key-of-mine") as client:
            assert client.models.list().data[0].id == SMOL.name


def test_without_the_weights_the_error_says_what_to_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fanout", "local", "serve", "--port", "0"]
    done = subprocess.run(  # noqa: S603 -- our own words
        command,
        env={**os.environ, "FANOUT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "fanout: `smollm2-135m` is not installed: run `fanout local install`\n"
