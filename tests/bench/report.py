"""What was measured, as values, and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Verdict:
    """One figure that has a target."""

    what: str
    value: float
    target: float
    unit: str = ""
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether it is as good as it should be."""
        return self.value >= self.target if self.at_least else self.value <= self.target

    def row(self) -> list[str]:
        """Its line of the table."""
        sign = "≥" if self.at_least else "≤"
        said = "yes" if self.reached else "**missed**"
        return [
            self.what,
            number(self.value, self.unit),
            sign + number(self.target, self.unit),
            said,
        ]


@dataclass(frozen=True)
class Section:
    """One comparison: its table, and what of it has a target."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    verdicts: Sequence[Verdict] = field(default_factory=list)


def number(value: float, unit: str = "") -> str:
    """Three digits that matter, and the unit."""
    if value >= 100:
        said = f"{value:,.0f}"
    else:
        said = f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
    return f"{said} {unit}".rstrip()


def page(head: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole report as Markdown."""
    verdicts = [verdict.row() for section in sections for verdict in section.verdicts]
    lines = [*head, "", *_table(["figure", "measured", "target", "reached"], verdicts)]
    for section in sections:
        lines += ["", f"## {section.title}", "", section.note, ""]
        lines += _table(section.header, section.rows)
    return "\n".join(lines) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns are padded, so that it reads in a terminal too."""
    lines = [list(header), ["" for _ in header], *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for place, line in enumerate(lines):
        cells = ["-" * w if place == 1 else c.ljust(w) for c, w in zip(line, widths, strict=True)]
        yield f"| {' | '.join(cells)} |"
