"""The results as a table in the terminal and in `docs/clients.md`."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
BEGIN, END = "<!-- make clients: begin -->", "<!-- make clients: end -->"
COLUMNS = {
    "plain": ("plain",),
    "streamed": ("streamed",),
    "all, one fails": ("all, one fails", "all, one fails, streamed", "all, a list of models"),
    "race": ("race", "race, streamed"),
    "tools: OpenAI": ("tools, OpenAI",),
    "tools: Anthropic": ("tools, Anthropic",),
    "tools: Gemini": ("tools, Gemini",),
    "tools: Claude that thinks": ("tools, Claude that thinks",),
    "structured": ("structured, OpenAI", "structured, Anthropic", "structured, Gemini"),
    "embeddings": ("embeddings",),
    "lists": ("lists", "lists, race", "lists, all"),
    "errors": ("unknown model", "error", "error, retried by the client"),
    "cancelled": ("cancelled",),
}
"""The columns of the page, and the cases of each."""

MIXED = "mixed"
"""The result of a client that takes the chunks of several choices for those of one."""


@dataclass(frozen=True)
class Result:
    """One case of one client; `fault` is empty if it passed."""

    client: str
    case: str
    result: str
    fault: str


def terminal_table(results: Iterable[Result]) -> Table:
    """Return a table with a row for each case."""
    made = Table(title="Clients, unchanged", title_justify="left")
    for name in ("client", "case", "result", ""):
        made.add_column(name)
    for one in results:
        made.add_row(one.client, one.case, one.result, "[red]failed" if one.fault else "[green]ok")
    return made


def write_page(results: Sequence[Result]) -> None:
    """Write the table between the page's markers."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{page_table(results)}{END}{after}")


def page_table(results: Sequence[Result]) -> str:
    """Return the date and a Markdown table with a row for each client."""
    today = dt.datetime.now(tz=dt.UTC).date()
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    lines = [f"Run on {today.isoformat()}, {system}.", ""]
    lines += [f"| client | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for client in dict.fromkeys(one.client for one in results):
        found = {one.case: one for one in results if one.client == client}
        cells = [_cell([found[case] for case in cases if case in found])
                 for cases in COLUMNS.values()]  # fmt: skip
        lines.append(f"| {client} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(found: Sequence[Result]) -> str:
    if not found:
        return "-"
    if any(one.fault for one in found):
        return "fails"
    return MIXED if any(one.result == MIXED for one in found) else "yes"
