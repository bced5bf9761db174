"""
The sources of a text as OpenAI's annotations: of Google's search, maps and retrieval, and of texts
that the model quotes.

Google counts a segment's place in bytes, OpenAI in characters. Sources: https://ai.google.dev/api/
generate-content#GroundingMetadata and #CitationMetadata; in a stream, chunks are numbered across
all events, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from ...schema.chat import Object
from . import wire


class Sources(Struct):
    """What has come of a candidate's text and of its sources."""

    texts: list[str] = field(default_factory=list)
    chunks: list[Any] = field(default_factory=list)
    supports: list[Any] = field(default_factory=list)
    quotes: list[Any] = field(default_factory=list)

    def add(self, candidate: wire.Candidate) -> None:
        """Add what an event has of them; one may repeat what earlier ones had."""
        grounding, quoted = candidate.grounding_metadata, candidate.citation_metadata
        if isinstance(grounding, dict):
            self.chunks = _joined(self.chunks, grounding.get("groundingChunks"))
            self.supports = _joined(self.supports, grounding.get("groundingSupports"))
        if isinstance(quoted, dict):
            # Vertex AI has them in `citations`.
            found = quoted.get("citationSources") or quoted.get("citations")
            self.quotes = _joined(self.quotes, found)

    def annotations(self) -> list[Object]:
        """The citations of addresses, each with its place in the text."""
        if not (self.chunks or self.quotes):
            return []
        text = "".join(self.texts)
        return [
            *self._grounded(text),
            *(_cited(one, one, text) for one in self.quotes if _uri(one)),
        ]

    def _grounded(self, text: str) -> Iterator[dict[str, Any]]:
        whole = {"segment": {"text": text}, "groundingChunkIndices": range(len(self.chunks))}
        for support in self.supports or [whole]:
            segment = support.get("segment") or {}
            for number in support.get("groundingChunkIndices") or ():
                source = _source(self.chunks, number)
                if _uri(source):
                    yield _cited(source, segment, text)


def _joined(known: list[Any], new: Any) -> list[Any]:
    found = [one for one in new if isinstance(one, dict)] if isinstance(new, list) else []
    return found if found[: len(known)] == known else [*known, *found]


def _source(chunks: list[Any], number: Any) -> Mapping[str, Any]:
    """The source of a chunk: `web`, `maps`, `retrievedContext`."""
    if not isinstance(number, int) or not 0 <= number < len(chunks):
        return {}
    return next((one for one in chunks[number].values() if isinstance(one, dict)), {})


def _uri(source: Mapping[str, Any]) -> bool:
    return isinstance(source.get("uri"), str) and bool(source["uri"])


def _cited(source: Mapping[str, Any], segment: Mapping[str, Any], text: str) -> dict[str, Any]:
    start, end = _place(segment, text)
    title = source.get("title")
    citation = {"start_index": start, "end_index": end, "url": source["uri"]}
    citation["title"] = title if isinstance(title, str) else ""
    return {"type": "url_citation", "url_citation": citation}


def _place(segment: Mapping[str, Any], text: str) -> tuple[int, int]:
    """
    Where a segment is in the text, in characters.

    The bytes are counted from the start of a part, which need not be that of the text.
    """
    data, quoted = text.encode(errors="replace"), segment.get("text")
    start, end = segment.get("startIndex") or 0, segment.get("endIndex") or 0
    if isinstance(start, int) and isinstance(end, int) and 0 <= start < end:
        found = data[start:end].decode(errors="ignore")
        if not quoted or found == quoted:
            before = len(data[:start].decode(errors="ignore"))
            return before, before + len(found)
    if not isinstance(quoted, str) or not quoted or (at := text.find(quoted)) < 0:
        return 0, len(text)
    return at, at + len(quoted)
