"""
Calls of functions on their way back to Google, with the signature of the thought behind them.

See https://ai.google.dev/gemini-api/docs/thought-signatures: since Gemini 3 the first call of a
step must come back with its signature. We hand it out where Google's own OpenAI-compatible
endpoint does, in `extra_content.google.thought_signature`.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import MsgspecError

from ...errors import RequestError
from ...schema.chat import Object
from ...schema.request import CustomToolCall, FunctionToolCall
from ...wire import json
from ..base import Losses

# Google's documented signature for a call that another model made, so that none is missing.
SKIP_SIGNATURE = "skip_thought_signature_validator"

_OURS = re.compile(r"call_(\S+_)?\d+")


def make_id(response_id: str | None, number: int) -> str:
    """An id for a call that Google gave none: the same whenever the same reply is read."""
    return f"call_{response_id}_{number}" if response_id else f"call_{number}"


def told_id(call_id: str) -> dict[str, Any]:
    """The field `id`, unless we made the id ourselves: then Google never heard of it."""
    return {} if _OURS.fullmatch(call_id) else {"id": call_id}


def signature_in(carrier: Object) -> str | None:
    """The signature that a message or a call of ours carries, if any."""
    extra = carrier.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def carry(signature: str) -> dict[str, Any]:
    """The `extra_content` in which a caller gets a signature, to send it back."""
    return {"google": {"thought_signature": signature}}


def encode_call(
    call: FunctionToolCall | CustomToolCall, raw: Object, place: str, losses: Losses
) -> dict[str, Any] | None:
    """A call that the model made earlier."""
    if isinstance(call, CustomToolCall):
        losses.lose(place, "it calls functions only")
        return None
    arguments = _encode_arguments(call.function.arguments, f"{place}.function.arguments")
    function = {**told_id(call.id), "name": call.function.name, "args": arguments}
    signature = signature_in(raw)
    return {"functionCall": function} | ({"thoughtSignature": signature} if signature else {})


def _encode_arguments(text: str, place: str) -> dict[str, Any]:
    try:
        value = json.decode(text or "{}")
    except (MsgspecError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RequestError(f"`{place}`: expected a JSON object, written as a string", place)
    return value
