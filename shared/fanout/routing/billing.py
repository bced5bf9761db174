"""
What a call may be billed for whose provider sends no usage. Pure.

Requests and the lines of jobs count it alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import may_be_billed
from ..schema.prompt_tokens import prompt_tokens
from ..schema.received_text import ReceivedText, response_tokens
from ..schema.request import ChatRequest
from .leg import Leg, Outcome

ASSUMED_OUTPUT_TOKENS = 500
"""Charged at most for what a provider goes on to write after a call is cancelled."""


def assumed_usage(
    leg: Leg, outcome: Outcome, error: BaseException | None
) -> Mapping[str, Any] | None:
    """
    The usage of a leg's last call, which has none when it ends; `None` if it costs nothing.

    A provider may charge the prompt of each call that it did not reject, and what it has sent.
    Some go on to write what no one reads after a call is cancelled. A usage that came before the
    call was cut counts first; of one that the provider sends at its beginning, the prompt does.
    """
    if usage := getattr(leg.received, "usage", None):
        found: Mapping[str, Any] = usage
        return found
    received = _received_tokens(leg)
    is_cancelled = outcome == "cancelled"
    if not (received or outcome == "ok" or is_cancelled or may_be_billed(error)):
        return None
    if is_cancelled and leg.deployment and leg.deployment.provider.billing == "continues":
        received = max(received, _assumed_output(leg.sent))
    if early := None if leg.received is None else leg.received.usage_so_far():
        received = max(received, early["completion_tokens"])
        total = early["prompt_tokens"] + received
        return {**early, "completion_tokens": received, "total_tokens": total}
    sent = _sent_tokens(leg.sent)
    return {
        "prompt_tokens": sent,
        "completion_tokens": received,
        "total_tokens": sent + received,
    }


def _received_tokens(leg: Leg) -> int:
    """The tokens of what was received: of a whole response, or of a stream so far."""
    received, completion = leg.received, leg.completion
    if completion is None and isinstance(received, ReceivedText):
        return received.tokens
    if completion is None and received is not None:
        completion = received.completion()
    return 0 if completion is None else response_tokens(completion)


def _assumed_output(sent: object) -> int:
    """What a provider may write of a response that no one reads; embeddings have none."""
    if not isinstance(sent, ChatRequest):
        return 0
    return min((sent.limit or ASSUMED_OUTPUT_TOKENS) * (sent.n or 1), ASSUMED_OUTPUT_TOKENS)


def _sent_tokens(sent: Any) -> int:
    """The tokens of a request, about: of a conversation, or of the inputs for embeddings."""
    if isinstance(sent, ChatRequest):
        return prompt_tokens(sent)
    from ..endpoints.embeddings.division import tokens_of  # few processes serve them

    return sum(map(tokens_of, sent.inputs))
