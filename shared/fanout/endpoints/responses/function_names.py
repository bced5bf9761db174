"""
The names of functions of namespaces among all functions of a chat completion.

The namespace is before the function's name. If that is too long, or the name of another function,
it is shortened and gets a hash, which depends on the function alone: history and tools agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

SEPARATOR = "__"
MOST_LETTERS = 64
"""Of a function's name: OpenAI's limit."""

HASH_LETTERS = 10


class FunctionNames:
    """The names of one request's functions, by the names and namespaces that its client gives."""

    def __init__(self, tools: object = None) -> None:
        listed = [one for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []
        self._taken = {_plain_name(tool) for tool in listed if tool.get("type") != "namespace"}
        self._names: dict[tuple[str, str], str] = {}
        for tool in listed:
            for name, namespace in _functions_of(tool):
                flat = self.of(name, namespace)
                self._names[namespace, name] = flat
                self._taken.add(flat)

    def of(self, name: str, namespace: object) -> str:
        """The name in a chat completion of a function, which may be in no list of tools."""
        if not isinstance(namespace, str) or not namespace:
            return name
        known = self._names.get((namespace, name))
        if known is not None:
            return known
        flat = f"{namespace}{SEPARATOR}{name}"
        if len(flat) <= MOST_LETTERS and flat not in self._taken:
            return flat
        whole = f"{namespace}\0{name}".encode(errors="surrogatepass")
        found = hashlib.sha256(whole).hexdigest()[:HASH_LETTERS]
        return f"{flat[: MOST_LETTERS - HASH_LETTERS - 1]}_{found}"


def _plain_name(tool: Mapping[str, Any]) -> str:
    inner = tool.get("function")
    return str(tool.get("name") or (inner.get("name") if isinstance(inner, dict) else ""))


def _functions_of(tool: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The functions of a namespace, each with the namespace's name."""
    inner, namespace = tool.get("tools"), tool.get("name")
    if tool.get("type") != "namespace" or not isinstance(inner, list):
        return
    for one in inner:
        name = one.get("name") if isinstance(one, dict) else None
        if isinstance(name, str) and name and isinstance(namespace, str) and namespace:
            yield name, namespace
