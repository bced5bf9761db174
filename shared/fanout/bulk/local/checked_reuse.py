"""
Stored responses for requests that are checked now, and were sent before without a check.

The request is the same to its provider, so a response that fits the schema is used. One that does
not is requested again, with a check. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import RequestError
from ...gateway.escalation import find_invalid, without_fences
from ...wire import json
from ..input.estimates import CHECKS

if TYPE_CHECKING:
    from ...schema.json_schema import Validator

MAX_SCHEMAS = 100
"""Schemas of one file; lines with further ones are sent again."""


class Unchecked(NamedTuple):
    """A request without its check, and the number of the schema that its response must fit."""

    body: dict[str, Any]
    schema: int


class ReuseChecks:
    """The schemas of the checked lines of one file."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._validators: list[Validator] = []

    def unchecked(self, body: dict[str, Any]) -> Unchecked | None:
        """A line's request without its check; `None` if it has none, or its schema is in it."""
        fanout = body.get("fanout")
        if not isinstance(fanout, dict) or fanout.get("schema") is not None:
            return None
        if fanout.get("check") is False or not any(fanout.get(name) for name in CHECKS):
            return None
        number = self._number(body.get("response_format"))
        if number is None:
            return None
        rest = {name: value for name, value in fanout.items() if name not in CHECKS}
        bare = {name: value for name, value in body.items() if name != "fanout"}
        return Unchecked({**bare, "fanout": rest} if rest else bare, number)

    def fitting(self, number: int, line: bytes) -> bytes | None:
        """The result line, without code fences around its JSON; `None` if it does not fit."""
        value = json.decode(line)
        body = value["response"]["body"]
        if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
            return None
        completion: Any = body
        if find_invalid(completion, self._validators[number].problem) is not None:
            return None
        value["response"]["body"] = without_fences(completion)
        return json.encode(value) + b"\n"

    def _number(self, response_format: object) -> int | None:
        asked = response_format.get("json_schema") if isinstance(response_format, dict) else None
        schema = asked.get("schema") if isinstance(asked, dict) else None
        if not isinstance(schema, dict):
            return None
        key = json.encode(schema)
        if key not in self._numbers:
            if len(self._numbers) >= MAX_SCHEMAS:
                return None
            from ...schema.checked import FORMAT_PARAM  # few files are checked
            from ...schema.json_schema import validator_for

            try:
                self._validators.append(validator_for(schema, FORMAT_PARAM))
            except RequestError:  # the planner says what is wrong
                return None
            self._numbers[key] = len(self._validators) - 1
        return self._numbers[key]
