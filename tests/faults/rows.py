"""A row of the table: one scenario in one mode, plain or streamed; as seen, and as it should be."""

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

LATENESS = 10.0
"""Seconds that a row may take beyond what it must: a busy machine is slow, a hang has no end."""


@dataclass(frozen=True)
class Row:
    """
    `got` is what the caller got, `saw` what each provider saw, `log` what was logged of it all;
    `takes` is the least time in seconds.
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
    """The rows as they should be."""
    with EXPECTED.open(newline="") as file:
        lines = list(csv.reader(file, delimiter="\t"))
    return {row.key: row for row in (Row(*line) for line in lines[1:])}


def write_expected(rows: Iterable[Row]) -> None:
    """Take what was seen for what should be; its diff is to be read."""
    with EXPECTED.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
        writer.writerow(field.name for field in fields(Row))
        writer.writerows(astuple(row) for row in rows)


def differences(seen: Row, expected: Row | None) -> Iterator[str]:
    """What is not as it should be, in words."""
    if expected is None:
        yield "nobody has written down what should be"
        return
    for name in ("got", "saw", "log"):
        has, should = getattr(seen, name), getattr(expected, name)
        if has not in should.split(" | "):
            yield f"{name}: {has}; expected {should}"
    took, least = float(seen.takes), float(expected.takes)
    if not least <= took <= least + LATENESS:
        yield f"took {took:.2f} s; expected {least:g} s or a little more"
