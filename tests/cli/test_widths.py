"""At 60, 80 and 120 columns no name and no news is cut: bars shrink, and lines break."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest
from msgspec import json

from fanout.bulk.activity import Activity, Wait
from fanout.bulk.service.records import Job
from fanout.bulk.totals import Totals
from fanout.cli.batch_progress import Progress, packed
from fanout.cli.race_timeline import TimelineRow
from fanout.cli.race_view import MIN_BAR, render
from fanout.cli.table import columns

NAMES = ["openai/gpt-4o", "groq/llama-3.3-70b-versatile"]
LONG = "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0-in-a-region-far-away"
REASON = "the provider rejects the request: this model does not take images (HTTP 400)"


def race_rows(names: list[str]) -> list[TimelineRow]:
    won, failed = names
    return [
        TimelineRow(won, "won", 0.0, 0.25, 1.3, 8),
        TimelineRow(failed, "failed", 0.0, None, 0.4, reason=REASON),
    ]


def drawn(names: list[str], width: int) -> list[str]:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, height=30)
    console.print(render(race_rows(names), 1.3, width))
    output: Any = console.file
    return str(output.getvalue()).splitlines()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
@pytest.mark.parametrize("names", [NAMES, ["a", LONG], [LONG, "b"]], ids=["usual", "long", "won"])
def test_a_race_shows_every_name_and_all_news(names: list[str], width: int) -> None:
    lines = drawn(names, width)
    text = re.sub(r"\s+", " ", " ".join(lines))
    assert max(map(len, lines)) <= width
    squeezed = text.replace(" ", "")
    for part in (*names, "won in 1.30 s, first token at 250 ms, 8 tokens", f"failed: {REASON}"):
        assert part.replace(" ", "") in squeezed
    assert any("●" in line for line in lines)


@pytest.mark.parametrize(("width", "count"), [(60, 6), (80, 6), (120, 4)])
def test_a_race_is_beside_its_names_while_there_is_room(width: int, count: int) -> None:
    lines = drawn(NAMES, width)
    bars = [line for line in lines if "●" in line or "✗" in line]
    assert [name in line for name, line in zip(NAMES, bars, strict=True)] == [True, True]
    assert all(len(re.findall("[─━●✗ ]", line)) >= MIN_BAR for line in bars)
    assert len(lines) == count


JOB = json.decode(
    b'{"id": "batch_1", "host": "run", "owner": "anyone", "input_file_id": "f", "input_key": "k",'
    b' "completion_window": "24h", "created_at": 1, "expires_at": 2, "status": "in_progress",'
    b' "total": 2000}',
    type=Job,
)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_jobs_progress_breaks_into_lines(width: int) -> None:
    totals = Totals(
        done=1_515, failed=2, tokens_in=123_456, tokens_out=98_765, causes={"invalid_value": 2}
    )
    progress = Progress(JOB, totals, 61.3, 25.0)
    lines = progress.lines(width)
    assert max(map(len, lines)) <= width
    assert " | ".join(lines) == progress.line


def test_while_all_lines_wait_for_batches_no_speed_is_shown() -> None:
    """It would be that of the lines that were sent in real time before."""

    def shown(lines: int) -> str:
        wait = Wait("native_batch", "their batch has not ended", "m", lines=lines)
        activity = Activity(time.time(), rate=0.2, waits=[wait])
        return Progress(JOB, Totals(done=1_500, activity=activity), 0.2, 25.0).line

    assert "| waiting |" in shown(500)
    assert "/s" not in shown(500)
    assert "0.2/s" in shown(499)


def test_a_part_that_is_longer_than_a_line_breaks_at_words() -> None:
    assert packed(["one two three", "x"], 8) == ["one two", "three", "x"]
    assert packed(["a", "b"], 5) == ["a | b"]
    assert packed([], 5) == []


ROWS = [
    ("MODEL NAME", "PROVIDER", "URL", "KEY", "LIMITS"),
    ("fast", "openai", "https://api.openai.com/v1/chat/completions", "OPENAI_API_KEY", "-"),
    (LONG, "bedrock", "https://bedrock-runtime.eu-central-1.amazonaws.com", "", "rpm 60, tpm 1000"),
]


@pytest.fixture(params=[40, 60, 80, 120, 300])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The columns of the terminal that is standard output."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    return int(request.param)


def test_a_table_fits_the_terminal_and_shows_every_cell(width: int) -> None:
    lines = columns(ROWS).splitlines()
    too_long = [line for line in lines if len(line) > width]
    assert all(" " not in line.strip() for line in too_long)  # a word of its own line
    text = " ".join(line.strip() for line in lines)
    assert all(cell in text for row in ROWS[1:] for cell in row if cell != "-")
    assert lines[0].startswith("MODEL NAME")
    if width < 120:
        assert "    key: OPENAI_API_KEY" in lines
        assert "    limits: -" not in lines  # nothing to say


def test_words_without_a_header_are_broken(width: int) -> None:
    rows = [("ok", "config", "one " * 30), ("absent", "local model", "two")]
    lines = columns(rows, has_header=False).splitlines()
    assert max(map(len, lines)) <= width
    assert re.sub(r"\s+", " ", " ".join(lines)).startswith("ok config one one")
    assert " ".join(lines).split() == " ".join(" ".join(row) for row in rows).split()


def test_a_table_in_a_file_is_as_wide_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert len(columns(ROWS).splitlines()) == len(ROWS)
    assert columns([]) == ""
