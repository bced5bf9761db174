"""A CSV file gives the same prompts, or the same error, in the command line and in the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.local.prompt_files import PromptFile
from fanout.errors import RequestError

CASES = Path(__file__).parents[2] / "support" / "csv_cases.json"


@pytest.mark.parametrize("case", json.loads(CASES.read_bytes()))
def test_the_command_line_reads_csv_as_the_page_does(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "prompts.csv"
    path.write_bytes(case["csv"].encode())
    file = PromptFile(path, column="prompt")
    if "error" in case:
        with pytest.raises(RequestError, match=case["error"]):
            list(file.chunks())
        return
    lines = b"".join(file.chunks()).splitlines()
    found = [json.loads(line)["messages"][-1]["content"] for line in lines if line]
    assert found == case["prompts"]
