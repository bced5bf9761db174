"""Where the messages of a chat request are in the client's request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from ...schema.pass_through import OriginalRequest
from ...schema.request import ChatRequest, MessagePosition
from ..client_names import ClientNames
from .request import ChatBody

_MESSAGE = re.compile(r"messages\[(\d+)\](?:(\.content)(?:\[(\d+)\])?)?")

_PART = re.compile(r"\.content\[(\d+)\]")


def client_path(path: str, made: ChatBody) -> str:
    """The client's path of a field of the chat request that was `made`."""
    found = _MESSAGE.match(path)
    if found is None or int(found[1]) >= len(made.paths):
        return path
    message, rest = int(found[1]), path[found.end() :]
    place = made.paths[message]
    content = "" if place == "system" else found[2] or ""
    if found[3] is None:
        return place + content + rest
    part = f"{place}{content}[{_number(made, message, int(found[3]))}]"
    inner = _PART.match(rest)
    if inner is None or part not in made.results:
        return part + rest
    number = _of(made.results[part], int(inner[1]))
    return f"{part}.content[{number}]{rest[inner.end() :]}"


def _number(made: ChatBody, message: int, part: int) -> int:
    """The client's number of a part."""
    return _of(made.numbers[message] if made.numbers else (), part)


def _of(numbers: Sequence[int], part: int) -> int:
    return numbers[part] if part < len(numbers) else part


def placed(
    chat: ChatRequest, made: ChatBody, original: OriginalRequest | None, names: ClientNames
) -> ChatRequest:
    """The conversation with the client's own request, and the client's paths of its messages."""
    numbers = (*made.numbers, *made.results.values())
    are_moved = any(list(one) != [*range(len(one))] for one in numbers)
    if not are_moved and made.paths == [f"messages[{n}]" for n in range(len(made.paths))]:
        return replace(chat, original=original, names=names)
    places = chat.places or [MessagePosition(f"messages[{n}]") for n in range(len(chat.messages))]
    moved = tuple(_moved(place, made) for place in places)
    return replace(chat, places=moved, original=original, names=names)


def _moved(place: MessagePosition, made: ChatBody) -> MessagePosition:
    found = _MESSAGE.fullmatch(place.path)
    parts: Sequence[int] = place.parts
    if found is not None and found[2] is None and int(found[1]) < len(made.numbers):
        message = int(found[1])
        parts = [_number(made, message, one) for one in parts] or made.numbers[message]
    path = client_path(place.path, made)
    return MessagePosition(path, tuple(parts) or made.results.get(path, ()), place.field)
