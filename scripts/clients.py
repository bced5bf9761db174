"""
`make clients`: LangChain's ChatOpenAI, the `llm` command and Node's OpenAI SDK, unchanged, against
the gateway over the small local model.

Their environment is one of its own (`.build/clients`): Python's packages and Node.js by hash out
of `requirements/clients.txt`, npm's by `scripts/clients/package-lock.json`. Prints a table, and
ends: 0 if every row is as it should be, 1 otherwise. What the model says is not judged.
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
PROBES = Path(__file__).with_name("clients")
LOCK = ROOT / "requirements" / "clients.txt"
HOME = ROOT / ".build" / "clients"
PYTHON, NODE = HOME / "bin" / "python", HOME / "node"
PATIENCE = 180.0


def main() -> int:
    """Make the environment, run every client, and print what became of each row."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=WIDTH)
    make_environment()
    with gateway() as url:
        console.print(f"The gateway is at {url}.")
        shown = [row for command in commands() for row in run([*command, url])]
    console.print(table(shown))
    wrong = [row for row in shown if row["fault"]]
    for row in wrong:
        told = f"{row['client']}: {row['what']}: {row['fault']}"
        console.print(told, style="red", markup=False)
    said = "each as it should be" if not wrong else f"{len(wrong)} not as it should be"
    console.print(f"{len(shown)} rows, {said}.", style="red" if wrong else "green")
    return int(bool(wrong))


def make_environment() -> None:
    """The clients' environment, made anew where its lock files have changed."""
    uv = str(Path(sys.executable).with_name("uv"))
    if not PYTHON.exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(HOME)], check=True)
    sync = [uv, "pip", "sync", "-q", "--python", str(PYTHON), "--require-hashes", str(LOCK)]
    subprocess.run(sync, check=True)
    NODE.mkdir(exist_ok=True)
    for path in PROBES.glob("package*.json"):
        shutil.copy(path, NODE)
    shutil.copy(PROBES / "openai_rows.mjs", NODE)
    path = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"  # npm looks for its node there
    npm = [str(PYTHON.with_name("npm")), "ci", "--silent", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=NODE, env={**os.environ, "PATH": path}, check=True)


def commands() -> Iterator[list[str]]:
    """Each client's rows, which take the base URL as their last word."""
    yield [str(PYTHON), str(PROBES / "langchain_rows.py")]
    yield [str(PYTHON), str(PROBES / "llm_rows.py")]
    yield [str(PYTHON.with_name("node")), str(NODE / "openai_rows.mjs")]


def run(command: list[str]) -> list[dict[str, str]]:
    """What one client's rows tell; of a client that did not get so far, why."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not rows:
        words = done.stderr.strip()[-500:] or "it printed nothing"
        name = Path(command[1]).name
        rows.append({"client": name, "what": "to run at all", "said": "", "fault": words})
    return rows


def table(rows: list[dict[str, str]]) -> Table:
    """One line a row."""
    made = Table(title="Clients, unchanged", title_justify="left")
    for name in ("client", "what", "what came", ""):
        made.add_column(name)
    for row in rows:
        mark = "[red]wrong" if row["fault"] else "[green]ok"
        made.add_row(row["client"], row["what"], row["said"], mark)
    return made


if __name__ == "__main__":
    sys.exit(main())
