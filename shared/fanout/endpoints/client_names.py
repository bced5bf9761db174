"""
The client's names of what the gateway calls by the names of a chat request.

An error then names a field that the client has sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import RequestError
from ..secret import HiddenRepr

Inner = Mapping[str, tuple[str, ...]]
"""The names of a member of a chat request's part or tool, and its names in another API."""

PARTS: Inner = {
    "file": ("source",),
    "file_data": ("file_url", "data", "url"),
    "file_id": ("file_url", "url"),
    "image_url": ("source",),
    "url": ("data",),
}
"""Those of parts in the form of OpenAI's Responses API or of Anthropic's."""

_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_COUNT = re.compile(r" \(\d+\)$")


class ClientNames(HiddenRepr, frozen=True):
    """
    The names of one request, whose body is `value`.

    `rename` makes the client's path of a field, or of a tool. Messages already have the client's
    paths; `inner` has the names of what is inside their parts.
    """

    value: Mapping[str, Any]
    rename: Callable[[str], str]
    inner: Inner

    def apply(self, error: RequestError) -> None:
        """Let the error name the client's field, if it does not yet."""
        if error.is_renamed or error.param is None:
            return
        error.is_renamed = True
        name = self.path(error.param)
        if name != error.param:
            message = str(error).replace(f"`{error.param}`", f"`{name}`")
            error.args, error.param = (message,), name

    def path(self, param: str) -> str:
        """The client's path of what has this path in the chat request."""
        path = self.rename(param)
        return "".join(_existing(self.value, path, self.inner)).removeprefix(".") or path


def _existing(value: Any, path: str, inner: Inner) -> Iterator[str]:
    """The steps of the path that are in the value; a member that it does not have is left out."""
    for step in _STEP.finditer(path):
        number, name = step.groups()
        if number is not None:
            if not isinstance(value, list) or int(number) >= len(value):
                return
            yield step[0]
            value = value[int(number)]
            continue
        if not isinstance(value, Mapping):
            if isinstance(value, list):
                continue
            return
        found = next((one for one in (name, *inner.get(name, ())) if one in value), None)
        if found is not None:
            yield f".{found}"
            value = value[found]


def renamed(name: str, names: Mapping[str, str]) -> str:
    """
    The client's name of a field without the numbers of its elements, such as `messages[].name`.

    `names` are by the path's beginning: a longer one is before what it begins with.
    """
    count = _COUNT.search(name)
    path = name if count is None else name[: count.start()]
    for ours, theirs in names.items():
        rest = path.removeprefix(ours)
        if path.startswith(ours) and rest[:1] in ("", ".", "["):
            return theirs + rest + (count[0] if count else "")
    return name
