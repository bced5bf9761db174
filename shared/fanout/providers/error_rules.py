"""
What kind of error a provider's error body is, by the vendor's own table of rules.

The body counts before the HTTP status: one status has many meanings (a 403 may be a bad key, a
refused prompt or a country). Machine-readable names in the body count before its text, because a
table lists the rules with names first. A vendor's rules are in its folder or beside its row; those
of all vendors are in `general_errors.py`.
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
    "invalid_request",
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
        "status_code",
        "type",
    }
)
_TEXTS = frozenset({"Message", "detail", "error", "message", "msg", "status_msg", "title"})

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

    The body has at least one of `names`: `field:` stands for a field of that name,
    and `*` in a name for any letters. `text` is a pattern that one of its texts has, in any case.
    If it finds a `limit` and what was `requested`, that must be more.
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
        return any(_is_over(found) for text in body.texts if (found := pattern.search(text)))


def rule(kind: ErrorKind, *names: str, text: str = "", statuses: Sequence[int] = ()) -> ErrorRule:
    """One row of a vendor's table."""
    return ErrorRule(kind, frozenset(names), text, tuple(statuses))


def _is_over(found: re.Match[str]) -> bool:
    """Whether more was requested than the limit, if the text has both."""
    groups = found.groupdict()
    if not groups.get("limit"):
        return True
    return int(groups["requested"]) > int(groups["limit"])


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
    texts = [text] if text else []
    if code := code_in_text(body) or _title_of(body):
        texts.append(code)
    return _read(status, json.decode_or_none(body), texts, {one.lower() for one in names})


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
        found = [int(name) for name in sorted(names) if is_status(name)]
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
                found = json.decode_or_none(found.encode())  # noqa: PLW2901
            if name not in _QUOTED:
                yield from _walk(found, depth - 1)


_CODE_IN_TEXT = re.compile(rb"\s*(error code: \d{3,4})\s*")


def code_in_text(body: bytes) -> str:
    """`error code: 1010`: all that Cloudflare's edge sends to programs that it blocks; or ""."""
    found = _CODE_IN_TEXT.fullmatch(body)
    return found[1].decode() if found else ""


_TITLE = re.compile(rb"<title>\s*([^<]{1,200})", re.IGNORECASE)


def _title_of(body: bytes) -> str:
    """`Just a moment...`: the title of a page (Cloudflare's, for one) in place of JSON; or ""."""
    if body.lstrip()[:1] != b"<":
        return ""
    found = _TITLE.search(body, 0, MAX_TEXT)
    return found[1].decode(errors="replace").strip() if found else ""


def _short(name: str) -> str:
    """`com.amazon.coral#ThrottlingException:http://…` -> `ThrottlingException`."""
    return name.rpartition("#")[2].partition(":")[0]


def is_status(name: str) -> bool:
    """Whether a name is only an HTTP status."""
    return len(name) == 3 and name.isdecimal() and 400 <= int(name) < 600  # noqa: PLR2004


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
