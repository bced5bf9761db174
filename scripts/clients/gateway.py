"""The gateway as a process, with the stub upstreams as its models."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.faults.gateway_process import gateway

OPENAI_MODELS = {"gpt": "gpt-4o"} | {
    name: name for name in ("slow", "broken", "failing", "endless", "lists")
}
"""Model names of clients, and the models of the OpenAI-shaped stub."""

CLAUDES = ("claude-opus-4-8", "claude-sonnet-4-5")
"""Models with Anthropic's own names, from which Claude Code sees how they think."""
RACE = {"models": ["slow", "gpt"], "mode": "race"}
"""What the model name `fast` means, for clients that cannot add a field to a request."""


def config(upstream: str) -> dict[str, Any]:
    """
    Return the gateway's config.

    It retries nothing, so that two calls to one upstream are two requests of a client.
    """
    models = {name: (f"openai/{model}", f"{upstream}/v1") for name, model in OPENAI_MODELS.items()}
    models["vectors"] = ("hosted_vllm/embedder", f"{upstream}/v1")
    models["claude"] = ("anthropic/claude-sonnet-4-5", upstream)
    for name in CLAUDES:
        models[name] = (f"anthropic/{name}", upstream)
    models["gemini"] = ("gemini/gemini-3-pro-preview", upstream)
    models["thinker"] = models["claude"]
    entries: list[dict[str, Any]] = [
        {
            "model_name": name,
            "litellm_params": {"model": model, "api_base": base, "api_key": "sk-stub"},
        }
        for name, (model, base) in models.items()
    ]
    # With a budget, a model of this family rejects tool calls in its history without thinking.
    entries[-1]["litellm_params"] |= {"reasoning_effort": "low", "max_tokens": 8000}
    return {
        "model_list": entries,
        "router_settings": {"num_retries": 0, "model_group_alias": {"fast": RACE}},
    }


@contextmanager
def serve_gateway(upstream: str) -> Iterator[str]:
    """Run the gateway for the block; yield its base URL."""
    with (
        tempfile.TemporaryDirectory() as folder,
        gateway(config(upstream), Path(folder), quiet=True) as served,
    ):
        yield f"{served.url}/v1"
