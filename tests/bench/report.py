"""Measured figures and sections, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """A measured figure with its target."""

    what: str
    value: float
    target: float
    unit: str = ""
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value meets the target."""
        return self.value >= self.target if self.at_least else self.value <= self.target

    def row(self) -> list[str]:
        """The figure's row in the table."""
        sign = "≥" if self.at_least else "≤"
        reached = "yes" if self.reached else "**missed**"
        return [
            self.what,
            number(self.value, self.unit),
            sign + number(self.target, self.unit),
            reached,
        ]


@dataclass(frozen=True)
class Section:
    """One comparison: a table, and the figures in it that have a target."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Sequence[Figure] = field(default_factory=list)


def number(value: float, unit: str = "") -> str:
    """A value with three significant digits, and its unit."""
    if value >= 100:
        digits = f"{value:,.0f}"
    else:
        digits = (
            f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
        )
    return f"{digits} {unit}".rstrip()


def page(head: Sequence[str], sections: Sequence[Section]) -> str:
    """The whole report as Markdown."""
    rows = [figure.row() for section in sections for figure in section.figures]
    lines = [*head, "", *_table(["figure", "measured", "target", "reached"], rows)]
    for section in sections:
        lines += ["", f"## {section.title}", "", section.note, ""]
        lines += _table(section.header, section.rows) if section.header else []
    return "\n".join(lines) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table with padded columns, readable in a terminal too."""
    lines = [list(header), ["" for _ in header], *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for index, line in enumerate(lines):
        cells = ["-" * w if index == 1 else c.ljust(w) for c, w in zip(line, widths, strict=True)]
        yield f"| {' | '.join(cells)} |"
