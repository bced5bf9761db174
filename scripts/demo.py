"""
`make demo`: runs each strategy once, through the official OpenAI SDK, against a small real model.

Starts the gateway and the model on free ports and prints a table. The exit code is 0 if every case
passes and 1 otherwise. Which model responds is checked; what it writes is not, as the model has
only 135 million parameters.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from demo_cases import CASES, Result, run
from openai import OpenAI
from rich.console import Console
from rich.table import Table

CONFIG = Path(__file__).with_name("demo.yaml")
WIDTH = 118
"""Columns of the table if the output is not a terminal."""


def main() -> int:
    """Run every case and print the results."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=WIDTH)
    with gateway() as url, OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        console.print(f"The gateway is at {url}; one model runs under three names.")
        results = []
        for case in CASES:
            with console.status(f"{case.title}: {case.models}"):
                results.append(run(case, client))
    console.print(table(results))
    failed = [result for result in results if result.fault]
    for result in failed:
        console.print(f"{result.case.title}: {result.fault}", style="red", markup=False)
    passed = f"{len(results) - len(failed)} of {len(results)} strategies passed."
    console.print(passed, style="red" if failed else "green")
    return int(bool(failed))


@contextmanager
def gateway() -> Iterator[str]:
    """Run the gateway and the model for the block; yield the base URL."""
    command = [sys.executable, "-m", "fanout", "local", "run", "--config", str(CONFIG)]
    command += ["--port", "0", "--json", "--unannounced", "--attached", str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise SystemExit("the gateway did not start; its output above says why")
            yield msgspec.json.decode(line)["url"]
        finally:
            process.terminate()


def table(results: Sequence[Result]) -> Table:
    """Return a table with a row for each strategy."""
    made = Table(title="Each strategy, through the OpenAI SDK", title_justify="left")
    for name in ("strategy", "models", "responses", "first token", "total", "won", "cancelled", ""):
        made.add_column(name, justify="right" if name in {"first token", "total"} else "left")
    for result in results:
        made.add_row(
            result.case.title,
            result.case.models,
            str(result.responses),
            milliseconds(result.first_ms),
            milliseconds(result.total_ms),
            ", ".join(result.named("won")),
            ", ".join(
                [*result.named("cancelled"), *(f"{n} (failed)" for n in result.named("failed"))]
            ),
            "[red]failed" if result.fault else "[green]ok",
        )
    return made


def milliseconds(value: float | None) -> str:
    """Return a time as text, or nothing if there is none."""
    return "" if value is None else f"{value:,.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
