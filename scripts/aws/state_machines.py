"""State machines out of a template, their references filled in, and what no linter sees of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

STAND_IN = "arn:aws:lambda:eu-west-1:111111111111:function:{}"


def definitions(resources: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The name and the definition of each state machine."""
    for name, resource in resources.items():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            yield name, json.loads(filled(resource["Properties"]["DefinitionString"]))


def filled(value: Any) -> str:
    """The text that CloudFormation would make, with something like an ARN for each reference."""
    if isinstance(value, str):
        return value
    (function, inner), *_ = value.items()
    if function == "Fn::Join":
        separator, parts = inner
        return str(separator).join(map(filled, parts))
    if function == "Ref" and str(inner).startswith("AWS::"):
        return {"AWS::Partition": "aws", "AWS::Region": "eu-west-1"}.get(inner, "111111111111")
    return STAND_IN.format(inner if isinstance(inner, str) else inner[0])


def problems(value: Any, place: str = "") -> Iterator[str]:
    """
    Each path that would be passed on as a text: `"job": "$.job"`, where `"job.$"` is meant, or in
    JSONata `"$states.input.job"` without its `{% %}`.
    """
    if isinstance(value, Mapping) and value.get("QueryLanguage") == "JSONata":
        yield from _bare(value, place)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key in {"Parameters", "ItemSelector", "ResultSelector", "BatchInput"}:
                yield from _texts(inner, f"{place}.{key}")
            else:
                yield from problems(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from problems(inner, f"{place}[{index}]")


def _bare(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _bare(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _bare(inner, f"{place}[{index}]")
    elif isinstance(value, str) and value.startswith("$"):
        yield f"`{place[1:]}` is the text `{value}`; is `{{% {value} %}}` meant?"


def _texts(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, str) and inner.startswith("$") and not key.endswith(".$"):
                yield f"`{place[1:]}.{key}` is the text `{inner}`; is `{key}.$` meant?"
            yield from _texts(inner, f"{place}.{key}")
