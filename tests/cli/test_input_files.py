"""What a job's file may be, and what is one sentence before anything is sent."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.input.lines import MAX_LINE
from tests.cli.commands import Command
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

SUPPORT = Path(__file__).parents[1] / "support"
KINDS: list[dict[str, Any]] = json.loads((SUPPORT / "file_kinds.json").read_bytes())
LINE = b'{"model": "a", "prompt": "Gr\xc3\xbc\xc3\x9fe"}\n'


@pytest.fixture
def folder(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.setenv("FANOUT_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS, ids=[f"{one['name']}-{one['head'][:8]}" for one in KINDS])
@pytest.mark.parametrize("form", [(), ("--text",), ("--column", "prompt")], ids=str)
def test_a_file_that_is_no_text_is_named_with_the_way_out(
    fanout: Command, folder: Path, kind: dict[str, Any], form: tuple[str, ...]
) -> None:
    (folder / kind["name"]).write_bytes(bytes.fromhex(kind["head"]))
    ran = fanout("batch", "quote", kind["name"], "-m", "a", *form)
    if kind["error"] is None:
        assert " is a" not in ran.err.replace(" is a CSV: use --column", "")
    elif "Parquet" in kind["error"] and form[:1] != ("--text",):
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"fanout: `{kind['name']}` cannot be read as Parquet: ")
    else:
        expected = f"fanout: `{kind['name']}` is {kind['error']}\n"
        assert (ran.code, ran.out, ran.err) == (2, "", expected)


def test_a_packed_archive_is_named_too(fanout: Command, folder: Path) -> None:
    (folder / "p.tar.gz").write_bytes(gzip.compress(bytes(257) + b"ustar\0"))
    ran = fanout("batch", "quote", "p.tar.gz")
    assert (ran.code, ran.err) == (2, "fanout: `p.tar.gz` is a tar archive: unpack it first\n")


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (LINE, 1),
        (codecs.BOM_UTF8 + LINE, 1),
        (codecs.BOM_UTF16_LE + LINE.decode().encode("utf-16-le"), 1),
        (LINE.decode().encode("utf-16-be"), 1),
        (LINE.decode().encode("cp1252"), 1),
        (LINE.replace(b"\n", b"\r") * 2, 2),
        (gzip.compress(LINE), 1),
        (gzip.compress(LINE.decode().encode("cp1252")) + gzip.compress(LINE[:0]), 1),
    ],
    ids=["utf-8", "mark", "utf-16-le", "utf-16-be", "cp1252", "returns", "gzip", "gzip-cp1252"],
)
def test_json_lines_may_have_any_encoding(
    fanout: Command, folder: Path, upstream: Upstream, data: bytes, lines: int
) -> None:
    upstream.script("a", answers("Hello"))
    (folder / "p.jsonl").write_bytes(data)
    assert fanout("batch", "run", "p.jsonl").code == 0
    assert {call.body["messages"][0]["content"] for call in upstream.calls} == {"Grüße"}
    assert len(upstream.calls) == lines


BAD: dict[str, tuple[bytes, tuple[str, ...], str]] = {
    "damaged": (gzip.compress(LINE * 99)[:30], (), "the gzip file is damaged, or its end is"),
    "broken": (b"\x1f\x8b\x08\0" + b"x" * 40, (), "the gzip file is damaged, or its end is"),
    "no column": (
        b"id,prompt\n1,a\n",
        (),
        "is a CSV: use --column with one of `id`, `prompt`, or --prompt",
    ),
    "encoding": (b"x", ("--text", "--encoding", "utf-9"), "there is no encoding `utf-9`"),
    "no text": (b"x", ("--text", "--encoding", "hex"), "there is no encoding `hex`"),
    "mark": (
        codecs.BOM_UTF8 + b"x",
        ("--text", "--encoding", "cp1252"),
        "`cp1252` is not its encoding: the file begins with the mark of UTF-8",
    ),
    "line": (b"a\ncaf\xc3\xa9\nx\xe9\n", ("--text",), "line 3 is not valid UTF-8"),
    "NUL": (b"a\nb\0\n", ("--text",), "line 2 has a NUL byte"),
    "two separators": (b"x", ("--column", "x", "--separator", ";;"), "`--separator` must be one"),
    "no CSV": (b"x", ("--text", "--separator", ";"), "--separator needs --column"),
    "long cell": (
        b"id,prompt\n1,a\n2," + b"x" * (MAX_LINE + 1),
        ("--column", "prompt"),
        "row 2, column 2 (`prompt`), line 3: the cell is over 8 MiB",
    ),
    "open for long": (
        b'id,prompt\n1,"' + b"x,\n" * MAX_LINE,
        ("--column", "prompt"),
        "row 1, column 2 (`prompt`), line 2: the cell is over 8 MiB, or its quote is never closed",
    ),
    "long prompt": (
        b"id,prompt\n1," + b"x" * MAX_LINE,
        ("--column", "prompt"),
        "row 1, line 2: over 8 MiB",
    ),
    "long line": (b"x" * (4 * MAX_LINE + 1), ("--text",), "line 1 is over 32 MiB"),
}


@pytest.mark.parametrize(("data", "words", "error"), BAD.values(), ids=BAD)
def test_a_bad_file_is_one_sentence_with_its_place(
    fanout: Command,
    upstream: Upstream,
    folder: Path,
    data: bytes,
    words: tuple[str, ...],
    error: str,
) -> None:
    (folder / "p.csv").write_bytes(data)
    ran = fanout("batch", "run", "p.csv", *(["-m", "a"] if words else []), *words)
    assert (ran.code, ran.out) == (2, "")
    assert error in ran.err
    assert ran.err.startswith("fanout: ")
    assert ran.err.count("\n") == 1
    assert not upstream.calls


@pytest.mark.parametrize("words", [("--column", "prompt"), ("--text",), ()])
def test_a_folder_is_no_file(fanout: Command, folder: Path, words: tuple[str, ...]) -> None:
    (folder / "sub").mkdir()
    ran = fanout("batch", "run", "sub", "-m", "a", *words)
    assert (ran.code, ran.err) == (2, "fanout: `sub` is a folder; name a file\n")


def test_the_command_reports_how_a_file_was_read(fanout: Command, folder: Path) -> None:
    (folder / "p.csv").write_bytes("id;prompt\n\n1;Grüße\n2;\n".encode("cp1252"))
    ran = fanout("batch", "quote", "p.csv", "--column", "prompt", "-m", "a")
    assert ran.code == 0
    assert ran.err.splitlines() == [
        "fanout: `p.csv` is read as cp1252; --encoding names another",
        "fanout: the separator is `;`; --separator names another",
        "fanout: 1 blank row and 1 row without a prompt (the first is row 2) skipped",
    ]
    named = ("--encoding", "cp1252", "--separator", ";")
    ran = fanout("batch", "quote", "p.csv", "--column", "prompt", "-m", "a", *named)
    assert ran.err.count("\n") == 1
    (folder / "p.txt").write_bytes(b"a\n\n \nb\n")
    assert fanout("batch", "quote", "p.txt", "--text", "-m", "a").err == (
        "fanout: 2 blank lines skipped\n"
    )


# ---- pipes ----


ARRAY = "is a JSON array: write one object on each line, for example with `jq -c '.[]'`"
PRETTY = (
    "has JSON objects over several lines: write each on a line of its own, for example with "
    "`jq -c .`"
)


def test_json_on_standard_input_that_is_no_lines_names_the_fix(
    fanout: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder
    cases = {
        '[{"prompt": "a"}]': ARRAY,
        '\ufeff\n [\n  {\n    "prompt": "a"\n  }\n]\n': ARRAY,
        '["a", "b"]': ARRAY,
        '{\n  "prompt": "a"\n}\n': PRETTY,
    }
    for text, error in cases.items():
        for words in (("--column", "prompt"), ("--prompt", "Say {prompt}"), ()):
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
            ran = fanout("batch", "run", "-", "-m", "a", *words)
            assert (ran.code, ran.out, ran.err) == (2, "", f"fanout: standard input {error}\n")


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "fanout", "batch", *words]
    return subprocess.run(  # noqa: S603
        command, capture_output=True, check=False, timeout=PATIENCE, **options
    )


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_read_and_the_responses_go_to_standard_output(
    folder: Path, upstream: Upstream, *, packed: bool
) -> None:
    upstream.script("a", answers("Hello"))
    ran = run("run", "-", "--json", input=gzip.compress(LINE) if packed else LINE)
    assert ran.returncode == 0, ran.stderr
    (response,) = map(json.loads, ran.stdout.splitlines())
    assert response["custom_id"] == "line-1"
    assert json.loads(ran.stderr.splitlines()[-1])["event"] == "end"
    assert not list(folder.glob("*.jsonl"))


def test_a_named_pipe_is_read_and_written(folder: Path, upstream: Upstream) -> None:
    upstream.script("a", answers("Hello"))
    source, target = folder / "in", folder / "out"
    os.mkfifo(source)
    os.mkfifo(target)
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: source.write_bytes(LINE)),
        threading.Thread(target=lambda: found.append(target.read_bytes())),
    ]
    for thread in threads:
        thread.start()
    while not found and (ran := run("run", "in", "-o", "out")).returncode == 2:
        assert b"no program reads from this pipe" in ran.stderr  # the thread has not opened it yet
    for thread in threads:
        thread.join(timeout=PATIENCE)
    assert b"Hello" in found[0]


def test_a_pipe_without_a_reader_is_a_sentence(
    fanout: Command, folder: Path, upstream: Upstream
) -> None:
    (folder / "p.jsonl").write_bytes(LINE)
    os.mkfifo(folder / "pipe")
    ran = fanout("batch", "run", "p.jsonl", "-o", "pipe")
    assert ran.code == 2
    assert ran.err == (
        "fanout: the output `pipe` cannot be written: no program reads from this pipe; "
        "start that one first\n"
    )
    os.mkfifo(folder / "q.errors.jsonl")
    assert "cannot be written" in fanout("batch", "run", "p.jsonl", "-o", "q.jsonl").err
    assert fanout("check", folder / "fanout.yaml", "--fix", "-o", "pipe").code == 2
    assert not upstream.calls


def test_standard_input_is_not_overwritten(folder: Path) -> None:
    (folder / "p.jsonl").write_bytes(LINE)
    with (folder / "p.jsonl").open("rb") as source:
        ran = run("run", "-", "-o", "p.jsonl", stdin=source)
    assert ran.returncode == 2
    assert b"it is the input" in ran.stderr
    assert (folder / "p.jsonl").read_bytes() == LINE


@pytest.mark.parametrize("output", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output_is_written_into_and_not_replaced(
    folder: Path, upstream: Upstream, output: str
) -> None:
    upstream.script("a", answers("Hello"))
    (folder / "p.jsonl").write_bytes(LINE)
    command = f"{sys.executable} -m fanout batch run p.jsonl --json -o {output}"
    script = f"{{ echo before; {command}; echo after; }} > all"
    ran = subprocess.run(script, shell=True, capture_output=True, check=False, timeout=PATIENCE)  # noqa: S602
    assert b'"event":"end"' in ran.stderr
    first, response, last = (folder / "all").read_bytes().splitlines()
    assert (first, last) == (b"before", b"after")
    assert b"Hello" in response
