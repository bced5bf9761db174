"""LiteLLM's providers: each is called under its own name, or rejected with what to do instead."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.cli.config_notes import notes
from fanout.cli.config_summary import summarize
from fanout.config.catalog import ClientKey
from fanout.http.model_info import listed
from fanout.providers import registry
from fanout.providers.other_rows import OTHER_APIS, OTHER_ROWS
from fanout.telemetry.known_names import listed_names
from tests.unit.config.sections import catalog, deployment, entry, refusal

CALLED = """
nvidia_nim/meta/llama3      meta/llama3      https://integrate.api.nvidia.com/v1/chat/completions    NVIDIA_NIM_API_KEY
github/openai/gpt-4o        openai/gpt-4o    https://models.github.ai/inference/chat/completions     GITHUB_API_KEY
huggingface/mistralai/M-7B  mistralai/M-7B   https://router.huggingface.co/v1/chat/completions       HF_TOKEN
huggingface/together/o/M-7B o/M-7B:together  https://router.huggingface.co/v1/chat/completions       HF_TOKEN
moonshot/kimi-k2            kimi-k2          https://api.moonshot.ai/v1/chat/completions             MOONSHOT_API_KEY
zai/glm-4.6                 glm-4.6          https://api.z.ai/api/paas/v4/chat/completions           ZAI_API_KEY
novita/deepseek/v3          deepseek/v3      https://api.novita.ai/v3/openai/chat/completions        NOVITA_API_KEY
codestral/codestral-latest  codestral-latest https://codestral.mistral.ai/v1/chat/completions        CODESTRAL_API_KEY
minimax/MiniMax-M2          MiniMax-M2       https://api.minimax.io/v1/chat/completions              MINIMAX_API_KEY
aiml/org/model              org/model        https://api.aimlapi.com/v1/chat/completions             AIML_API_KEY
cometapi/gpt-5              gpt-5            https://api.cometapi.com/v1/chat/completions            COMETAPI_KEY
cohere_chat/command-r       command-r        https://api.cohere.com/v2/chat                          COHERE_API_KEY
"""  # noqa: E501


@pytest.mark.parametrize("row", CALLED.split("\n")[1:-1])
def test_an_openai_compatible_vendor_is_called_at_its_address_with_its_key(row: str) -> None:
    model, theirs, url, key = row.split()
    (found,) = summarize(catalog(model_list=[entry(model)]))
    assert (found.model, found.url, found.keys[0].name) == (theirs, url, key)


@pytest.mark.parametrize("name", sorted(OTHER_ROWS))
def test_at_another_address_the_prefix_is_not_part_of_the_models_name(name: str) -> None:
    found = deployment(f"{name}/org/model", api_base="http://h:8000", api_key="k")
    assert found.target.model == "org/model"
    assert found.provider.name == name
    assert found.base_url == "http://h:8000/v1"


def test_a_dedicated_endpoint_gets_the_models_name_as_it_is() -> None:
    found = deployment("huggingface/together/org/model", api_base="https://h/v1", api_key="k")
    assert found.target.model == "together/org/model"


@pytest.mark.parametrize("name", sorted(OTHER_ROWS))
def test_a_vendor_has_an_address_and_a_key_of_its_own(name: str) -> None:
    provider = registry.find(name)
    assert provider.base_url.startswith("https://") != provider.key_optional
    assert all(key.replace("_", "").isalnum() and key.isupper() for key in provider.keys)
    assert name not in registry.names()


@pytest.mark.parametrize("base", [{}, {"api_base": "https://h/v1"}])
@pytest.mark.parametrize("name", sorted(OTHER_APIS))
def test_a_provider_with_another_api_is_rejected_by_name_also_with_an_address(
    name: str, base: dict[str, str]
) -> None:
    message = refusal(model_list=[entry(f"{name}/m", **base)])
    assert message == (
        f"model_list[0] (`m`): `{name}/m`: there is no such provider here: {OTHER_APIS[name]}"
    )


@pytest.mark.parametrize("model", ["dall-e-3", "rerank-v3.5", "bge-m3"])
def test_a_bare_model_that_is_not_for_chat_is_called_so(model: str) -> None:
    assert refusal(model_list=[entry(model)]) == (
        f"model_list[0] (`m`): `{model}` is not for chat, and there is no other API here: "
        "remove the entry"
    )


NOT_FOR_CHAT = """
bedrock/amazon.titan-image-generator-v1 bedrock/amazon.titan-image-generator-v2:0
bedrock/amazon.nova-canvas-v1:0 bedrock/us.amazon.nova-canvas-v1:0 bedrock/amazon.nova-reel-v1:0
bedrock/amazon.nova-sonic-v1:0 bedrock/stability.sd3-5-large-v1:0 bedrock/cohere.rerank-v3-5:0
bedrock/amazon.rerank-v1:0 cohere/rerank-english-v3.0 openai/whisper-1 openai/tts-1
openai/gpt-image-1 openai/dall-e-3 openai/omni-moderation-latest openai/text-moderation-latest
openai/sora-2 openai/gpt-4o-realtime-preview openai/gpt-4o-transcribe gemini/veo-3.0
gemini/imagen-3.0-generate-002 groq/whisper-large-v3 groq/canopylabs/orpheus-v1-english
mistral/mistral-ocr-latest voyage/rerank-2 together_ai/black-forest-labs/FLUX.1-schnell
together_ai/Salesforce/Llama-Rank-V1 xai/grok-imagine-image xai/grok-imagine-video
xai/grok-voice-latest dashscope/qwen-image-2.0 dashscope/wan2.7-t2v minimax/speech-02-hd
fireworks_ai/accounts/fireworks/models/qwen3-reranker-8b nvidia_nim/nvidia/nv-rerankqa-mistral-4b-v3
volcengine/doubao-seedance-2-0-260128 xai/grok-2-image xai/grok-2-image-1212 bedrock/luma.ray-v2:0
bedrock/us.luma.ray-v2:0 gemini/aqa dashscope/paraformer-v2 dashscope/cosyvoice-v2
openrouter/black-forest-labs/flux.2-pro openai/gpt-image-2
ollama/paraphrase-multilingual dashscope/qwen3-asr-flash dashscope/qwen3-asr-flash-realtime
dashscope/qwen-audio-3.1-asr-flash-streaming dashscope/fun-asr dashscope/gummy-chat-v1
dashscope/qwen3-omni-flash-realtime dashscope/qwen-omni-turbo-realtime
dashscope/qwen3.5-livetranslate-flash-realtime
dashscope/qwen-mt-image dashscope/z-image-turbo together_ai/cartesia/sonic-2
together_ai/cartesia/sonic together_ai/hexgrad/Kokoro-82M together_ai/Wan-AI/Wan2.2-T2V-A14B
together_ai/ByteDance/Seedance-1.0-pro together_ai/kwaivgI/kling-2.1-master
together_ai/WhereIsAI/UAE-Large-V1 together_ai/togethercomputer/m2-bert-80M-8k-retrieval
together_ai/minimax/hailuo-02 huggingface/openai/sora-2
"""
FOR_CHAT = """
bedrock/amazon.nova-pro-v1:0 bedrock/amazon.nova-2-lite-v1:0 bedrock/cohere.command-r-plus-v1:0
gemini/gemini-2.5-flash-image openai/gpt-4o openai/gpt-4o-audio-preview xai/grok-4
mistral/voxtral-small-latest deepseek/deepseek-chat hosted_vllm/deepseek-ocr minimax/MiniMax-M2
dashscope/qwen3-vl-plus together_ai/stabilityai/stablelm-zephyr-3b groq/openai/gpt-oss-20b
openrouter/openai/gpt-5-image openai/acme-asr-chat openai/ft:gpt-4o:acme-live:tts:1 xai/acme.live
fireworks_ai/accounts/acme/models/acme-whisper-chat together_ai/acme/stability-gpt4o
dashscope/qwen3-omni-flash dashscope/qwen3-omni-30b-a3b-captioner dashscope/qwen-mt-plus
huggingface/sora-chat huggingface/acme/whisper-chat huggingface/acme/tts-v2-chat
ollama/snowflake-arctic together_ai/cartesia-ai/rene together_ai/acme/sonic-7b
together_ai/MiniMaxAI/MiniMax-M2
openai/stability-gpt4o gemini/tunedModels/acme-tts-live bedrock/us.amazon.nova-pro-v1:0
"""
"""LiteLLM's modes of these models, 2026-11."""


def test_a_model_that_is_not_for_chat_is_noted_by_its_name() -> None:
    env = {"AWS_REGION": "us-east-1"}
    found = {
        model: [one for one in notes(catalog(env, model_list=[entry(model)])) if "not for" in one]
        for model in (*NOT_FOR_CHAT.split(), *FOR_CHAT.split())
    }
    assert [model for model in NOT_FOR_CHAT.split() if not found[model]] == []
    assert [model for model in FOR_CHAT.split() if found[model]] == []


EMBEDDINGS = """
ollama/snowflake-arctic-embed ollama/snowflake-arctic-embed2 ollama/snowflake-arctic-embed2:568m
ollama/granite-embedding:278m dashscope/qwen3-vl-embedding dashscope/tongyi-embedding-vision-plus
azure/text-embedding-3-small azure/text-embedding-ada-002 openai/text-embedding-3-large
openai/nomic-embed-text-v1.5 hosted_vllm/Qwen/Qwen3-Embedding-8B lm_studio/text-embedding-gte
"""


@pytest.mark.parametrize("base", [None, "https://acme.test"])
def test_a_model_for_embeddings_is_in_no_list_of_models_for_chat(base: str | None) -> None:
    for model in EMBEDDINGS.split():
        if base is None and model.startswith(("azure/", "hosted_vllm/", "openai/nomic")):
            continue  # there, such a model is at an address of the user's
        params = {"api_base": base} if base else {}
        found = catalog({"OPENAI_API_KEY": "k"}, model_list=[entry(model, api_key="k", **params)])
        assert listed_names(found, only_chat=True) == [], model
        assert listed_names(found) == ["m"]
        (info,) = listed(found, ClientKey("c", None))
        assert info["model_info"]["mode"] == "embedding", model


OWN_NAMES = (
    "embedded-chat",
    "chat-live",
    "whisper-1",
    "acme-asr-chat",
    "stability-gpt4o",
    "acme.live",
    "tts",
    "ada",
)


def is_noted(model: str, mode: str | None = None, **params: Any) -> bool:
    """Whether a model is called not for chat; `check` and the list of models must agree."""
    given = {**entry(model, api_key="k", **params), "model_info": {"mode": mode}}
    found = catalog(model_list=[given])
    is_noted = any("is not for chat" in one for one in notes(found))
    assert is_noted == (listed_names(found, only_chat=True) != ["m"])
    return is_noted


@pytest.mark.parametrize("name", OWN_NAMES)
def test_a_name_that_a_user_chose_says_nothing_of_the_model(name: str) -> None:
    base = "https://acme.test"
    for model in (f"azure/{name}", f"openai/{name}", f"hosted_vllm/{name}", name):
        for more in ({}, {"base_model": "azure/gpt-4o"}):
            assert not is_noted(model, api_base=base, **more), model
        assert is_noted(model, api_base=base, base_model="azure/whisper-1"), model


def test_the_mode_of_a_model_counts_before_its_base_model_and_its_name() -> None:
    for mode in ("chat", "completion", "responses", "batch"):
        assert not is_noted("openai/whisper-1", mode)
        assert not is_noted("openai/acme", mode, base_model="whisper-1")
    assert is_noted("openai/whisper-1")
    assert is_noted("openai/gpt-4o", base_model="openai/whisper-1")
    assert not is_noted("openai/whisper-1", base_model="gpt-4o")
    assert is_noted("openai/whisper-1", api_base="https://api.openai.com/v1"), "it is the vendor's"


def test_a_name_of_a_model_with_a_slash_is_no_provider() -> None:
    found = deployment("meta-llama/Llama-3", api_base="http://h/v1")
    assert (found.provider.name, found.target.model) == ("openai", "meta-llama/Llama-3")
