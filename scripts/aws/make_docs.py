"""
`make docs`: docs/cost.md, and the table of choices in docs/aws.md, made from the stack's code.

The tests of the stack say whether they are current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.props import PREFIX, GatewayProps

from . import cost

DOCS = Path(__file__).parents[2] / "docs"
BEGIN = "<!-- made by `make docs` from infra/props.py -->"
END = "<!-- end of what is made -->"


def pages() -> Iterator[tuple[Path, str]]:
    """Every page's path and text."""
    yield DOCS / "cost.md", cost.page()
    aws = DOCS / "aws.md"
    head, _, rest = aws.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    yield aws, f"{head}{BEGIN}\n\n{choices()}\n\n{END}{tail}"


def choices() -> str:
    """The table of what may be chosen when the stack is deployed."""
    properties: Mapping[str, Any] = GatewayProps.model_json_schema()["properties"]
    rows = ["| key | default | may be | what |", "| --- | --- | --- | --- |"]
    for name, known in properties.items():
        said = " ".join(known["description"].split())
        rows.append(f"| `{PREFIX}{name}` | {_default(known)} | {_allowed(known)} | {said} |")
    return "\n".join(rows)


def _default(known: Mapping[str, Any]) -> str:
    default = known.get("default")
    if default is None or known.get("type") == "object":
        return "none"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _allowed(known: Mapping[str, Any]) -> str:
    kind = next((one for one in known.get("anyOf", []) if one.get("type") != "null"), known)
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if "minimum" in kind:
        return f"{kind['minimum']:,} to {kind['maximum']:,}"
    if "exclusiveMinimum" in kind:
        return "more than 0"
    return {"boolean": "`true`, `false`", "object": "JSON"}.get(kind["type"], "text")


def main() -> int:
    """Write the pages."""
    for path, text in pages():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
