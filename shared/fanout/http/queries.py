"""
The queries of paths that manage keys or inform.

A parameter without effect is rejected, and so is a value that is none of those that there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from ..errors import RequestError
from .exchange import Exchange

FLAGS = ("true", "false")


def checked_query(exchange: Exchange, *names: str) -> dict[str, str]:
    """
    The query, whose parameters are `names`; those without a value are left out.

    Raises `RequestError` for another one: a filter that has no effect would show more than was
    asked for.
    """
    query = {name: values[-1] for name, values in parse_qs(exchange.query).items()}
    for name in query:
        if name not in names:
            known = f"it has {', '.join(f'`{one}`' for one in names)}" if names else "it has none"
            raise RequestError(
                f"`{name[:64]}` is not a parameter of this path: leave it out ({known})",
                name[:64],
                "unsupported_parameter",
            )
    return query


def choice_of(query: Mapping[str, str], name: str, values: Sequence[str], default: str = "") -> str:
    """The value of a parameter that has one of some; raises `RequestError`, which names them."""
    if (found := query.get(name, default)) not in values and name in query:
        known = ", ".join(f"`{one}`" for one in values)
        raise RequestError(f"`{name}` must be one of {known}", name)
    return found


def flag_of(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """The value of a parameter that is `true` or `false`; raises `RequestError` for another one."""
    given = {name: query[name].lower()} if name in query else {}
    return choice_of(given, name, FLAGS, FLAGS[not default]) == FLAGS[0]
