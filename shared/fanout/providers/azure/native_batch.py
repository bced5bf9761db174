"""Azure's batches, which are OpenAI's at `https://RESOURCE.openai.azure.com/openai/v1`."""

from __future__ import annotations

from ..base import Target
from ..native_batch import Limits
from ..openai.native_batch import OpenAIBatches
from .chat import V1_PATH
from .provider import PROVIDER


def make_batches(target: Target) -> OpenAIBatches:
    """
    Azure never expires a batch, so only its client's own deadline ends it.

    A line's model is the name of a deployment for batches, which is not the one for real time.
    learn.microsoft.com/azure/ai-foundry/openai/how-to/batch, 2026-09.
    """
    limits = Limits(lines=100_000, bytes=200_000_000, drain=600.0)
    has_path = target.options.get("api_base", "").rstrip("/").endswith(V1_PATH)
    prefix = "" if has_path else V1_PATH
    return OpenAIBatches(PROVIDER.chat, PROVIDER.explain, target, limits, prefix=prefix)
