"""
`make clients`: runs LangChain's ChatOpenAI, the `llm` command and OpenAI's Node SDK, unchanged,
against the gateway with the small local model.

They have their own environment, `.build/clients`. Python packages and Node.js come from
`requirements/clients.txt`, npm packages from `scripts/clients/package-lock.json`, all checked by
hash. Prints a table. The exit code is 0 if every case passes and 1 otherwise. What the model writes
is not judged.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from demo import WIDTH, gateway
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
CLIENTS = Path(__file__).with_name("clients")
LOCK = ROOT / "requirements" / "clients.txt"
HOME = ROOT / ".build" / "clients"
PYTHON, NODE = HOME / "bin" / "python", HOME / "node"
TIMEOUT = 180.0
"""Seconds for all cases of one client."""


def main() -> int:
    """Make the environment, run every client and print the results."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=WIDTH)
    make_environment()
    with gateway() as url:
        console.print(f"The gateway is at {url}.")
        shown = [row for command in commands() for row in run([*command, url])]
    console.print(table(shown))
    failed = [row for row in shown if row["fault"]]
    for row in failed:
        line = f"{row['client']}: {row['what']}: {row['fault']}"
        console.print(line, style="red", markup=False)
    passed = f"{len(shown) - len(failed)} of {len(shown)} cases passed."
    console.print(passed, style="red" if failed else "green")
    return int(bool(failed))


def make_environment() -> None:
    """Create the clients' environment, or update it to its lock files."""
    uv = str(Path(sys.executable).with_name("uv"))
    if not PYTHON.exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(HOME)], check=True)
    sync = [uv, "pip", "sync", "-q", "--python", str(PYTHON), "--require-hashes", str(LOCK)]
    subprocess.run(sync, check=True)
    NODE.mkdir(exist_ok=True)
    for path in CLIENTS.glob("package*.json"):
        shutil.copy(path, NODE)
    shutil.copy(CLIENTS / "openai_client.mjs", NODE)
    path = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"  # npm finds its node there
    npm = [str(PYTHON.with_name("npm")), "ci", "--silent", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=NODE, env={**os.environ, "PATH": path}, check=True)


def commands() -> Iterator[list[str]]:
    """Yield each client's command; it takes the base URL as its last argument."""
    yield [str(PYTHON), str(CLIENTS / "langchain_client.py")]
    yield [str(PYTHON), str(CLIENTS / "llm_client.py")]
    yield [str(PYTHON.with_name("node")), str(NODE / "openai_client.mjs")]


def run(command: list[str]) -> list[dict[str, str]]:
    """Run one client; return its results, with the reason if it failed to run."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not rows:
        fault = done.stderr.strip()[-500:] or "it printed nothing"
        name = Path(command[1]).name
        rows.append({"client": name, "what": "run at all", "result": "", "fault": fault})
    return rows


def table(rows: list[dict[str, str]]) -> Table:
    """Return a table with a row for each case."""
    made = Table(title="Clients, unchanged", title_justify="left")
    for name in ("client", "case", "result", ""):
        made.add_column(name)
    for row in rows:
        mark = "[red]failed" if row["fault"] else "[green]ok"
        made.add_row(row["client"], row["what"], row["result"], mark)
    return made


if __name__ == "__main__":
    sys.exit(main())
