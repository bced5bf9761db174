"""Azure OpenAI, and Microsoft Foundry's OpenAI endpoint; the config has the resource's address."""

from __future__ import annotations

from ..base import TEMPLATE_SETTINGS, Header, PromptCache, Provider
from .chat import CODEC, pass_through
from .errors import explain

# learn.microsoft.com/azure/ai-foundry/openai/how-to/prompt-caching, 2026-11
CACHE = PromptCache(has_key=True)

PROVIDER = Provider(
    name="azure",
    trace_name="azure.ai.openai",
    base_url="{api_base}",
    endpoint=r"/openai(?:/deployments/[^/]+)?(?:/chat/completions|/embeddings|/responses)?"
    r"|(?<=/openai/v1)(?:/chat/completions|/embeddings|/responses)",
    named_in_address={"deployments": "deployment"},
    settings=frozenset({"api_version", "batch_deployment"}) | TEMPLATE_SETTINGS,
    keys=("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
    chat=CODEC,
    explain=explain,
    auth=Header("api-key"),
    billing="stops",
    prompt_cache=lambda _: CACHE,
    has_responses=True,
    pass_through=pass_through,
)
