"""Scripted jobs: the estimated and the counted tokens of each line, and what its response has."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec import Struct


class Line(Struct, frozen=True):
    """A line: its model, its estimated tokens, and those that its response counts."""

    model: str
    estimated: int
    tokens_in: int
    tokens_out: int


PRICES = {"a": (1.0, 4.0), "b": (0.2, 0.8)}


def _line(chosen: Random, sent: float, got: float, most: int = 4_000, model: str = "a") -> Line:
    """Tokens that are counted differ from the estimate by a tenth, more or less."""
    counted = max(5, round(sent * chosen.uniform(1.05, 1.2)))
    return Line(model, max(5, round(sent)), counted, min(most, max(1, round(got))))


def _classify(r: Random) -> Line:
    """A label for a review."""
    return _line(r, r.lognormvariate(5.2, 0.6), r.choice([2, 2, 3, 4]))


def _extract(r: Random) -> Line:
    """Fields of a document, as JSON."""
    return _line(r, r.lognormvariate(7.0, 0.5), r.gauss(120, 25))


def _summarize(r: Random) -> Line:
    """A tenth of a document's length."""
    sent = r.lognormvariate(7.2, 0.8)
    return _line(r, sent, 40 + 0.1 * sent * r.lognormvariate(0, 0.3))


def _translate(r: Random) -> Line:
    """As long as the text."""
    sent = r.lognormvariate(6.0, 0.7)
    return _line(r, 60 + sent, sent * r.lognormvariate(0, 0.12))


def _rag(r: Random) -> Line:
    """A short answer from long documents."""
    return _line(r, r.gauss(6_000, 800), r.lognormvariate(4.8, 0.5))


def _shared(r: Random) -> Line:
    """A long system message, and a judgment."""
    return _line(r, 8_000 + r.lognormvariate(5, 0.5), r.lognormvariate(5.3, 0.4))


def _mixed(r: Random) -> Line:
    """Small and large lines with short and long responses, by their size."""
    if r.random() < 0.8:
        return _line(r, r.lognormvariate(5, 0.3), r.gauss(30, 5))
    return _line(r, r.lognormvariate(8, 0.3), r.lognormvariate(5.7, 0.25))


def _outliers(r: Random) -> Line:
    """Extraction, of which one line in a hundred runs to its limit."""
    got = 600 if r.random() < 0.01 else r.gauss(150, 30)
    return _line(r, r.lognormvariate(6.8, 0.4), got, most=600)


def _two_models(r: Random) -> Line:
    """Half of the lines for a small model."""
    if r.random() < 0.5:
        return _line(r, r.lognormvariate(6, 0.4), r.gauss(60, 12), model="b")
    return _line(r, r.lognormvariate(6.5, 0.4), r.gauss(140, 25))


def _limited(r: Random) -> Line:
    """Texts of which most run to their limit."""
    return _line(r, r.lognormvariate(5, 0.5), r.lognormvariate(6.2, 0.5), most=500)


JOBS: tuple[Callable[[Random], Line], ...] = (
    _classify,
    _extract,
    _summarize,
    _translate,
    _rag,
    _shared,
    _mixed,
    _outliers,
    _two_models,
    _limited,
)


def open_text(r: Random) -> Line:
    """A short question with an answer of any length: the case that twenty lines cannot tell."""
    return _line(r, r.lognormvariate(4, 0.5), r.lognormvariate(5.8, 0.6))


def completion(r: Random) -> Line:
    """The rest of a text of about 1,000 tokens."""
    sent = r.uniform(50, 950)
    return _line(r, sent, 1_000 - sent + r.gauss(0, 30))
