"""The sizes of rejected calls show whether a limit that is not stated is one of tokens."""

from __future__ import annotations

import pytest

from fanout.bulk.pacing.estimated_limit import CALLS, CALLS_MADE, Estimate, read_estimate
from fanout.bulk.pacing.limits import Limits, read_learned
from fanout.bulk.pacing.rate_limit_state import MemoryRateLimitStore
from fanout.bulk.pacing.rate_limiter import RateLimiter
from fanout.bulk.pacing.rejection import MAX_EVIDENCE, Rejection
from tests.bulk.aws.memory_table import MemoryTable, make_store
from tests.support.virtual_clock import now, run

PER_MINUTE = 60


def after(sizes: list[float]) -> Estimate:
    """The estimate after 429s to calls of these sizes, each about a minute after the one before."""
    known: Estimate | None = None
    state: dict[str, float] = {}
    for size in sizes:
        at = known.at + 59 if known else 100.0
        found = Rejection(at, at + 0.1, None, size).after(known, state, PER_MINUTE)
        assert found is not None
        known, made = found, found.calls + PER_MINUTE
        state = {**found.restart, CALLS: found.at + 59, CALLS_MADE: made}
    assert known is not None
    return known


@pytest.mark.parametrize(
    ("sizes", "counts_tokens"),
    [
        ([1.0, 1.0, 1.0], False),  # all calls have about the same size
        ([2.0], True),
        ([2.5, 2.0, 3.0], True),
        ([0.5, 2.0, 0.4], False),  # of any size
        ([4.0, 4.0, 4.0, 4.0, 0.2, 0.3], False),  # the first ones were chance
        ([0.1, 0.1, 0.1, 4.0, 4.0, 3.0], True),
    ],
)
def test_large_rejected_calls_show_a_limit_of_tokens(
    sizes: list[float], *, counts_tokens: bool
) -> None:
    estimate = after(sizes)
    assert estimate.counts_tokens is counts_tokens
    assert abs(estimate.evidence) <= MAX_EVIDENCE
    limits = read_learned(estimate.numbers, estimate.at)
    assert limits is not None
    assert limits.counts_tokens is counts_tokens


def test_a_small_call_that_is_rejected_with_a_large_one_shows_a_limit_of_calls() -> None:
    known = after([3.0])
    assert known.counts_tokens
    known = Rejection(100.1, 100.4, None, 4.0).after(known, known.restart, 0) or known
    assert known.counts_tokens
    known = Rejection(100.2, 100.5, None, 0.3).after(known, known.restart, 0) or known
    assert not known.counts_tokens


@pytest.mark.parametrize("kind", ["memory", "dynamodb"])
def test_workers_share_what_the_sizes_show(kind: str) -> None:
    memory, table = MemoryRateLimitStore(), MemoryTable()

    async def main() -> None:
        one, other = (
            RateLimiter(
                memory if kind == "memory" else make_store(table, seed), lambda _: Limits(), now
            )
            for seed in (1, 2)
        )
        for limiter in (one, other):
            for tokens in (50, 150):
                limiter.permit("m", tokens, 1, tokens)
        one.sent("m")
        await one.rejected("m", one.clock(), None, 4.0)
        limits = await other.limits("m")
        assert limits.counts_tokens
        start = 0.0
        for tokens, weight in ((400, 2.0), (100, 0.0)):
            permit = other.permit("m", tokens, 1, tokens)
            async with permit:
                if weight:
                    start, size = now(), permit.size
                    assert size == pytest.approx(400 / 200)
                    rate = (await other.limits("m")).requests
                else:
                    assert rate is not None
                    assert now() - start == pytest.approx(size * 60 / rate, rel=0.5)

    run(main())


def test_a_known_limit_of_tokens_makes_the_sizes_meaningless() -> None:
    store = MemoryRateLimitStore()
    limiter = RateLimiter(store, lambda _: Limits(None, 5_000), now)

    async def main() -> None:
        limiter.sent("m")
        await limiter.rejected("m", limiter.clock(), None, 4.0)
        estimate = read_estimate(await store.state("m", now()), now())
        assert estimate is not None
        assert not estimate.counts_tokens

    run(main())
