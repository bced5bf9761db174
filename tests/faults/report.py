"""What was seen beside what should be, as values and as docs/faults.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.report import number

from .rows import Row, differences, read_expected
from .scenarios import SCENARIOS


@dataclass(frozen=True)
class Verdict:
    """A row, and what of it is not as it should be."""

    row: Row
    wrong: Sequence[str]


@dataclass(frozen=True)
class Figure:
    """A measured figure and the most that it may be; `timed` ones depend on who else is at work."""

    what: str
    value: float
    limit: float
    unit: str = ""
    timed: bool = False

    @property
    def passes(self) -> bool:
        return self.value <= self.limit

    def shown(self, value: float) -> str:
        """A value in the figure's unit."""
        return number(value, self.unit) if self.unit else f"{value:g}"


def judge(seen: Sequence[Row]) -> list[Verdict]:
    """Each row beside what is written down for it."""
    expected = read_expected()
    return [Verdict(row, list(differences(row, expected.get(row.key)))) for row in seen]


def complaints(
    verdicts: Sequence[Verdict], figures: Sequence[Figure], *, quiet: bool
) -> Iterator[str]:
    """What does not pass, a line each; times count on a quiet machine only."""
    for verdict in verdicts:
        for wrong in verdict.wrong:
            yield f"{verdict.row.scenario}, {verdict.row.mode}, {verdict.row.way}: {wrong}"
    for figure in figures:
        if not figure.passes and (quiet or not figure.timed):
            value, limit = figure.shown(figure.value), figure.shown(figure.limit)
            yield f"{figure.what}: {value}; at most {limit}"


HEAD = """# Faults

Written by `make faults`; nothing here is edited by hand. It starts `fanout serve` as a process, and
scripted providers on real sockets that misbehave in every way below, in every mode, plain and
streamed. What the caller got, what the providers saw and what was logged is compared with
`tests/faults/expected.tsv`, where alternatives are parted by `|`. After each answer every call of
it must be over within 100 ms; no answer and no log line may hold the provider's key or address, the
caller's key or the prompt. Times are judged where others leave the machine alone.

"bad" is the model that misbehaves, named first; "good" answers `Hi` 0.15 s after the fault has
happened. A number is how many calls a provider got, "left" how many of them the gateway closed
before their end. There are no retries but where a scenario says so.
"""


def page(
    run: Sequence[str], verdicts: Sequence[Verdict], figures: Sequence[Figure], *, quiet: bool
) -> str:
    """The whole page; `run` is what there is to say of the run itself."""
    good = sum(not verdict.wrong for verdict in verdicts)
    lines = [
        HEAD,
        *(f"* {line}" for line in run),
        f"* {good} of {len(verdicts)} rows pass.",
        "",
        "## Figures",
        "",
        *_table(
            ["figure", "measured", "at most", "passes"],
            [
                [
                    figure.what,
                    figure.shown(figure.value),
                    figure.shown(figure.limit),
                    "not judged" if figure.timed and not quiet else _yes(passes=figure.passes),
                ]
                for figure in figures
            ],
        ),
    ]
    for scenario in SCENARIOS:
        mine = [verdict for verdict in verdicts if verdict.row.scenario == scenario.name]
        lines += ["", f"## {scenario.name}", "", f"{scenario.what[:1].upper()}{scenario.what[1:]}."]
        lines += ["", *_table(COLUMNS, [_cells(verdict) for verdict in mine])]
    return "\n".join(lines) + "\n"


COLUMNS = ["mode", "", "the caller got", "providers saw", "logged", "passes"]


def _cells(verdict: Verdict) -> list[str]:
    row = verdict.row
    return [row.mode, row.way, row.got, row.saw, row.log, _yes(passes=not verdict.wrong)]


def _yes(*, passes: bool) -> str:
    return "yes" if passes else "**no**"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
