"""
A conditional update of an item's numbers in one call, which many workers may make at once.

`NumberUpdate` says what to write; `DynamoTable.update_numbers` writes it. The numbers are moved by
DynamoDB itself, so no worker reads the item first or competes for it. The grammar is that of
DynamoDB's update and condition expressions:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from msgspec import Struct


class Sum(NamedTuple):
    """The number of another attribute, or 0 without one, plus a constant."""

    attribute: str | None
    plus: float


class Condition(NamedTuple):
    """That an attribute is missing, or how it compares with another (a `str`) or a constant."""

    attribute: str
    operator: Literal["<", "<=", ">=", "missing"]
    other: str | float = 0.0


class NumberUpdate(Struct, frozen=True):
    """
    The attributes to set and those to add to, if all conditions hold.

    An attribute that a `Sum` or a comparison names must exist. A missing one in `add` counts as 0.
    """

    set: Mapping[str, Sum] = {}
    add: Mapping[str, float] = {}
    conditions: tuple[Condition, ...] = ()


class Expressions:
    """Builds the arguments of `UpdateItem`: any attribute name and number by a placeholder."""

    def __init__(self, update: NumberUpdate, ttl: int) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, dict[str, str]] = {}
        sets = [f"{self._name(key)} = {self._sum(value)}" for key, value in update.set.items()]
        sets.append(f"{self._name('ttl')} = {self._value(ttl)}")
        adds = [f"{self._name(key)} {self._value(value)}" for key, value in update.add.items()]
        self._update = " ".join(
            ["SET " + ", ".join(sets), *(["ADD " + ", ".join(adds)] if adds else [])]
        )
        self._condition = " AND ".join(self._compare(one) for one in update.conditions)

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments; without those that would be empty, which DynamoDB rejects."""
        condition = {"ConditionExpression": self._condition} if self._condition else {}
        return condition | {
            "UpdateExpression": self._update,
            "ExpressionAttributeNames": {key: name for name, key in self._names.items()},
            "ExpressionAttributeValues": self._values,
        }

    def _name(self, name: str) -> str:
        return self._names.setdefault(name, f"#n{len(self._names)}")

    def _value(self, value: float) -> str:
        key = f":v{len(self._values)}"
        self._values[key] = {"N": repr(value)}
        return key

    def _sum(self, one: Sum) -> str:
        plus = self._value(one.plus)
        return plus if one.attribute is None else f"{self._name(one.attribute)} + {plus}"

    def _compare(self, one: Condition) -> str:
        name = self._name(one.attribute)
        if one.operator == "missing":
            return f"attribute_not_exists({name})"
        other = self._name(one.other) if isinstance(one.other, str) else self._value(one.other)
        return f"{name} {one.operator} {other}"
