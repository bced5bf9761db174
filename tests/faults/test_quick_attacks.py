"""The attacks of `make faults` in short: raw bytes on a real process, and its page."""

from __future__ import annotations

from pathlib import Path

from .attacks import SECTIONS
from .attacks.attack import Attack, count, seconds
from .attacks.connections import measure
from .report import failures, page, wrong_figures


def test_raw_bytes_without_a_key_take_little_memory_and_get_no_second_response(
    tmp_path: Path,
) -> None:
    attacks = list(measure(tmp_path, quick=True))
    assert len(attacks) > 10
    wrong = {one.name: list(wrong_figures(one.figures, quiet=False)) for one in attacks}
    assert {name: lines for name, lines in wrong.items() if lines} == {}


def test_a_figure_over_its_limit_fails_and_is_shown() -> None:
    attack = Attack("x", "y is done", [count("lost", 1), seconds("takes", 3, 2)])
    sections = {"Z": [attack]}
    assert list(failures([], [], sections, quiet=False)) == ["x: lost: 1; at most 0"]
    assert len(list(failures([], [], sections, quiet=True))) == 2
    text = page([], [], [], sections, quiet=False)
    assert "## Z" in text
    assert "| x | y is done | lost | 1 | 0 | **no** |" in text
    assert "|  |  | takes | 3.00 s | 2.00 s | not judged |" in text


def test_every_module_of_attacks_has_a_section() -> None:
    folder = Path(__file__).with_name("attacks")
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "attack"}
    assert {one.__module__.rpartition(".")[2] for one in SECTIONS.values()} == modules
