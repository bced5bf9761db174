"""What an answer cost, in US dollars, by the config's prices. Knows nothing of calls."""

from __future__ import annotations

from .config.resolve import Deployment
from .schema.chat import Usage


def cost_of(deployment: Deployment, usage: Usage | None) -> float | None:
    """The cost by the config's own prices; `None` where it has none, or no usage is known."""
    if usage is None or deployment.input_price is None or deployment.output_price is None:
        return None
    sent = usage["prompt_tokens"] * deployment.input_price
    return sent + usage["completion_tokens"] * deployment.output_price
