"""A request that is larger than a rate limit fails at once, whatever its status."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.bulk.local_jobs import EchoProvider, jsonl, line, open_jobs
from tests.support.virtual_clock import now, run_threads_at_once

TOO_LARGE = (
    "Request too large for gpt-4o in organization org-1 on tokens per min (TPM): "
    "Limit 30000, Requested 50000."
)


def test_a_request_larger_than_the_limit_fails_at_once_and_holds_up_no_other(
    tmp_path: Path,
) -> None:
    """A 429 that no pause helps: github.com/continuedev/continue/issues/10602 (2026-02)."""
    provider, calls = EchoProvider(), Counter[str]()

    async def reject_large(_model: str, text: str) -> tuple[int, Mapping[str, str]] | None:
        calls[text] += 1
        return (429, {}) if text == "n5" else None

    provider.before, provider.message = reject_large, TOO_LARGE

    async def main() -> None:
        async with open_jobs(tmp_path, provider, now=now, sync_interval=1.0) as jobs:
            job = await jobs.create(jsonl(line(f"n{i}") for i in range(20)))
            while not (job := await jobs.job(job)).is_over:  # noqa: ASYNC110 -- it is in a file
                await asyncio.sleep(1)
            assert await jobs.error_codes(job) == {"n5": "context_length_exceeded"}
            assert now() < 10

    run_threads_at_once(main(), 0.0)
    assert set(calls.values()) == {1}
