"""The table of what a response costs on each lane of a job, for docs/cost.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import prices
from .job_cost import ONE_VCPU

LISTS = Path(__file__).parents[2] / "shared" / "fanout" / "telemetry" / "price_lists"

HEADS = ("provider", "real time", "flex", "batches", "a batch takes", "limits of a batch", "source")

CAPTURES = "[captures](https://github.com/OpenRouterTeam/docs)"
"""Responses that others have recorded: `docs/batch-research` of that repository."""

ROWS = (
    (
        "OpenAI",
        "openai",
        "half, cached tokens too",
        "minutes to 25 h were seen; after 24 h it expires, with what is finished",
        "50,000 lines, 200 MB, one model, a quota of queued tokens",
        "[guide](https://developers.openai.com/api/docs/guides/batch), {captures}",
    ),
    (
        "Azure",
        "azure",
        "half",
        "the goal is 24 h; it never expires",
        "100,000 lines, 200 MB, a deployment for batches",
        "[guide](https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch)",
    ),
    (
        "Anthropic",
        "anthropic",
        "half, on top of the cache's discount",
        "mostly under 1 h; after 24 h each line expires that is not finished",
        "100,000 lines, 256 MB, a quota of queued lines",
        "[guide](https://platform.claude.com/docs/en/api/creating-message-batches), {captures}",
    ),
    (
        "Gemini",
        "gemini",
        "half; cached tokens as in real time",
        "the goal is 24 h; after 48 h it expires without any result",
        "2 GB, 100 batches at once, a quota of queued tokens",
        "[guide](https://ai.google.dev/gemini-api/docs/batch-api), {captures}",
    ),
    (
        "Bedrock",
        "bedrock",
        "half for most models; no cache",
        "24 to 168 h, as the request says; what is finished then stays",
        "100 lines at least (a quota), 50,000 lines, 1 GB, a bucket",
        "[guide](https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html)",
    ),
    (
        "Mistral",
        "mistral",
        "half",
        "2 minutes for five lines and over 40 for one were seen; 24 h by default, up to 168 h",
        "1,000,000 lines, 512 MB",
        "[guide](https://docs.mistral.ai/capabilities/batch/), {captures}",
    ),
    (
        "Groq",
        "groq",
        "half for some models; not on top of the cache's discount",
        "24 h to 7 days, as the request says",
        "50,000 lines, 100 MB",
        "[guide](https://console.groq.com/docs/batch)",
    ),
    (
        "Together",
        "together_ai",
        "half for one model for chat, else the full price",
        "24 h at best effort",
        "50,000 lines, 100 MB, 10 MB a line",
        "[guide](https://docs.together.ai/docs/inference/batch/overview), {captures}",
    ),
)
"""A provider, its price list, and what its sources say."""

STANDARD = 4
"""Prices of the standard tier in an entry; those of other tiers follow."""

FLEX_IS_NOT_CHEAPER = {"groq": "not cheaper"}

SECTION = """## The lanes of a job

A [job](bulk.md#lanes) has lanes, because providers sell the same response at several prices. This
is what they charge, as a part of the price in real time:

{table}

The numbers of models are those of the entries in the price lists of this version that have such a
price, by LiteLLM's map. Where a list has none, a batch counts with the part in the table.
On the flex tier, a response takes minutes and may be refused; in real time, seconds.

In a stack, a job that waits for batches costs {hour} for an hour and {day} for a day, whatever the
number of its lines up to a million: state transitions, and functions that run for a second. Without
such a job the lane costs nothing. Batches of Bedrock are kept in S3 besides, for 15 days.

Nothing in this table was called live for it. It is from the vendors' pages and SDKs, and from what
others have captured and published, from August to November 2026.
"""


def section() -> str:
    """Return the section of docs/cost.md."""
    rows = [
        [name, "1", _flex(prices), _batches(prices, price), *others]
        for name, prices, price, *others in ROWS
    ]
    lines = (HEADS, ["---"] * len(HEADS), *rows)
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return SECTION.format(
        table=table.replace("{captures}", CAPTURES),
        hour=f"${_waiting(20, 36):.3f}",
        day=f"${_waiting(307, 181):.2f}",
    )


def _waiting(turns: int, looks: int) -> float:
    """
    Return what so many turns of a job's batches cost, and looks of the finisher at the job.

    tests/bulk/aws/test_native_waits.py counts them. Each is three transitions and an invocation.
    """
    transitions = 3 * (turns + looks) * prices.TRANSITION.dollars / 1_000
    seconds = (turns + looks) * ONE_VCPU * prices.COMPUTE["arm64"].dollars
    return transitions + seconds + (turns + looks) * prices.INVOCATION.dollars / 1_000_000


def _flex(name: str) -> str:
    count = _models_with(name, "flex")
    return f"half, {count} models" if count else FLEX_IS_NOT_CHEAPER.get(name, "none")


def _batches(name: str, price: str) -> str:
    count = _models_with(name, "batch")
    return f"{price}; {count} models" if count else price


def _models_with(name: str, tier: str) -> int:
    """Return how many entries of a price list have the tier at a lower price."""
    prices: Any = json.loads((LISTS / f"{name}.json").read_text(encoding="utf-8"))
    rows = [*prices["exact"].values(), *(price for _, price in prices["patterns"])]
    tiers = ((row[0], row[STANDARD:]) for row in rows)
    return sum(bool(more) and more[0].get(tier, [price])[0] < price for price, more in tiers)
