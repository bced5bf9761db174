"""Where the messages of a chat request are in the client's request."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ...schema.pass_through import OriginalRequest
from ...schema.request import ChatRequest, MessagePosition


def client_path(path: str, paths: Sequence[str]) -> str:
    """The client's path of a field; `paths` are those of the messages."""
    if not path.startswith("messages["):
        return path
    number, _, rest = path.removeprefix("messages[").partition("]")
    if not number.isdecimal() or int(number) >= len(paths):
        return path
    place = paths[int(number)]
    return place + (rest.removeprefix(".content") if place == "system" else rest)


def placed(
    chat: ChatRequest, paths: Sequence[str], original: OriginalRequest | None
) -> ChatRequest:
    """The conversation with the client's own request, and the client's paths of its messages."""
    usual = [f"messages[{n}]" for n in range(len(paths))]
    if list(paths) == usual:
        return chat if original is None else replace(chat, original=original)
    places = chat.places or [MessagePosition(f"messages[{n}]") for n in range(len(chat.messages))]
    moved = tuple(replace(place, path=client_path(place.path, paths)) for place in places)
    return replace(chat, places=moved, original=original)
