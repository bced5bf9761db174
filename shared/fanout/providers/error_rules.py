"""
What kind of error a provider's error body is, by the vendor's own table of rules.

The body counts before the HTTP status: one status has many meanings (a 403 may be a bad key, a
refused prompt or a country). Machine-readable names in the body count before its text, because a
table lists the rules with names first. A vendor's rules are in its folder or beside its row.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from ..wire import json

ErrorKind: TypeAlias = Literal[
    "content_filter",
    "context_length",
    "model_not_found",
    "unsupported_country",
    "permission",
    "invalid_key",
    "insufficient_quota",
    "rate_limit",
    "overloaded",
    "timeout",
]

# The fields whose values are names for programs, and those whose values are texts for people.
_NAMES = frozenset(
    {
        "__type",
        "blockReason",
        "code",
        "error_code",
        "error_type",
        "limit_source",
        "provider_code",
        "quotaId",
        "raw_status_code",
        "reason",
        "status",
        "statusCode",
        "type",
    }
)
_TEXTS = frozenset({"Message", "detail", "error", "message", "msg"})

# Parts of a body that repeat the client's request (FastAPI's and OpenRouter's names).
_QUOTED = frozenset({"ctx", "flagged_input", "input"})

MAX_DEPTH = 8
"""Levels of a body that are read."""

MAX_TEXT = 4_000
"""Characters of a text that a pattern is searched in."""

UNKNOWN_STATUS = 502
"""The status of an error inside a success that names none."""

PHRASES = {one.phrase: int(one) for one in HTTPStatus if one >= HTTPStatus.BAD_REQUEST}
"""The texts that only say a status, such as FastAPI's `Unauthorized`."""


class ErrorBody(Struct, frozen=True):
    """An error body: its HTTP status, its names in small letters, and its texts."""

    status: int
    names: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()


class ErrorRule(Struct, frozen=True):
    """
    Errors of one kind. All conditions that are given must hold.

    `names` are names of which the body has at least one: `field:` stands for a field of that name,
    and `*` in a name for any letters. `text` is a pattern that one of its texts has, in any case.
    """

    kind: ErrorKind
    names: frozenset[str] = frozenset()
    text: str = ""
    statuses: tuple[int, ...] = ()

    def fits(self, body: ErrorBody) -> bool:
        """Whether the body is an error of this kind."""
        if self.statuses and body.status not in self.statuses:
            return False
        if self.names and not any(_has(body.names, name.lower()) for name in self.names):
            return False
        if not self.text:
            return True
        pattern = _pattern(self.text)
        return any(pattern.search(text) for text in body.texts)


def rule(kind: ErrorKind, *names: str, text: str = "", statuses: Sequence[int] = ()) -> ErrorRule:
    """One row of a vendor's table."""
    return ErrorRule(kind, frozenset(names), text, tuple(statuses))


def _has(names: frozenset[str], name: str) -> bool:
    return bool(fnmatch.filter(names, name)) if "*" in name else name in names


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def classify(rules: Sequence[ErrorRule], body: ErrorBody) -> ErrorKind | None:
    """The kind of the first rule that fits; `None` if none does."""
    return next((one.kind for one in rules if one.fits(body)), None)


def read_error_body(
    status: int, body: bytes, *, text: str = "", names: Sequence[str] = ()
) -> ErrorBody:
    """
    The names and texts of an error body, with further ones from outside of it.

    A status in the body stands in for an unknown one.
    """
    return _read(status, decode(body), [text] if text else [], {one.lower() for one in names})


def _read(status: int, value: object, texts: list[str], names: set[str]) -> ErrorBody:
    for name, found in _walk(value, MAX_DEPTH):
        if isinstance(found, str | int) and not isinstance(found, bool):
            if name in _NAMES:
                names.add(_short(str(found)).lower())
            if name in _TEXTS and isinstance(found, str):
                texts.append(found[:MAX_TEXT])
        if found not in (None, "", [], {}):
            names.add(f"{name}:".lower())
    if status == UNKNOWN_STATUS:
        known = (PHRASES[text] for text in texts if text in PHRASES)
        found = [int(name) for name in sorted(names) if _is_status(name)]
        status = next(iter([*found, *known]), status)
    return ErrorBody(status, frozenset(names), tuple(texts))


def _walk(value: object, depth: int) -> Iterator[tuple[str, Any]]:
    """Each field of the value and of those inside it, but not of what quotes the request."""
    if isinstance(value, list) and depth:
        for one in value[:20]:
            yield from _walk(one, depth - 1)
    elif isinstance(value, dict) and depth:
        for name, found in value.items():
            yield name, found
            if name == "raw" and isinstance(found, str):  # OpenRouter: the other vendor's body
                found = decode(found.encode())  # noqa: PLW2901
            if name not in _QUOTED:
                yield from _walk(found, depth - 1)


def _short(name: str) -> str:
    """`com.amazon.coral#ThrottlingException:http://…` -> `ThrottlingException`."""
    return name.rpartition("#")[2].partition(":")[0]


def _is_status(name: str) -> bool:
    return len(name) == 3 and name.isdecimal() and 400 <= int(name) < 600  # noqa: PLR2004


def decode(body: bytes) -> Any:
    """The body as JSON, or `None`."""
    try:
        return json.decode_any(body)
    except (*json.NOT_JSON, RecursionError):
        return None


# What any vendor's body may have, by OpenAI's names, which most vendors use. A vendor's own rules
# come first. platform.openai.com/docs/guides/error-codes, and openai-python's issues; read on
# 2026-11-28.
_CLIENT_ERRORS = (400, 403, 413, 422, 451, UNKNOWN_STATUS)
GENERAL: tuple[ErrorRule, ...] = (
    rule(
        "content_filter",
        "content_filter",
        "*content_policy_violation",
        "data_inspection_failed",
        "moderation_blocked",
        "ResponsibleAIPolicyViolation",
    ),
    # Reasoning models: "Your prompt was flagged as potentially violating our usage policy."
    rule("content_filter", "invalid_prompt", text=r"flagged|policy|policies|safety"),
    rule("unsupported_country", "unsupported_country_region_territory"),
    rule("context_length", "context_length_exceeded", "max_tokens_exceeded"),
    rule("context_length", "string_above_max_length", text="'messages"),
    # "Request too large for gpt-4 … on tokens per min (TPM): Limit 10000, Requested 12000": no
    # pause helps. Groq has the same with status 413.
    rule("context_length", text=r"^request too large for (?:model|gpt|o\d)"),
    rule("model_not_found", "model_not_found", "model_not_available", "invalid_model"),
    rule(
        "insufficient_quota",
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "quota_exceeded",
    ),
    rule("invalid_key", "invalid_api_key", "authentication_error", "wrong_api_key"),
    rule("permission", "permission_error", "insufficient_permissions"),
    rule("permission", text="insufficient permissions|missing scopes", statuses=(401, 403)),
    rule("overloaded", "overloaded_error", "server_overloaded", "unavailable_error"),
    rule("rate_limit", "rate_limit_exceeded", "rate_limit_error", "rate_limited"),
    # Engines and vendors without a code of their own: vLLM, llama.cpp, DeepSeek, Fireworks, …
    rule(
        "context_length",
        text=r"maximum context length|maximum model length|(?:prompt|input) is too long"
        r"|exceeds? the (?:available )?context (?:size|length|window|limit)"
        r"|exceeds? (?:the )?(?:model's )?max(?:imum)? (?:context|sequence|input|prompt) length"
        # Moonshot: github.com/MoonshotAI/kimi-cli/issues/2011, 2026-04
        r"|exceed(?:ed|s) (?:the )?model token limit",
        statuses=_CLIENT_ERRORS,
    ),
    rule(
        "content_filter",
        text=r"violat\w+ (?:\w+ ){0,4}(?:usage|content|safety|acceptable)[ -]\w+"
        r"|content (?:management |moderation )?(?:policy|policies)"
        r"|(?:blocked|flagged|filtered|rejected) (?:by|as|for|due to|as a result of) (?:\w+ ){0,4}"
        r"(?:content|moderation|safety|guardrails?|harmful|inappropriate|unsafe|polic)"
        r"|(?:input|image|prompt|content|request|message)s? (?:was|were|is|has been) flagged"
        r"|(?:harmful|inappropriate|sensitive|unsafe) content|ContentPolicyViolation"
        r"|敏感内容",  # Zhipu's 1301: langchain4j/langchain4j/issues/1079
        statuses=_CLIENT_ERRORS,
    ),
    rule(
        "model_not_found",
        text=r"^(?:the )?model [`'\"]?[^ ]{1,200}[`'\"]? "
        r"(?:does not exist|not found|was not found)"
        r"|^(?:model not found|unknown model|no such model|invalid model)\b",
        statuses=(400, 403, 404, 422, UNKNOWN_STATUS),
    ),
    rule(
        "unsupported_country",
        text=r"not (?:supported|available|allowed) in (?:your|this) (?:country|territory)"
        r"|(?:country|territory|location)\b[^.]{0,40} not supported"
        r"|unsupported (?:countr|territor)",
        statuses=_CLIENT_ERRORS,
    ),
    rule(
        "insufficient_quota",
        text=r"insufficient (?:balance|credits?|funds|quota)|exceeded your current quota"
        r"|out of credits|billing limit|payment method|余额不足|欠费",
        statuses=(400, 402, 403, 429, UNKNOWN_STATUS),
    ),
    # An error without a status: a gateway's text, in a stream.
    rule("rate_limit", text="rate limit|too many requests", statuses=(UNKNOWN_STATUS,)),
    rule(
        "invalid_key",
        text=r"(?:invalid|incorrect|wrong|missing|expired) "
        r"(?:api|authentication|x-api)[ -]?(?:key|token)"
        r"|api[ -]key (?:is |was )?(?:not valid|invalid|expired|missing|disabled|required)",
        statuses=(400, 401, 403, UNKNOWN_STATUS),
    ),
)

ABOUT_KEYS = re.compile(
    r"\bapi[ _-]?keys?\b|\bcredentials?\b|\bsignature\b|authenticat|unauthori[sz]ed"
    r"|\b(?:access|api|auth|bearer|security) tokens?\b"
    r"|\b(?:invalid|expired|missing) token\b|\btoken (?:is|was|has) ",
    re.IGNORECASE,
)
"""What the texts of a 403 have if they are about the key."""

FEWEST_WORDS = 3
"""A shorter text (`Forbidden`, `Access denied`) says no more than the status."""


def is_about_key(body: ErrorBody) -> bool:
    """Whether a 403 that no rule knows is about the key: its texts are, or say nothing."""
    texts = [text for text in body.texts if len(text.split()) >= FEWEST_WORDS]
    return not texts or any(ABOUT_KEYS.search(text) for text in texts)
