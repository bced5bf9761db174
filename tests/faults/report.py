"""Compares observed rows with expected ones, and renders docs/faults.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tests.bench.report import number

from .rows import Row, differences, read_expected
from .scenarios import SCENARIOS


@dataclass(frozen=True)
class Verdict:
    """A row and its differences from the expectation."""

    row: Row
    differences: Sequence[str]


@dataclass(frozen=True)
class Figure:
    """A measured figure and its limit; other load on the machine distorts `timed` ones."""

    what: str
    value: float
    limit: float
    unit: str = ""
    timed: bool = False

    @property
    def passes(self) -> bool:
        return self.value <= self.limit

    def shown(self, value: float) -> str:
        """A value with the figure's unit."""
        return number(value, self.unit) if self.unit else f"{value:g}"


def judge(observed: Sequence[Row]) -> list[Verdict]:
    """Compare each row with the expected one."""
    expected = read_expected()
    return [Verdict(row, list(differences(row, expected.get(row.key)))) for row in observed]


class Measured(Protocol):
    """An attack or fault: its name, what was done, and what was measured."""

    @property
    def name(self) -> str: ...

    @property
    def what(self) -> str: ...

    @property
    def figures(self) -> Sequence[Figure]: ...


Sections: TypeAlias = Mapping[str, Sequence[Measured]]


def wrong_figures(figures: Sequence[Figure], *, quiet: bool) -> Iterator[str]:
    """The figures that do not pass, a line each; times count only on a quiet machine."""
    for figure in figures:
        if not figure.passes and (quiet or not figure.timed):
            value, limit = figure.shown(figure.value), figure.shown(figure.limit)
            yield f"{figure.what}: {value}; at most {limit}"


def failures(
    verdicts: Sequence[Verdict], figures: Sequence[Figure], sections: Sections, *, quiet: bool
) -> Iterator[str]:
    """What does not pass, a line each."""
    for verdict in verdicts:
        for difference in verdict.differences:
            yield f"{verdict.row.scenario}, {verdict.row.mode}, {verdict.row.way}: {difference}"
    yield from wrong_figures(figures, quiet=quiet)
    for attacks in sections.values():
        for attack in attacks:
            for wrong in wrong_figures(attack.figures, quiet=quiet):
                yield f"{attack.name}: {wrong}"


HEAD = """# Faults

This page shows what Fanout does when a provider misbehaves, in every mode, plain and streamed, and
what [attacks and other faults](#connections-without-a-key) cost it. For example, if a provider
[closes the connection mid-stream](#cut-mid-stream), a plain race returns the other model's
response. `make faults` generates the page.

The test starts `fanout serve` and `fanout batch` as processes, and scripted providers on real
sockets. For each [scenario of a provider](#fine) it compares what the client got, what the
providers saw and what was logged with `tests/faults/expected.tsv`, where `|` separates
alternatives. It also checks that:

* within 100 ms after each response, all of its calls have ended,
* no response and no log line contains the provider's key or address, the client's key or the
  prompt.

Times are only judged if other processes leave the CPU idle.

`make soak` sends mixed traffic to one process. A run of 10 minutes on 29 November 2026, on a busy
machine, had 7,800 chat requests, all 200. Beside them were 186 jobs, 5,074 connections with raw
bytes, 539 endless requests and 171 clients that did not read. The process grew from 76.2 to
79.0 MB, with 28 to 70 open files and 5 threads.

In the tables, "bad" is the model that misbehaves; it is named first in the request. "good"
responds with `Hi` 0.15 s after the fault. So `200 good “Hi”` is a response with HTTP status 200 and
the text of the good model. Under "providers saw", the number is the calls that a provider got, and
"closed" is how many of them the gateway closed before their end. There are no retries unless the
scenario says so.
"""


def page(
    run: Sequence[str],
    verdicts: Sequence[Verdict],
    figures: Sequence[Figure],
    sections: Sections,
    *,
    quiet: bool,
) -> str:
    """The whole page; `run` holds the lines about the run itself."""
    passed = sum(not verdict.differences for verdict in verdicts)
    lines = [
        HEAD,
        *(f"* {line}" for line in run),
        f"* {passed} of {len(verdicts)} rows pass.",
        "",
        "## Figures",
        "",
        *_table(
            ["figure", "measured", "limit", "passes"],
            [_figure_cells(figure, quiet=quiet) for figure in figures],
        ),
    ]
    for title, attacks in sections.items():
        lines += [
            "",
            f"## {title}",
            "",
            *_table(ATTACK_COLUMNS, _attack_rows(attacks, quiet=quiet)),
        ]
    for scenario in SCENARIOS:
        mine = [verdict for verdict in verdicts if verdict.row.scenario == scenario.name]
        lines += ["", f"## {scenario.name}", "", f"{scenario.what[:1].upper()}{scenario.what[1:]}."]
        lines += ["", *_table(COLUMNS, [_cells(verdict) for verdict in mine])]
    return "\n".join(lines) + "\n"


ATTACK_COLUMNS = ["what happens", "in detail", "figure", "measured", "limit", "passes"]


def _attack_rows(attacks: Sequence[Measured], *, quiet: bool) -> Iterator[list[str]]:
    for attack in attacks:
        first = [attack.name, attack.what]
        for figure in attack.figures:
            yield [*first, *_figure_cells(figure, quiet=quiet)]
            first = ["", ""]


def _figure_cells(figure: Figure, *, quiet: bool) -> list[str]:
    passes = "not judged" if figure.timed and not quiet else _yes(passes=figure.passes)
    return [figure.what, figure.shown(figure.value), figure.shown(figure.limit), passes]


COLUMNS = ["mode", "response", "the client got", "providers saw", "logged", "passes"]


def _cells(verdict: Verdict) -> list[str]:
    row = verdict.row
    return [row.mode, row.way, row.got, row.saw, row.log, _yes(passes=not verdict.differences)]


def _yes(*, passes: bool) -> str:
    return "yes" if passes else "**no**"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
