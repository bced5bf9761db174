"""Options of which `none` removes what is set: limits, windows and expiries."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, Final

NONE: Final = object()
"""The value of an option that is `none`."""


def or_none(read: Callable[[str], object]) -> Callable[[str], object]:
    """The reader of an option's value, which may be `none`."""

    def reader(text: str) -> object:
        return NONE if text.lower() == "none" else read(text)

    reader.__name__ = f"{read.__name__} or none"  # what argparse calls it in an error
    return reader


def given_values(arguments: argparse.Namespace, fields: Mapping[str, str]) -> dict[str, Any]:
    """The options that are given, by the names that `fields` has for them; `None` for `none`."""
    values = {fields[name]: value for name, value in vars(arguments).items() if name in fields}
    given = {name: value for name, value in values.items() if value is not None}
    return {name: None if value is NONE else value for name, value in given.items()}
