"""`fanout ask` prints one model's response, and nothing else, on standard output."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from msgspec import json

from tests.cli.commands import Command, spawned, write_config
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, refuse, role, say, stop, wait
from tests.support.scripted_provider import Upstream


def test_the_response_alone_is_on_standard_output(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("Hello, ", "you."))
    ran = fanout("ask", "Hi", "-m", "a", "--config", config)
    assert (ran.code, ran.out, ran.err) == (0, "Hello, you.\n", "")


def test_the_arguments_become_the_request(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers())
    words = ("--system", "Be brief.", "--max-tokens", 7, "--temperature", 0.5, "--timeout", 9)
    fanout("ask", "Hi", "-m", "a", "--config", config, *words)
    assert upstream.calls[0].body == {
        "model": "a",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "max_completion_tokens": 7,
        "temperature": 0.5,
    }


def test_a_dash_reads_the_prompt_from_standard_input(
    fanout: Command, upstream: Upstream, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script("a", answers())
    monkeypatch.setattr("sys.stdin", io.StringIO("From a file\n"))
    fanout("ask", "-", "-m", "a", "--config", config)
    assert upstream.calls[0].body["messages"][0]["content"] == "From a file\n"


@pytest.mark.parametrize(
    ("piped", "prompt", "sent"),
    [
        (b"Notes\n\n", "Summarise", "Notes\n\nSummarise"),
        (b"Notes\n", "-", "Notes\n"),
        (b"\n", "Hi", "Hi"),
    ],
    ids=["both", "dash", "blank"],
)
def test_what_is_piped_in_comes_before_the_prompt(
    upstream: Upstream, config: Path, tmp_path: Path, piped: bytes, prompt: str, sent: str
) -> None:
    upstream.script("a", answers("Hello"))
    (tmp_path / "notes").write_bytes(piped)
    words = ("ask", prompt, "-m", "a", "--config", config)
    with spawned(*words, stdin=subprocess.PIPE) as process:
        process.communicate(piped.decode(), timeout=PATIENCE)
    with (tmp_path / "notes").open() as file, spawned(*words, stdin=file) as process:
        process.communicate(timeout=PATIENCE)
    assert [call.body["messages"][0]["content"] for call in upstream.calls] == [sent, sent]


def test_a_command_without_input_does_not_wait_for_it(upstream: Upstream, config: Path) -> None:
    upstream.script("a", answers("Hello"))
    words = ("ask", "Hi", "-m", "a", "--config", config)
    with spawned(*words, stdin=subprocess.DEVNULL) as process:
        assert process.communicate(timeout=PATIENCE)[0] == "Hello\n"


def test_streamed_it_prints_the_same_text(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("Hello, ", "you."))
    ran = fanout("ask", "Hi", "-m", "a", "--config", config, "--stream")
    assert (ran.code, ran.out, ran.err) == (0, "Hello, you.\n", "")
    assert upstream.calls[0].streams


def test_further_models_are_called_only_when_one_fails(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", [refuse(500)])
    upstream.script("b", answers("from b"))
    ran = fanout("ask", "Hi", "-m", "a,b", "-m", "c", "--config", config)
    assert (ran.code, ran.out) == (0, "from b\n")
    assert [call.model for call in upstream.calls] == ["a", "b"]


def test_a_failure_is_printed_on_standard_error_and_the_exit_code_is_1(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", [refuse(500, "out of order")])
    ran = fanout("ask", "Hi", "-m", "a", "--config", config)
    assert (ran.code, ran.out, ran.err) == (1, "", "fanout: `a`: out of order\n")


def test_with_json_the_response_is_one_object(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("Hello"))
    ran = fanout("ask", "Hi", "-m", "a", "--config", config, "--json")
    assert ran.json["object"] == "chat.completion"
    assert ran.json["choices"][0]["message"]["content"] == "Hello"


def test_with_json_and_stream_each_line_is_a_chunk(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", answers("Hel", "lo"))
    ran = fanout("ask", "Hi", "-m", "a", "--config", config, "--json", "--stream")
    chunks = [json.decode(line) for line in ran.out.splitlines()]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    contents = [choice["delta"].get("content") or "" for c in chunks for choice in c["choices"]]
    assert "".join(contents) == "Hello"
    assert chunks[-1]["usage"]["total_tokens"] == 12


def test_with_json_an_error_is_an_object_too(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    upstream.script("a", [refuse(429, "slow down")])
    ran = fanout("ask", "Hi", "-m", "a", "--config", config, "--json")
    assert ran.code == 1
    assert ran.json["error"]["code"] == "rate_limit_exceeded"


def test_an_unknown_model_is_a_usage_error_that_lists_the_known_models(
    fanout: Command, upstream: Upstream, config: Path
) -> None:
    ran = fanout("ask", "Hi", "-m", "z", "--config", config)
    assert (ran.code, ran.out) == (2, "")
    assert "`z`" in ran.err
    assert "`a`, `b`, `c`" in ran.err
    assert upstream.calls == []


def test_without_a_model_the_configs_only_one_is_called(
    fanout: Command, upstream: Upstream, tmp_path: Path
) -> None:
    only = write_config(tmp_path, {"model_list": [entry(upstream, "only")]})
    upstream.script("only", answers("me"))
    assert fanout("ask", "Hi", "--config", only).out == "me\n"


def test_without_a_model_and_several_to_choose_from_they_are_named(
    fanout: Command, config: Path
) -> None:
    ran = fanout("ask", "Hi", "--config", config)
    assert ran.code == 2
    assert ran.err == "fanout: name a model: -m NAME; the config has `a`, `b`, `c`\n"


def test_the_only_model_for_chat_needs_no_name(
    fanout: Command, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", answers("Hello"))
    vectors = {"model_name": "v", "litellm_params": {"model": "openai/text-embedding-3-small"}}
    config = write_config(tmp_path, {"model_list": [vectors, entry(upstream, "a")]})
    assert fanout("ask", "Hi", "--config", config).out == "Hello\n"


def test_without_a_model_a_config_or_an_engine_the_error_says_what_to_run(fanout: Command) -> None:
    ran = fanout("ask", "Hi")
    assert ran.code == 2
    assert "-m openai/gpt-4o" in ran.err
    assert "`fanout local install`, then run `fanout local serve`" in ran.err


def test_the_config_may_be_named_by_the_environment(
    fanout: Command, upstream: Upstream, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script("a", answers("found"))
    monkeypatch.setenv("FANOUT_CONFIG", str(config))
    assert fanout("ask", "Hi", "-m", "a").out == "found\n"


def test_a_config_that_is_not_there_is_misuse(fanout: Command, tmp_path: Path) -> None:
    ran = fanout("ask", "Hi", "-m", "a", "--config", tmp_path / "none.yaml")
    assert ran.code == 2
    assert "there is no config file" in ran.err


def test_content_is_printed_before_the_response_is_complete(
    upstream: Upstream, config: Path
) -> None:
    read = upstream.gate()
    upstream.script("a", [role, say("first"), wait(read), say(" last"), stop])
    with spawned("ask", "Hi", "-m", "a", "--config", config, "--stream") as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == "first"
        read.open()
        assert process.stdout.read() == " last\n"
        assert process.wait(PATIENCE) == 0


UNREACHABLE = (
    "--confidence of 0.999 cannot be reached, even if all models agree: name more models, or "
    "models of other providers, or give their `weights`"
)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ask", "Hi", "--max-tokens", "0"), "--max-tokens must be at least 1"),
        (("ask", "Hi", "--temperature", "2.5"), "--temperature must be at most 2"),
        (("ask", "Hi", "--timeout", "0"), "--timeout must be more than 0"),
        (("race", "Hi", "-m", "b", "--stagger", "9999"), "--stagger must be at most 3600"),
        (("agree", "Hi", "-m", "b", "--confidence", "0.999"), UNREACHABLE),
    ],
)
def test_an_error_names_the_option_that_was_typed(
    fanout: Command, config: Path, words: tuple[str, ...], message: str
) -> None:
    ran = fanout(*words, "-m", "a", "--config", config)
    assert (ran.code, ran.err) == (2, f"fanout: {message}\n")


SCHEMA = b'{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}'


@pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["plain", "streamed"])
def test_a_checked_response_is_asked_for_again_and_then_from_the_next_model(
    fanout: Command, upstream: Upstream, config: Path, tmp_path: Path, stream: tuple[str, ...]
) -> None:
    (tmp_path / "s.json").write_bytes(SCHEMA)
    upstream.script("a", answers("no"))
    upstream.script("b", answers('{"n":1}'))
    words = ("--response-format", tmp_path / "s.json", "--check", "--escalate", "b", *stream)
    ran = fanout("ask", "Hi", "-m", "a", "--config", config, *words)
    assert (ran.code, ran.out) == (0, '{"n":1}\n')
    assert [call.model for call in upstream.calls] == ["a", "a", "b"]


def test_a_response_that_never_fits_is_an_error_with_the_reason(
    fanout: Command, upstream: Upstream, config: Path, tmp_path: Path
) -> None:
    (tmp_path / "s.json").write_bytes(SCHEMA)
    upstream.script("a", answers("{}"))
    words = ("--response-format", tmp_path / "s.json", "--check", "--attempts", 1)
    ran = fanout("ask", "Hi", "-m", "a", "--config", config, *words)
    assert (ran.code, ran.out) == (1, "")
    assert "`a`: the response does not fit the schema: the property `n` is missing" in ran.err
    assert len(upstream.calls) == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--check",), "--check needs --response-format FILE"),
        (("--attempts", 2), "--attempts needs --check"),
        (("--escalate", "b"), "--escalate needs --check"),
        (("--check", "--attempts", 0), "--attempts must be from 1 to 10"),
        (
            ("--response-format", "FILE", "--check", "--escalate", "bb"),
            "--escalate: there is no model `bb`",
        ),
    ],
)
def test_a_check_that_cannot_be_done_names_the_option(
    fanout: Command,
    upstream: Upstream,
    config: Path,
    tmp_path: Path,
    words: tuple[object, ...],
    error: str,
) -> None:
    (tmp_path / "s.json").write_bytes(SCHEMA)
    given = [tmp_path / "s.json" if word == "FILE" else word for word in words]
    ran = fanout("ask", "Hi", "-m", "a", "--config", config, *given)
    assert ran.code in {1, 2}
    assert error in ran.err
    assert upstream.calls == []
