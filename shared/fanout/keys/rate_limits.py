"""The requests and tokens a minute of an account: why a request is over them, and its headers."""

from __future__ import annotations

from math import ceil

from ..errors import FanoutError, KeyRateLimited, RequestError
from .items import Item

UNLIMITED = 10**18
"""A budget of a billion dollars; of requests and tokens, so many in a minute or at once."""


MINUTE = 60


def over_rate(item: Item, tokens: int, now: float, whose: str, field: str) -> FanoutError | None:
    """Why the request is over the limits of this minute; `field` makes it need fewer tokens."""
    if tokens > item["tpm_limit"]:
        remedy = "send a shorter" if field == "input" else "set a smaller"
        return RequestError(
            f"the request may take {tokens} tokens, and the {whose}'s limit is "
            f"{item['tpm_limit']} a minute: {remedy} `{field}`",
            field,
            "tokens_exceed_limit",
        )
    if item["rpm_left"] >= 1 and item["tpm_left"] >= tokens:
        return None
    unit = "requests" if item["rpm_left"] < 1 else "tokens"
    limit = item["rpm_limit"] if unit == "requests" else item["tpm_limit"]
    wait = max(1.0, (item["minute"] + 1) * MINUTE - now)
    message = (
        f"the {whose}'s limit of {limit} {unit} a minute is reached; try again in {ceil(wait)} s"
    )
    return KeyRateLimited(message, wait, rate_headers(item, now))


def rate_headers(item: Item, now: float) -> dict[str, str]:
    """OpenAI's `x-ratelimit-*` headers for the limits that the account has."""
    headers: dict[str, str] = {}
    reset = f"{max(1, (item['minute'] + 1) * MINUTE - int(now))}s"
    for unit, name in (("requests", "rpm"), ("tokens", "tpm")):
        if (limit := item[f"{name}_limit"]) != UNLIMITED:
            headers[f"x-ratelimit-limit-{unit}"] = str(limit)
            headers[f"x-ratelimit-remaining-{unit}"] = str(max(0, item[f"{name}_left"]))
            headers[f"x-ratelimit-reset-{unit}"] = reset
    return headers
