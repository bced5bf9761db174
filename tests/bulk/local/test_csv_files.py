"""A CSV file gives the same prompts, or the same error, in the command line and in the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.input.blanks import is_blank
from fanout.bulk.local.prompt_files import PromptFile
from fanout.bulk.local.table_prompts import NAME_ENCODING
from fanout.errors import RequestError

SUPPORT = Path(__file__).parents[2] / "support"
CASES: list[dict[str, Any]] = json.loads((SUPPORT / "csv_cases.json").read_bytes())


def bytes_of(case: dict[str, Any]) -> bytes:
    """The file; with `is_bytes`, each character of `csv` is a byte."""
    text: str = case["csv"]
    return text.encode("latin-1" if case.get("is_bytes") else "utf-8")


def test_the_same_characters_are_blank_as_on_the_page() -> None:
    blank: list[int] = json.loads((SUPPORT / "blank_characters.json").read_bytes())
    assert [code for code in range(sys.maxunicode + 1) if is_blank(chr(code))] == blank


@pytest.mark.parametrize("case", CASES, ids=[case["csv"][:40] for case in CASES])
def test_the_command_line_reads_csv_as_the_page_does(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "prompts.csv"
    path.write_bytes(bytes_of(case))
    notes: list[str] = []
    file = PromptFile(
        path,
        column=case.get("column", "prompt"),
        encoding=case.get("named_encoding"),
        separator=case.get("named_separator"),
        report=notes.append,
    )
    if "error" in case:
        with pytest.raises(RequestError) as raised:
            list(file.chunks())
        assert str(raised.value).removesuffix(NAME_ENCODING) == case["error"]
        return
    lines = [json.loads(line) for line in b"".join(file.chunks()).splitlines() if line]
    assert [line["messages"][-1]["content"] for line in lines] == case["prompts"]
    ids = [line["custom_id"] for line in lines]
    assert case.get("ids", ids) == ids
    expected = case.get("notes", [])
    assert [one for one in notes if one.endswith("skipped")] == [
        one for one in expected if one.endswith("skipped")
    ]
    assert all(any(one in note for note in notes) for one in expected)
    if (separator := case.get("separator")) is not None:
        note = {"\t": "the separator is a tab"}.get(separator, f"the separator is `{separator}`")
        is_reported = any(note in one for one in notes)
        assert is_reported == (separator != "," and not case["csv"].startswith("sep="))
    if encoding := case.get("encoding"):
        assert any("is read as" in note for note in notes) == (encoding != "utf-8")


@pytest.mark.parametrize("column", ["", " ", "Unnamed: 0"])
def test_a_column_without_a_name_cannot_be_asked_for(column: str, tmp_path: Path) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text(",prompt,label\n0,a,x\n", encoding="utf-8")
    with pytest.raises(RequestError) as raised:
        list(PromptFile(path, column=column).chunks())
    assert str(raised.value) == f"there is no column `{column}`; there is `prompt`, `label`"
