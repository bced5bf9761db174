"""A row of the table: one scenario in one mode, plain or streamed; observed or expected."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal, TypeAlias, get_args

Mode: TypeAlias = Literal["one", "race", "all", "hedge", "fallback"]
Way: TypeAlias = Literal["plain", "streamed"]
MODES: tuple[Mode, ...] = get_args(Mode)
WAYS: tuple[Way, ...] = get_args(Way)

EXPECTED = Path(__file__).with_name("expected.tsv")

LATENESS = 60.0
"""Seconds that a row may take beyond its minimum: a busy machine is slow, a hang is longer."""


@dataclass(frozen=True)
class Row:
    """
    `got` is what the client got, `saw` what each provider saw, `log` what was logged. `takes` is
    the time in seconds; in an expected row, the minimum.
    """

    scenario: str
    mode: str
    way: str
    takes: str
    got: str
    saw: str
    log: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.scenario, self.mode, self.way


def read_expected() -> dict[tuple[str, str, str], Row]:
    """The expected rows, by scenario, mode and way."""
    with EXPECTED.open(newline="") as file:
        lines = list(csv.reader(file, delimiter="\t"))
    return {row.key: row for row in (Row(*line) for line in lines[1:])}


def write_expected(rows: Iterable[Row]) -> None:
    """Replace the expectation with these rows; review the diff."""
    with EXPECTED.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        writer.writerow(field.name for field in fields(Row))
        writer.writerows(astuple(row) for row in rows)


def differences(observed: Row, expected: Row | None) -> Iterator[str]:
    """How a row differs from the expected one, as text."""
    if expected is None:
        yield "expected.tsv has no such row"
        return
    for name in ("got", "saw", "log"):
        found, allowed = getattr(observed, name), getattr(expected, name)
        if found not in allowed.split(" | "):
            yield f"{name}: {found}; expected {allowed}"
    took, least = float(observed.takes), float(expected.takes)
    if not least <= took <= least + LATENESS:
        yield f"took {took:.2f} s; expected {least:g} s or a little more"
