"""Measured figures and sections, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

FIGURES = ("figure", "measured", "target", "reached")


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
    lines = [*head, "", *_table(FIGURES, rows)]
    for section in sections:
        lines += ["", *_section(section)]
    return "\n".join(lines) + "\n"


def with_section(report: str, section: Section, after: str) -> str:
    """
    The report with this section, in place of an older one or after the section `after`.

    It comes first if `after` is empty.
    """
    head, *parts = report.rstrip("\n").split("\n\n## ")
    before, _, table = head.rpartition("\n\n")
    own = [figure.row() for figure in section.figures]
    known = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    new = {row[0] for row in own}
    place = next((i for i, row in enumerate(known) if row[0] in new), len(known))
    rows = [row for row in known if row[0] not in new]
    rows[place:place] = own
    titles = [part.partition("\n")[0] for part in parts]
    if section.title in titles:
        parts[titles.index(section.title)] = ""
    made = "\n".join(_section(section)).removeprefix("## ")
    parts.insert(titles.index(after) + 1 if after else 0, made)
    new_head = "\n".join([before, "", *_table(FIGURES, rows)])
    return "\n\n## ".join([new_head, *filter(None, parts)]) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield from (f"## {section.title}", "", section.note, "")
    if section.header:
        yield from _table(section.header, section.rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table with padded columns, readable in a terminal too."""
    lines = [list(header), ["" for _ in header], *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for index, line in enumerate(lines):
        cells = ["-" * w if index == 1 else c.ljust(w) for c, w in zip(line, widths, strict=True)]
        yield f"| {' | '.join(cells)} |"
