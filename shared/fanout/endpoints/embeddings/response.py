"""
Writes a response for embeddings, piece by piece. Pure.

All vectors have the form that the client asked for, whatever form the provider's had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...schema.embeddings import Encoding
from ...wire import json
from ...wire.vectors import as_base64, as_list

HEAD = b'{"object":"list","data":['

PIECE = 512 * 1024
"""Bytes from which a piece of the response is sent."""


def tail(model: str, tokens: int) -> bytes:
    """The end of a response."""
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return b'],"model":%b,"usage":%b}' % (json.encode(model), json.encode(usage))


def convert(vectors: Sequence[bytes], encoding: Encoding) -> list[bytes]:
    """The vectors in this form; raises `NotAVector` for one that cannot have it."""
    change = as_base64 if encoding == "base64" else as_list
    return [change(vector) for vector in vectors]


def is_converted(vectors: Sequence[bytes], encoding: Encoding) -> bool:
    """Whether all vectors have the form already."""
    first = ord('"' if encoding == "base64" else "[")
    return all(vector[0] == first for vector in vectors)


def entries(start: int, vectors: Sequence[bytes]) -> Iterator[bytes]:
    """The entries of `data` from this index on, in pieces of about `PIECE` bytes."""
    parts: list[bytes] = []
    size = 0
    for index, vector in enumerate(vectors, start):
        comma = b"," if index else b""
        parts.append(b'%b{"object":"embedding","index":%d,"embedding":' % (comma, index))
        parts.append(vector)
        parts.append(b"}")
        size += len(vector)
        if size >= PIECE:
            yield b"".join(parts)
            parts.clear()
            size = 0
    if parts:
        yield b"".join(parts)
