"""
`make demo`: each strategy once, through the official OpenAI SDK, against a real small model.

Starts the gateway and its engine on free ports, prints a table, and ends: 0 if every row is as it
should be, 1 otherwise. What a model of 135 million parameters says is not judged, only who said it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from demo_cases import ROWS, Shown, show
from openai import OpenAI
from rich.console import Console
from rich.table import Table

CONFIG = Path(__file__).with_name("demo.yaml")
WIDTH = 118
"""Of the table where it is not on a terminal."""


def main() -> int:
    """Run every row and print what became of it."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=WIDTH)
    with gateway() as url, OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        console.print(f"The gateway is at {url}; one engine, asked under three names.")
        shown = []
        for row in ROWS:
            with console.status(f"{row.title}: {row.models}"):
                shown.append(show(row, client))
    console.print(table(shown))
    wrong = [one for one in shown if one.fault]
    for one in wrong:
        console.print(f"{one.row.title}: {one.fault}", style="red", markup=False)
    said = "every one as it should be" if not wrong else f"{len(wrong)} not as it should be"
    console.print(f"{len(shown)} strategies, {said}.", style="red" if wrong else "green")
    return int(bool(wrong))


@contextmanager
def gateway() -> Iterator[str]:
    """The gateway's base URL, for the block; it and its engine end with it."""
    command = [sys.executable, "-m", "fanout", "local", "run", "--config", str(CONFIG)]
    command += ["--port", "0", "--json", "--unannounced", "--attached", str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise SystemExit("the gateway did not start; what it said is above")
            yield msgspec.json.decode(line)["url"]
        finally:
            process.terminate()


def table(shown: Sequence[Shown]) -> Table:
    """One line a strategy."""
    made = Table(title="Each strategy, through the OpenAI SDK", title_justify="left")
    for name in ("strategy", "models", "answers", "first token", "total", "won", "cancelled", ""):
        made.add_column(name, justify="right" if name in {"first token", "total"} else "left")
    for one in shown:
        made.add_row(
            one.row.title,
            one.row.models,
            str(one.answers),
            milliseconds(one.first_ms),
            milliseconds(one.total_ms),
            ", ".join(one.named("won")),
            ", ".join([*one.named("cancelled"), *(f"{n} (failed)" for n in one.named("failed"))]),
            "[red]wrong" if one.fault else "[green]ok",
        )
    return made


def milliseconds(value: float | None) -> str:
    """A time, or nothing where there is none to tell."""
    return "" if value is None else f"{value:,.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
