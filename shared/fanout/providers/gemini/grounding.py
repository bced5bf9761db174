"""
The sources of a text as OpenAI's annotations: of Google's search, maps and retrieval, and of texts
that the model quotes.

Google counts a segment's place in bytes, OpenAI in characters. Sources: https://ai.google.dev/api/
generate-content#GroundingMetadata and #CitationMetadata; in a stream, chunks are numbered across
all events, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from msgspec import Struct, field

from ...schema.chat import Object
from . import wire

T = TypeVar("T")


class Sources(Struct):
    """What has come of a candidate's text and of its sources."""

    texts: list[str] = field(default_factory=list)
    chunks: list[dict[str, Any]] = field(default_factory=list)
    supports: list[wire.Support] = field(default_factory=list)
    quotes: list[wire.Quote] = field(default_factory=list)

    def add(self, candidate: wire.Candidate) -> None:
        """Add what an event has of them; one may repeat what earlier ones had."""
        grounding, quoted = candidate.grounding_metadata, candidate.citation_metadata
        if grounding:
            self.chunks = _joined(self.chunks, grounding.grounding_chunks)
            self.supports = _joined(self.supports, grounding.grounding_supports)
        if quoted:
            self.quotes = _joined(self.quotes, quoted.citation_sources or quoted.citations)

    def annotations(self) -> list[Object]:
        """The citations of addresses, each with its place in the text."""
        if not (self.chunks or self.quotes):
            return []
        text = "".join(self.texts)
        return [
            *self._grounded(text),
            *(_cited(one.uri, one.title, one.segment, text) for one in self.quotes if one.uri),
        ]

    def _grounded(self, text: str) -> Iterator[dict[str, Any]]:
        whole = wire.Support(wire.Segment(text=text), [*range(len(self.chunks))])
        for support in self.supports or [whole]:
            for number in support.grounding_chunk_indices or ():
                uri, title = _source(self.chunks, number)
                if uri:
                    yield _cited(uri, title, support.segment, text)


def _joined(known: list[T], new: list[T] | None) -> list[T]:
    found = new or []
    return found if found[: len(known)] == known else [*known, *found]


def _source(chunks: list[dict[str, Any]], number: int) -> tuple[str, str]:
    """The address and the title of a chunk's source; empty if it has none."""
    chunk = chunks[number] if number < len(chunks) else {}
    source = next((one for one in chunk.values() if isinstance(one, dict)), {})
    uri, title = source.get("uri"), source.get("title")
    return uri if isinstance(uri, str) else "", title if isinstance(title, str) else ""


def _cited(uri: str, title: str, segment: wire.Segment, text: str) -> dict[str, Any]:
    start, end = _place(segment, text)
    citation = {"start_index": start, "end_index": end, "url": uri, "title": title}
    return {"type": "url_citation", "url_citation": citation}


def _place(segment: wire.Segment, text: str) -> tuple[int, int]:
    """
    Where a segment is in the text, in characters.

    The bytes are counted from the start of a part, which need not be that of the text.
    """
    data, quoted = text.encode(errors="replace"), segment.text
    start, end = segment.start_index, segment.end_index
    if start < end:
        found = data[start:end].decode(errors="ignore")
        if not quoted or found == quoted:
            before = len(data[:start].decode(errors="ignore"))
            return before, before + len(found)
    if not quoted or (at := text.find(quoted)) < 0:
        return 0, len(text)
    return at, at + len(quoted)
