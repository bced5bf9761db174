"""The batch APIs of vendors without a folder: OpenAI's with each one's limits, and Mistral's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .base import Provider, Target
from .mistral.native_batch import MistralBatches
from .native_batch import Limits, NativeBatches
from .openai.native_batch import OpenAIBatches

MB = 1_000_000


def _groq(provider: Provider, target: Target) -> NativeBatches:
    """
    Half the price, also of cached tokens, which have no other discount then.

    What an expired batch leaves and costs was shown nowhere, so its lines without a row may be
    billed. console.groq.com/docs/batch; the models are those that its batches have in 2026-09.
    """
    limits = Limits(lines=50_000, bytes=100 * MB, drain=600.0)
    discounted = ("openai/gpt-oss-",)
    return OpenAIBatches(provider.chat, provider.explain, target, limits, discounted=discounted)


def _together(provider: Provider, target: Target) -> NativeBatches:
    """
    One model for chat has a discount. A list is bare, so a batch is found by its input. What an
    expired batch costs was shown nowhere.

    docs.together.ai/docs/inference/batch/overview, 2026-09.
    """
    return OpenAIBatches(
        provider.chat,
        provider.explain,
        target,
        Limits(lines=50_000, bytes=100 * MB, drain=120.0, line_bytes=10 * MB),
        discounted=("meta-llama/Llama-3.3-70B-Instruct-Turbo",),
        found_by="input",
        upload_path="/files/upload",
        purpose="batch-api",
        bare=True,
    )


def _mistral(provider: Provider, target: Target) -> NativeBatches:
    return MistralBatches(provider.chat, provider.explain, target)


ROWS: Mapping[str, Callable[[Provider, Target], NativeBatches]] = {
    "groq": _groq,
    "mistral": _mistral,
    "together_ai": _together,
}
