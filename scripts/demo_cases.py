"""The cases of `make demo`: each strategy's request, and what its response must be."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from httpx import Response
from msgspec import Struct, field
from openai import APIError, OpenAI

SYSTEM = {"role": "system", "content": "Answer in one short sentence."}
TRIO = ["smol", "smol-warm", "smol-claude"]
COMMAS = ", ".join(TRIO)
LIMIT = 24
"""Max tokens of a response: the small model writes about forty a second on one thread."""


def talk(shop: str) -> list[dict[str, str]]:
    """Return a conversation. Without a system message this model often rambles."""
    return [SYSTEM, {"role": "user", "content": f"Write a slogan for a {shop}."}]


class Case(Struct, frozen=True, kw_only=True):
    """
    One strategy: the request's `model`, `messages` (a conversation, or several) and `extra` body.

    `endpoint` is the path that it is sent to; for embeddings, `messages` are texts.

    The response must have as many `responses`. In a race, hedge or fallback one of `winners` must
    win, and the outcome of every other model must be one of `others`.
    """

    title: str
    model: str = "smol"
    messages: list[Any] = field(default_factory=lambda: talk("bakery"))
    extra: Mapping[str, Any] = field(default_factory=dict)
    endpoint: str = "chat/completions"
    stream: bool = False
    responses: int = 1
    winners: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()

    @property
    def models(self) -> str:
        """The names of the models that are called."""
        return ", ".join(self.extra.get("fanout", {}).get("models", [self.model]))


class Result(Struct):
    """The result of a case; `fault` says why it failed."""

    case: Case
    first_ms: float | None = None
    total_ms: float | None = None
    texts: dict[int, str] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""

    @property
    def responses(self) -> int:
        """The number of responses that are not empty."""
        return sum(bool(text.strip()) for text in self.texts.values())

    def named(self, outcome: str) -> list[str]:
        """Return the models with this outcome."""
        attempts = self.report.get("attempts", ())
        return [attempt["model"] for attempt in attempts if attempt["outcome"] == outcome]


CANCELLED = frozenset({"cancelled"})
RACE = {"fastest_response": True}
HEDGE = {"fanout": {"mode": "hedge", "models": TRIO, "stagger": 0.05}}
FALLBACK = {"fanout": {"mode": "fallback", "models": ["dead", "smol"]}}
SENTIMENT = {"type": "string", "enum": ["positive", "negative"]}
LABEL = {"type": "object", "properties": {"label": SENTIMENT}, "required": ["label"]}
LABEL |= {"additionalProperties": False}
VOTED = frozenset({"agreed", "dissented", "not_started", "cancelled"})
AGREE = {"fanout": {"mode": "agree", "models": TRIO, "schema": LABEL}, "temperature": 0}
ELECTED = {"winners": frozenset(TRIO), "others": VOTED}
REVIEW = [{"role": "user", "content": "Label this review: The bread was fresh and the staff kind."}]
CONTEST = {"winners": frozenset(TRIO), "others": CANCELLED}
LATE = {"winners": frozenset(TRIO), "others": CANCELLED | {"not_started"}}
FELL_BACK = {"winners": frozenset({"smol"}), "others": frozenset({"failed"})}
TEXTS = ["The bread was fresh.", "The bakery sells warm loaves.", "The train left at nine."]
SHOPS = [talk("bakery"), talk("bicycle shop"), talk("library")]

CASES = (
    Case(title="one"),
    Case(title="one, streamed", stream=True),
    Case(title="many prompts, one model", messages=SHOPS, responses=3),
    Case(title="all", model=COMMAS, responses=3),
    Case(title="all, streamed", model=COMMAS, stream=True, responses=3),
    Case(
        title="all, as LiteLLM's list",
        model=COMMAS,
        extra={"fanout": {"shape": "list"}},
        responses=3,
    ),
    Case(title="prompts x models", model=COMMAS, messages=SHOPS[:2], responses=6),
    Case(title="race", model=COMMAS, extra=RACE, **CONTEST),
    Case(title="race, streamed", model=COMMAS, extra=RACE, stream=True, **CONTEST),
    Case(title="hedge, 50 ms apart", extra=HEDGE, **LATE),
    Case(title="hedge, streamed", extra=HEDGE, stream=True, **LATE),
    Case(title="fallback", extra=FALLBACK, **FELL_BACK),
    Case(title="fallback, streamed", extra=FALLBACK, stream=True, **FELL_BACK),
    Case(title="agree, 2 of 3", messages=REVIEW, extra=AGREE, **ELECTED),
    Case(title="agree, streamed", messages=REVIEW, extra=AGREE, stream=True, **ELECTED),
    Case(title="/v1/messages, race", endpoint="messages", model=COMMAS, extra=RACE, **CONTEST),
    Case(title="/v1/responses, race", endpoint="responses", model=COMMAS, extra=RACE, **CONTEST),
    Case(title="/v1/embeddings", endpoint="embeddings", messages=TEXTS, responses=len(TEXTS)),
)


def run(case: Case, client: OpenAI) -> Result:
    """Send the case's request, and check the response."""
    result = Result(case)
    started = perf_counter()
    body = {"model": case.model, "messages": case.messages, "max_tokens": LIMIT}
    try:
        if case.endpoint == "messages":
            _message(result, client)
        elif case.endpoint == "responses":
            _response(result, client)
        elif case.endpoint == "embeddings":
            _vectors(result, client)
        elif case.stream:
            _streamed(result, client, body, started)
        else:
            _plain(result, client, body)
    except APIError as error:
        result.fault = str(error)
        return result
    result.total_ms = (perf_counter() - started) * 1000
    result.fault = fault_of(result)
    return result


def _plain(result: Result, client: OpenAI, body: Mapping[str, Any]) -> None:
    create = client.chat.completions.with_raw_response.create
    parsed = create(**body, extra_body=result.case.extra).http_response.json()
    listed = parsed if isinstance(parsed, list) else [parsed]
    choices = [choice for response in listed for choice in response.get("choices", ())]
    for place, choice in enumerate(choices):
        result.texts[place] = choice["message"]["content"] or ""
    result.report = {} if isinstance(parsed, list) else parsed.get("fanout", {})
    result.first_ms = _first_ms(result.report)


def _first_ms(report: Mapping[str, Any]) -> float | None:
    """Return the time to the winner's first token."""
    attempts = report.get("attempts", ())
    return next((a["first_token_ms"] for a in attempts if a["outcome"] == "won"), None)


def _message(result: Result, client: OpenAI) -> None:
    """Send a request of Anthropic's API, as its SDKs do."""
    case = result.case
    system, *messages = case.messages
    body = {"model": case.model, "system": system["content"], "messages": messages}
    body |= {"max_tokens": LIMIT, **case.extra}
    message = client.post("/messages", cast_to=Response, body=body).json()
    result.texts[0] = "".join(block.get("text", "") for block in message["content"])
    result.report = message["fanout"]
    result.first_ms = _first_ms(result.report)


def _response(result: Result, client: OpenAI) -> None:
    """Send a request of the Responses API."""
    case = result.case
    response = client.responses.create(
        model=case.model, input=case.messages, max_output_tokens=LIMIT, extra_body=case.extra
    )
    result.texts[0] = response.output_text
    result.report = (response.model_extra or {})["fanout"]
    result.first_ms = _first_ms(result.report)


def _vectors(result: Result, client: OpenAI) -> None:
    """Send texts for their vectors."""
    found = client.embeddings.create(model=result.case.model, input=result.case.messages)
    for one in found.data:
        result.texts[one.index] = str(one.embedding)


def _streamed(result: Result, client: OpenAI, body: Mapping[str, Any], started: float) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    with client.chat.completions.create(**body, **options, extra_body=result.case.extra) as chunks:
        for chunk in chunks:
            for choice in chunk.choices:
                text = choice.delta.content or ""
                result.texts[choice.index] = result.texts.get(choice.index, "") + text
                if text and result.first_ms is None:
                    result.first_ms = (perf_counter() - started) * 1000
            result.report = (chunk.model_extra or {}).get("fanout") or result.report


def fault_of(result: Result) -> str:
    """Return why the result is wrong, or an empty text."""
    case = result.case
    if result.responses != case.responses:
        return f"{result.responses} responses, expected {case.responses}"
    if not case.winners:
        return ""
    won = result.named("won")
    if len(won) != 1 or won[0] not in case.winners:
        return f"won: {won or 'no model'}"
    outcomes = {a["outcome"] for a in result.report["attempts"] if a["outcome"] != "won"}
    return f"the others: {outcomes}" if not outcomes or outcomes - case.others else ""
