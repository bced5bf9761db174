"""
Calls on a provider's flex tier: cheaper, slower, and rejected when the tier has no room.

A call that may be on this tier is on it if its deployment has a cheaper price for it, in the config
or in the price lists, and if its request and the config name no tier of their own. Pure.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..errors import Overloaded, TimedOut
from ..schema.request import ChatRequest
from ..telemetry.prices import FLEX, prices_of

FLEX_TIMEOUT = 900.0
"""
Seconds for a response on the flex tier. OpenAI and Google advise 10 to 15 minutes:
developers.openai.com/api/docs/guides/flex-processing, ai.google.dev/gemini-api/docs/flex-inference
(2026-11).
"""


def has_flex(deployment: Deployment) -> bool:
    """Whether the deployment has a flex tier that is cheaper than its standard one."""
    prices = prices_of(deployment)
    return prices is not None and prices.has_cheaper_flex


def on_flex(request: ChatRequest, deployment: Deployment) -> ChatRequest | None:
    """The request on the deployment's flex tier; `None` if it has none, or names a tier itself."""
    if request.service_tier is not None or not has_flex(deployment):
        return None
    return replace(request, service_tier=FLEX, body={**request.body, "service_tier": FLEX})


def is_rejection(error: BaseException | None) -> bool:
    """Whether a call on the flex tier failed because the tier has no room, or is too slow."""
    return isinstance(error, Overloaded | TimedOut)
