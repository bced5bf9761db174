"""
`make clients`: runs SDKs and frameworks, unchanged, against the gateway and strict upstreams.

The upstreams have OpenAI's, Anthropic's and Gemini's API and reject what the vendors reject. The
clients have their own environment, `.build/clients`; a language is skipped if its compiler is not
installed. Prints a table and writes it into
docs/clients.md. The exit code is 0 if every case passes and 1 otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tests.support.patience import PATIENCE

from .gateway import serve_gateway
from .report import PAGE, Result, terminal_table, write_page
from .stub_server import Calls, serve_stubs
from .toolchains import ROOT, commands

WIDTH = 118
"""Columns of the table if the output is not a terminal."""
TIMEOUT = 600.0
"""Seconds for all cases of one client."""


def main() -> int:
    """Install and run every client, and print and write the results."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=WIDTH)
    results: list[Result] = []
    with serve_stubs() as (upstream, calls), serve_gateway(upstream) as url:
        for command in commands():
            words = [Path(word).name for word in command if ":" not in word and word != "-cp"]
            console.print(f"running {' '.join(words)}")
            calls.clear()
            results += checked(run([*command, url]), calls)
    console.print(terminal_table(results))
    failed = [one for one in results if one.fault]
    for one in failed:
        line = f"{one.client}: {one.case}: {one.fault}"
        console.print(line, style="red", markup=False)
    passed = f"{len(results) - len(failed)} of {len(results)} cases passed."
    console.print(passed, style="red" if failed else "green")
    write_page(results)
    console.print(f"written: {PAGE.relative_to(ROOT)}")
    return int(bool(failed))


def run(command: list[str]) -> list[Result]:
    """Run one client; return its results, with the reason if it failed to run."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        timer = threading.Timer(TIMEOUT, process.kill)
        timer.start()
        output, errors = process.communicate()
        timer.cancel()
    found = [Result(**json.loads(line)) for line in output.splitlines() if line.startswith("{")]
    if process.returncode != 0 or not found:
        fault = errors.strip()[-500:] or f"it ended with {process.returncode}"
        name = found[0].client if found else Path(command[-2]).name
        found.append(Result(name, "run to the end", "", fault))
    return found


def checked(results: list[Result], calls: Calls) -> Iterator[Result]:
    """Yield the results, with the faults that only the upstream can see."""
    wanted = sum(one.case == "error" for one in results)
    for one in results:
        fault = one.fault
        if one.case == "error" and not fault and (count := len(calls.of("failing"))) != wanted:
            fault = f"{count} upstream calls instead of {wanted}"
        if one.case == "cancelled" and not fault and not is_disconnected(calls):
            fault = "the gateway did not disconnect from the upstream"
        yield Result(one.client, one.case, one.result, fault)


def is_disconnected(calls: Calls) -> bool:
    """
    Whether the gateway disconnected from the upstream of every cancelled request.

    A busy machine may take its time: an upstream that ends by itself does not count.
    """
    until = time.monotonic() + PATIENCE
    cancelled = calls.of("endless")
    while time.monotonic() < until and not all(call.disconnected_at for call in cancelled):
        time.sleep(0.01)
    return bool(cancelled) and all(call.disconnected_at for call in cancelled)


if __name__ == "__main__":
    sys.exit(main())
