"""No text from elsewhere controls the terminal: of providers, files, configs, arguments."""

from __future__ import annotations

import json
import os
import pty
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from fanout.wire.json import escape_controls
from fanout.wire.terminal_text import one_line, without_controls
from tests.cli.commands import Command, spawned, write_config
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream

CONTROLS = "".join(
    map(chr, (*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F),
              *range(0x2066, 0x206A)))
)  # fmt: skip
ATTACK = f"x\x1b]52;c;aGk=\x07\x1b]0;title\x1b\\\x1b[2J{CONTROLS}[/] [bold]y"
MODEL = f"m{ATTACK.replace(',', '')}"
UNSAFE = re.compile(f"[{re.escape(CONTROLS)}]")
DRAWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[A-K]|\r")
"""What rich writes for colors, the cursor and new lines."""


@pytest.fixture
def hostile(upstream: Upstream, tmp_path: Path) -> Path:
    """A config and files whose every text is hostile; the provider's errors are too."""
    for name in (MODEL, "bad"):
        upstream.script(name, [refuse(400, ATTACK, code="limit[/]" + ATTACK, type=ATTACK)])
    upstream.script("good", answers(ATTACK))
    listed = [entry(upstream, name) for name in (MODEL, "bad", "good")]
    config = {"model_list": listed, "router_settings": {"num_retries": 0}}
    (tmp_path / "wrong.yaml").write_text(json.dumps({"model_list": [], ATTACK: 1}))
    line = {"custom_id": ATTACK, "method": ATTACK, "url": ATTACK, "body": {"model": ATTACK}}
    (tmp_path / "wrong.jsonl").write_text(json.dumps(line) + "\n")
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    lines = [{"custom_id": ATTACK, "method": "POST", "url": "/v1/chat/completions", "body": asked}]
    lines.append({**lines[0], "custom_id": "2", "body": {**asked, "model": "good"}})
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return write_config(tmp_path, config)


# With a shell's own `\0` no argument can be written.
TYPED = ATTACK.replace("\0", "")
COMMANDS: Sequence[Sequence[str]] = [
    ("ask", "Hi", "-m", "bad"),
    ("ask", "Hi", "-m", "good"),
    ("ask", "Hi", "-m", "good", "--stream"),
    ("ask", "Hi", "-m", TYPED),
    ("race", "Hi", "-m", "bad,good"),
    ("race", "Hi", "-m", f"bad,{TYPED}"),
    ("all", "Hi", "-m", "bad,good"),
    ("batch", "run", "wrong.jsonl"),
    ("batch", "run", "lines.jsonl"),
    ("batch", "quote", "wrong.jsonl"),
    ("batch", "quote", "lines.jsonl"),
    ("batch", "run", f"{TYPED}.jsonl"),
    ("batch", "cancel", TYPED),
    ("batch", TYPED),
    ("check", "wrong.yaml"),
    ("check", "fanout.yaml"),
    ("check", "--fix", "wrong.yaml"),
    ("check", TYPED),
    ("models",),
    ("doctor",),
    ("local", "install", "--model", TYPED),
]
AS_JSON = [words for words in COMMANDS if words[-1] != TYPED and words[0] != "local"]


def ids(words: Sequence[str]) -> str:
    return without_controls("-".join(words)).replace("/", "")[:40]


@pytest.mark.parametrize("words", COMMANDS, ids=ids)
def test_a_pipe_gets_no_control_characters_but_in_responses(
    fanout: Command, hostile: Path, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]
) -> None:
    monkeypatch.chdir(hostile.parent)
    monkeypatch.setenv("FANOUT_CONFIG", str(hostile))
    ran = fanout(*words)
    assert not UNSAFE.findall(ran.err), ran.err
    if "good" not in words[-1] and "good" not in words:
        assert not UNSAFE.findall(ran.out), ran.out
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("words", AS_JSON, ids=ids)
def test_json_is_safe_to_show_and_loses_nothing(
    fanout: Command, hostile: Path, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]
) -> None:
    monkeypatch.chdir(hostile.parent)
    monkeypatch.setenv("FANOUT_CONFIG", str(hostile))
    ran = fanout(*words, "--json")
    assert ran.out
    assert not UNSAFE.findall(ran.out), ran.out
    assert all(json.loads(one) is not None for one in ran.out.splitlines())


@pytest.mark.parametrize("words", [*COMMANDS[:7], ("batch", "run", "lines.jsonl")], ids=ids)
def test_a_terminal_gets_no_control_characters_of_others(
    hostile: Path, words: Sequence[str]
) -> None:
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "150", "FANOUT_CONFIG": str(hostile)}
    options = {"stdout": theirs, "stderr": theirs, "env": env, "cwd": hostile.parent}
    with spawned(*words, **options) as process:
        os.close(theirs)
        drawn = bytearray()
        while part := _read(ours):
            drawn += part
        process.wait(PATIENCE)
    os.close(ours)
    left = DRAWN.sub("", drawn.decode())
    assert left
    assert not UNSAFE.findall(left), left
    assert "Traceback" not in left


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's end of a terminal
        return b""


def test_only_control_characters_are_removed() -> None:
    assert without_controls(CONTROLS) == ""
    kept = "line\n\ttab é 日本 עברית \u200f\u200d👩‍👧 [/]"
    assert without_controls(kept) == kept
    assert without_controls("a\udce9") == "a\ufffd"
    assert one_line("a\nb\tc\x1b") == "a b c"


def test_json_keeps_its_value() -> None:
    text = json.dumps(ATTACK, ensure_ascii=False)
    assert json.loads(escape_controls(text)) == ATTACK
    assert not UNSAFE.findall(escape_controls(text + "é"))
