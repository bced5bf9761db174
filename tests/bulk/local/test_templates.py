"""A prompt template is right or wrong for the same reason in the command line and in the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fanout.bulk.tables.template import parse
from fanout.errors import RequestError

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "support" / "template_cases.json").read_bytes()
)


@pytest.mark.parametrize("case", CASES, ids=[case["template"] for case in CASES])
def test_a_template_is_checked_as_on_the_page(case: dict[str, Any]) -> None:
    notes: list[str] = []
    if case["names"]:
        parse(case["template"], case["columns"], notes.append)
        assert notes == [
            f"`{{{name}}}` in --prompt is no column, and stays as it is" for name in case["stays"]
        ]
        return
    with pytest.raises(RequestError) as raised:
        parse(case["template"], case["columns"], notes.append)
    message = str(raised.value)
    if case["near"]:
        assert message.endswith(f"; did you mean `{case['near']}`?")
    else:
        assert message.startswith("--prompt names no column; write {")
