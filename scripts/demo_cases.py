"""The rows of `make demo`: what is asked, how, and what must be true of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from msgspec import Struct, field
from openai import APIError, OpenAI

SYSTEM = {"role": "system", "content": "Answer in one short sentence."}
TRIO = ["smol", "smol-warm", "smol-claude"]
COMMAS = ", ".join(TRIO)
LIMIT = 24
"""Tokens of an answer: a small model on one thread says some forty a second."""


def talk(shop: str) -> list[dict[str, str]]:
    """A conversation. Without a system message this model answers in tongues."""
    return [SYSTEM, {"role": "user", "content": f"Write a slogan for a {shop}."}]


class Row(Struct, frozen=True, kw_only=True):
    """
    One strategy: the request's `model`, `messages` (a conversation, or several) and `extra` body.

    `answers` is how many must come. In a contest one of `winners` must win, and what becomes of
    each other model must be one of `others`.
    """

    title: str
    model: str = "smol"
    messages: list[Any] = field(default_factory=lambda: talk("bakery"))
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False
    answers: int = 1
    winners: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    @property
    def models(self) -> str:
        """The names that are asked."""
        return ", ".join(self.extra.get("fanout", {}).get("models", [self.model]))


class Shown(Struct):
    """What became of a row; `fault` says what is not as it should be."""

    row: Row
    first_ms: float | None = None
    total_ms: float | None = None
    texts: dict[int, str] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""

    @property
    def answers(self) -> int:
        """How many have words in them."""
        return sum(bool(text.strip()) for text in self.texts.values())

    def named(self, outcome: str) -> list[str]:
        """Who came to this end."""
        attempts = self.report.get("attempts", ())
        return [attempt["model"] for attempt in attempts if attempt["outcome"] == outcome]


CANCELLED = frozenset({"cancelled"})
RACE = {"fastest_response": True}
HEDGE = {"fanout": {"mode": "hedge", "models": TRIO, "stagger": 0.05}}
FALLBACK = {"fanout": {"mode": "fallback", "models": ["dead", "smol"]}}
CONTEST = {"winners": frozenset(TRIO), "others": CANCELLED}
LATE = {"winners": frozenset(TRIO), "others": CANCELLED | {"not_started"}}
SPARE = {"winners": frozenset({"smol"}), "others": frozenset({"failed"})}
SHOPS = [talk("bakery"), talk("bicycle shop"), talk("library")]

ROWS = (
    Row(title="one"),
    Row(title="one, streamed", stream=True),
    Row(title="many prompts, one model", messages=SHOPS, answers=3),
    Row(title="all", model=COMMAS, answers=3),
    Row(title="all, streamed", model=COMMAS, stream=True, answers=3),
    Row(
        title="all, as LiteLLM's list", model=COMMAS, extra={"fanout": {"shape": "list"}}, answers=3
    ),
    Row(title="prompts x models", model=COMMAS, messages=SHOPS[:2], answers=6),
    Row(title="race", model=COMMAS, extra=RACE, **CONTEST),
    Row(title="race, streamed", model=COMMAS, extra=RACE, stream=True, **CONTEST),
    Row(title="hedge, 50 ms apart", extra=HEDGE, **LATE),
    Row(title="hedge, streamed", extra=HEDGE, stream=True, **LATE),
    Row(title="fallback", extra=FALLBACK, **SPARE),
    Row(title="fallback, streamed", extra=FALLBACK, stream=True, **SPARE),
)


def show(row: Row, client: OpenAI) -> Shown:
    """Ask as the row says, and judge what came."""
    shown = Shown(row)
    started = perf_counter()
    asked = {"model": row.model, "messages": row.messages, "max_tokens": LIMIT}
    try:
        if row.stream:
            _streamed(shown, client, asked, started)
        else:
            _plain(shown, client, asked)
    except APIError as error:
        shown.fault = str(error)
        return shown
    shown.total_ms = (perf_counter() - started) * 1000
    shown.fault = fault_of(shown)
    return shown


def _plain(shown: Shown, client: OpenAI, asked: Mapping[str, Any]) -> None:
    create = client.chat.completions.with_raw_response.create
    body = create(**asked, extra_body=shown.row.extra).http_response.json()
    listed = body if isinstance(body, list) else [body]
    choices = [choice for answer in listed for choice in answer.get("choices", ())]
    for place, choice in enumerate(choices):
        shown.texts[place] = choice["message"]["content"] or ""
    shown.report = {} if isinstance(body, list) else body.get("fanout", {})
    firsts = [
        a["first_token_ms"] for a in shown.report.get("attempts", ()) if a["outcome"] == "won"
    ]
    shown.first_ms = firsts[0] if firsts else None


def _streamed(shown: Shown, client: OpenAI, asked: Mapping[str, Any], started: float) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    with client.chat.completions.create(**asked, **options, extra_body=shown.row.extra) as chunks:
        for chunk in chunks:
            for choice in chunk.choices:
                text = choice.delta.content or ""
                shown.texts[choice.index] = shown.texts.get(choice.index, "") + text
                if text and shown.first_ms is None:
                    shown.first_ms = (perf_counter() - started) * 1000
            shown.report = (chunk.model_extra or {}).get("fanout") or shown.report


def fault_of(shown: Shown) -> str:
    """What is not as the row says it must be, or nothing."""
    row = shown.row
    if shown.answers != row.answers:
        return f"{shown.answers} answers, {row.answers} were due"
    if not row.winners:
        return ""
    won = shown.named("won")
    if len(won) != 1 or won[0] not in row.winners:
        return f"won: {won or 'nobody'}"
    fates = {a["outcome"] for a in shown.report["attempts"] if a["outcome"] != "won"}
    return f"the others: {fates}" if not fates or fates - row.others else ""
