"""What lines that wait for a model's rate limit wait for, in words. Pure."""

from __future__ import annotations

from ..activity import Wait
from .limits import Limits

RESTART = 2.0
"""Seconds after the end of a pause in which the first line starts."""


class LimitWait:
    """One model's wait; the rate limiter sets the time of the next start and the limits."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.until: float | None = None
        self.paused_until = 0.0
        self.limits = Limits()

    def current(self) -> Wait:
        """The wait as it is now."""
        is_paused = self.until is not None and self.until <= self.paused_until + RESTART
        if is_paused or not self.limits.are_known:
            what = "responds with 429" if is_paused else "is called slowly until its limits show"
            return Wait("rate_limit", f"`{self.model}` {what}", self.model, self.until)
        cause = f"the rate limit of `{self.model}` is {_in_words(self.limits)}"
        return Wait("rate_limit", cause, self.model, self.until)


class LimitWaits(dict[str, LimitWait]):
    """The waits by model."""

    def __missing__(self, model: str) -> LimitWait:
        found = self[model] = LimitWait(model)
        return found


def _in_words(limits: Limits) -> str:
    parts = []
    if limits.requests:
        about = "about " if limits.is_estimate else ""
        size = " of mean size" if limits.counts_tokens else ""
        parts.append(f"{about}{limits.requests:,.0f} requests{size}")
    tokens = (
        (limits.tokens, "tokens"),
        (limits.input_tokens, "input tokens"),
        (limits.output_tokens, "output tokens"),
    )
    parts += [f"{number:,.0f} {name}" for number, name in tokens if number]
    return f"{' and '.join(parts)} a minute"
