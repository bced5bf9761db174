"""The limits at which a whole job's calls are expected to be sent, where the config has none."""

from __future__ import annotations

from msgspec.structs import replace

from ...providers.rate_limits import Limits
from .estimated_limit import FAIR, read_estimate
from .limits import read_learned
from .rate_limit_state import RateLimitStore, store_errors


async def steady_limits(
    store: RateLimitStore, model: str, now: float, share: float = 1.0
) -> Limits | None:
    """
    What any worker learned of a model in the last day, times the `share` that jobs may use.

    An estimate counts once it is a fair one, without its growth since. `None` if nothing is known.
    Raises `RateLimitUnavailable`.
    """
    with store_errors(model):
        state = await store.state(model, now)
    found = read_learned(state, now) or Limits()
    if found.is_estimate:
        estimate = read_estimate(state, now)
        is_fair = estimate is not None and estimate.trust >= FAIR
        found = replace(found, requests=estimate.rate if estimate and is_fair else None)
    scaled = Limits(
        *(
            limit * share if limit else None
            for limit in (found.requests, found.tokens, found.input_tokens, found.output_tokens)
        )
    )
    return scaled if scaled.are_known else None
