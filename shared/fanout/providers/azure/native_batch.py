"""Azure's batches, which are OpenAI's at `https://RESOURCE.openai.azure.com/openai/v1`."""

from __future__ import annotations

from msgspec.structs import replace

from ..base import Target
from ..native_batch import Limits
from ..openai.native_batch import RESPONSES, OpenAIBatches
from ..openai.provider import kind_of
from .chat import V1_PATH, calls_responses, prefix_of
from .provider import PROVIDER


def make_batches(target: Target) -> OpenAIBatches:
    """
    Azure never expires a batch, so only its client's own deadline ends it. Then "any already
    completed work is returned", and charged; the API is OpenAI's, so a line may be lost, too.

    A line's model is the name of a deployment for batches, the option `batch_deployment`. It is not
    the one for real time: neither takes the other's requests. The endpoint without dates has the
    API, whatever `api_version` is.
    learn.microsoft.com/azure/ai-foundry/openai/how-to/batch, 2026-09.
    """
    limits = Limits(lines=100_000, bytes=200_000_000, drain=600.0)
    has_path = target.options.get("api_base", "").rstrip("/").endswith(V1_PATH)
    prefix = "" if has_path else V1_PATH
    at_batches = _with_deployment(target)
    batches = OpenAIBatches(PROVIDER.chat, PROVIDER.explain, at_batches, limits, prefix=prefix)
    return replace(batches, endpoint=RESPONSES) if calls_responses(at_batches) else batches


def _with_deployment(target: Target) -> Target:
    """The target of batches: the same model, by the name of its deployment for them."""
    name = target.options.get("batch_deployment")
    if name is None:
        return target
    options = {"base_model": kind_of(target), **target.options}
    return replace(target, model=f"{prefix_of(target.model)}{name}", options=options)
