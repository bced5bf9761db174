"""
Checks a line before anything is sent: its model, and how its response is to be checked.

The lines of a job mostly have the same fields, so each set of them is checked once. Pure.
"""

from __future__ import annotations

import hashlib

from ...config.catalog import Catalog, ClientKey
from ...errors import FanoutError, RequestError
from ...schema.fanout import parse_request
from ...wire import json
from .lines import BadLine

MAX_KNOWN = 10_000
"""Sets of fields that are kept; beyond that, they are forgotten."""


class LineChecks:
    """Which fields are wrong; each set of them is known by a hash."""

    def __init__(self) -> None:
        self._known: dict[bytes, BadLine | None] = {}

    def problem(self, fields: bytes) -> BadLine | None:
        """What is wrong with the fields, the `check` of a `LineHead`; `None` if nothing is."""
        key = hashlib.blake2b(fields, digest_size=16).digest()
        if key not in self._known:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = _problem(fields)
        return self._known[key]


def _problem(fields: bytes) -> BadLine | None:
    """What the gateway would say of a request with these fields."""
    prompt = {"role": "user", "content": "-"}
    try:
        parse_request({**json.decode(fields), "model": "-", "messages": [prompt]})
    except RequestError as error:
        found = error.detail
        return BadLine(found.code or "invalid_value", f"{error}.", f"body.{found.param}")
    except (*json.NOT_JSON, RecursionError):
        return None  # the line is unreadable, which is an error of its own
    return None


def check_model(catalog: Catalog, client: ClientKey, name: str) -> None:
    """Raise `BadLine` for a model that is unknown or that this client may not use."""
    if not client.may_use(name):
        message = f"The key `{client.name}` may not use the model `{name}`."
        raise BadLine("model_not_allowed", message, "body.model")
    try:
        catalog.check_name(name)
    except FanoutError as error:
        raise BadLine("model_not_found", f"{error}.", "body.model") from None
