"""The field `fallbacks` of a request: models that are called if its own fail."""

from __future__ import annotations

from typing import Any

from ..errors import RequestError

MAX_FALLBACKS = 100
"""The most names that the `fallbacks` of one request may hold."""


def read_fallbacks(
    given: list[str | dict[str, Any]], models: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """LiteLLM's `["b"]` (for every model) or `[{"a": ["b"]}]` (for model `a`)."""
    for_all = tuple(name for name in given if isinstance(name, str))
    found = {name: for_all for name in models if for_all}
    count = len(for_all)
    for index, entry in enumerate(given):
        if isinstance(entry, dict):
            for name, names in entry.items():
                if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
                    param = f"fallbacks[{index}].{name}"
                    raise RequestError(f"`{param}` must be a list of model names", param)
                count += 1 + len(names)
                if count <= MAX_FALLBACKS:
                    found[name] = (*found.get(name, ()), *names)
    if count > MAX_FALLBACKS:
        raise RequestError(f"`fallbacks` has {count} names; at most {MAX_FALLBACKS}", "fallbacks")
    return found
