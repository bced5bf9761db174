"""The page of benchmarks: a section that is measured alone takes its place."""

from __future__ import annotations

from tests.bench.report import Figure, Section, page, with_section


def section(title: str, value: float) -> Section:
    figure = Figure(f"{title}: time", value, 1.0, "s")
    return Section(
        title, f"How long {title} takes.", ["of", "time"], [["it", f"{value}"]], [figure]
    )


def test_a_section_that_is_measured_alone_takes_its_place() -> None:
    one, two, three = section("One", 0.5), section("Two", 0.25), section("Three", 2.0)
    without = page(["# Head", "", "A line."], [one, three])
    added = with_section(without, two, "One")
    whole = page(["# Head", "", "A line."], [one, two, three])
    assert added.partition("\n## ")[2] == whole.partition("\n## ")[2]
    assert sorted(added.splitlines()) == sorted(whole.splitlines())
    again = with_section(added, section("Two", 0.75), "One")
    assert "0.75 s" in again
    assert "0.25" not in again
    assert len(again.splitlines()) == len(added.splitlines())
    first = with_section(whole, section("One", 0.125), "")
    assert [line.split("|")[1].strip() for line in first.splitlines() if "|" in line] == [
        line.split("|")[1].strip() for line in whole.splitlines() if "|" in line
    ]
    assert "0.125" in first
