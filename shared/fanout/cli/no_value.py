"""Options of keys, teams, users and budgets: `none` clears a field, or is rejected by name."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import RequestError

NONE: Final = object()
"""The value of an option that is `none`."""


def or_none(read: Callable[[str], object]) -> Callable[[str], object]:
    """The reader of an option's value, which may be `none`."""

    def reader(text: str) -> object:
        return NONE if text.lower() == "none" else read(text)

    reader.__name__ = f"{read.__name__} or none"  # what argparse calls it in an error
    return reader


AMOUNT, NUMBER, TEXT = or_none(float), or_none(int), or_none(str)
"""The readers of options whose field `none` clears."""


def add_budget(parser: argparse.ArgumentParser) -> None:
    """The amounts of the budget."""
    parser.add_argument(
        "--budget",
        type=AMOUNT,
        metavar="USD",
        help="maximum spend per window, or in all without one",
    )
    parser.add_argument(
        "--soft-budget",
        type=AMOUNT,
        metavar="USD",
        help="log a warning when this much is spent; rejects nothing",
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """The window of the budget, and the limits of requests."""
    parser.add_argument(
        "--window", type=TEXT, metavar="TIME", help="period of the budget, such as 1d, 7d or 1mo"
    )
    parser.add_argument("--rpm", type=NUMBER, metavar="N", help="requests a minute")
    parser.add_argument("--tpm", type=NUMBER, metavar="N", help="tokens a minute")
    parser.add_argument("--parallel", type=NUMBER, metavar="N", help="requests at the same time")


def model_names(text: str) -> list[str]:
    """Names with commas between them; `none` would be all models, or not one."""
    if text.strip().lower() == "none":
        raise argparse.ArgumentTypeError(
            "none is no model: all-proxy-models is all of them, and `block` rejects all requests"
        )
    return [name.strip() for name in text.split(",") if name.strip()]


def new_id(text: str) -> str:
    """An id of what is made; `none` could not be given to a key."""
    if text.strip().lower() == "none":
        raise argparse.ArgumentTypeError("none is no id: it clears a field")
    return text


def given_values(arguments: argparse.Namespace, fields: Mapping[str, str]) -> dict[str, Any]:
    """The options that are given, by the names that `fields` has for them; `None` for `none`."""
    values = {fields[name]: value for name, value in vars(arguments).items() if name in fields}
    return {name: _given(value, name) for name, value in values.items() if value is not None}


def _given(value: Any, name: str) -> Any:
    if not isinstance(value, list) or NONE not in value:
        return None if value is NONE else value
    if len(value) > 1:
        raise RequestError(f"`{name}`: none clears all of them, so give it alone", name)
    return None
