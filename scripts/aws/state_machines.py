"""Reads state machines from a template, and finds mistakes in them that no linter reports."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

PLACEHOLDER = "arn:aws:lambda:eu-west-1:111111111111:function:{}"


def definitions(resources: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the logical id and the definition of each state machine."""
    for name, resource in resources.items():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            yield name, json.loads(resolve(resource["Properties"]["DefinitionString"]))


def resolve(value: Any) -> str:
    """Return the text that CloudFormation would make, with a made-up ARN for each reference."""
    if isinstance(value, str):
        return value
    (function, inner), *_ = value.items()
    if function == "Fn::Join":
        separator, parts = inner
        return str(separator).join(map(resolve, parts))
    if function == "Ref" and str(inner).startswith("AWS::"):
        return {"AWS::Partition": "aws", "AWS::Region": "eu-west-1"}.get(inner, "111111111111")
    return PLACEHOLDER.format(inner if isinstance(inner, str) else inner[0])


def problems(value: Any, place: str = "") -> Iterator[str]:
    """
    Yield each path that Step Functions would pass on as literal text.

    Such are `"job": "$.job"` where `"job.$"` is meant, and in JSONata `"$states.input.job"` without
    `{% %}`.
    """
    if isinstance(value, Mapping) and value.get("QueryLanguage") == "JSONata":
        yield from _jsonata_problems(value, place)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key in {"Parameters", "ItemSelector", "ResultSelector", "BatchInput"}:
                yield from _path_problems(inner, f"{place}.{key}")
            else:
                yield from problems(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from problems(inner, f"{place}[{index}]")


def _jsonata_problems(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _jsonata_problems(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _jsonata_problems(inner, f"{place}[{index}]")
    elif isinstance(value, str) and value.startswith("$"):
        yield f"`{place[1:]}` is the text `{value}`; did you mean `{{% {value} %}}`?"


def _path_problems(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, str) and inner.startswith("$") and not key.endswith(".$"):
                yield f"`{place[1:]}.{key}` is the text `{inner}`; did you mean `{key}.$`?"
            yield from _path_problems(inner, f"{place}.{key}")
