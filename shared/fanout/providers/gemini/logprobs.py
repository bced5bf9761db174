"""The logprobs of a candidate, in OpenAI's form."""

from __future__ import annotations

from typing import Any

from . import wire


def decode_logprobs(result: wire.Logprobs | None) -> dict[str, Any] | None:
    """The chosen tokens, each with the most likely ones at its place."""
    if not result or not result.chosen_candidates:
        return None
    tops = result.top_candidates or []
    content = []
    for index, token in enumerate(result.chosen_candidates):
        top = (tops[index].candidates or []) if index < len(tops) else []
        content.append({**_token(token), "top_logprobs": [_token(one) for one in top]})
    return {"content": content}


def _token(token: wire.Token) -> dict[str, Any]:
    return {
        "token": token.token,
        "logprob": token.log_probability,
        "bytes": list(token.token.encode()),
    }
