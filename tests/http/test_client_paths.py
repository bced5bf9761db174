"""An error of a tool or of a part names its place in the client's own request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.in_process import run_in_process

HI = [{"role": "user", "content": "Hi"}]
TOOL: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}
OWN = {"model": "openai/own", "api_key": "k", "api_base": "https://own.test/v1"}
LISTED = [{"model_name": "m", "litellm_params": OWN}]


@pytest.mark.parametrize("name", ["name", "description", "input_schema", "strict"])
def test_a_field_of_a_tool_has_anthropics_name(name: str) -> None:
    wrong = {**TOOL, name: 5}
    added = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": wrong}}
    asks: dict[str, dict[str, Any]] = {
        f"tools[1].{name}": {"messages": HI, "tools": [{**TOOL, "name": "g"}, wrong]},
        f"messages[0].content[0].tool.definition.{name}": {
            "messages": [{"role": "system", "content": [added]}, *HI],
        },
    }
    with run_in_process({"model_list": LISTED}) as app:
        for path, ask in asks.items():
            data = json.dumps({"model": "m", "max_tokens": 9, **ask}).encode()
            response = app.ask("POST", "/v1/messages", [data])
            assert response.status == 400, response.body
            assert f"`{path}`" in response.error["message"]


FILE = {"type": "input_file", "file_url": "https://files.test/a.pdf"}
REFUSAL = {"type": "refusal", "refusal": "No."}
TEXT = {"type": "output_text", "text": "Yes."}


@pytest.mark.parametrize(
    ("parts", "number"),
    [
        ([FILE], 0),
        ([TEXT, FILE], 1),
        ([REFUSAL, TEXT, FILE], 2),
        ([TEXT, REFUSAL, REFUSAL, FILE], 3),
        ([TEXT, FILE, REFUSAL], 1),
    ],
)
@pytest.mark.parametrize("fault", [{}, {"file_url": None, "file_id": 5}])
def test_a_part_after_a_refusal_has_its_number(
    parts: list[dict[str, Any]], number: int, fault: dict[str, Any]
) -> None:
    """A file at an address is rejected by the vendor's codec, an odd id by the shared check."""
    content = [{**part, **fault} if part is FILE else part for part in parts]
    said = {"type": "message", "role": "assistant", "content": content}
    ask = {"model": "m", "input": [*HI, said, *HI]}
    with run_in_process({"model_list": LISTED}) as app:
        response = app.ask("POST", "/v1/responses", [json.dumps(ask).encode()])
    assert response.status == 400, response.body
    assert response.error["param"].startswith(f"input[1].content[{number}]")
