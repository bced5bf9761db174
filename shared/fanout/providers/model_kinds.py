"""
Which model names are those of vendors' models that are not for chat.

They are for embeddings, images, video, audio, ranking, moderation, or old completions. A pattern
begins where the last part of a name begins and ends with a whole word, so a name that a user has
chosen is none of them. `model_prices_and_context_window.json` of LiteLLM has the modes of all, and
docs.x.ai, docs.aws.amazon.com/bedrock, ai.google.dev and help.aliyun.com/model-studio those that it
lacks. 2026-11
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_GOOGLE = (
    "aqa chirp embedding gemini-embedding imagegeneration imagen lyria mistral-ocr "
    "multimodalembedding semantic-ranker text-embedding text-multilingual-embedding "
    "textembedding-gecko veo virtual-try-on "
    r"gemini-(?:[\w.]+-)*(?:live|native-audio|transcribe|tts)"
)

_OPENAI = (
    r"chatgpt-image dall-e gpt-[\d.]+-image gpt-3\.5-turbo-instruct gpt-image gpt-live "
    "omni-moderation sora text-embedding text-moderation tts whisper "
    r"gpt-(?:[\w.]+-)*(?:realtime|transcribe|tts) (?:text-)?(?:ada|babbage|curie|davinci)(?:-\d+)?$"
)

_KINDS: Mapping[str, str] = {
    "azure": f"azure-stt azure-tts {_OPENAI}",
    "bedrock": (
        r"amazon\.nova-(?:[\w]+-)*(?:canvas|embeddings|reel|sonic) amazon\.rerank "
        r"amazon\.titan-(?:embed|image) cohere\.(?:embed|rerank) luma\.\w+ stability\.\w+ "
        r"twelvelabs\.marengo"
    ),
    "cohere": "embed parse rerank",
    "dashscope": (
        "cosyvoice gte-rerank happyhorse multimodal-embedding paraformer qwen-image sambert "
        r"sensevoice text-embedding qwen[\d.]*-(?:[\w.]+-)*(?:rerank|tts) wan[\d.]+ wanx[\d.]*"
    ),
    "gemini": _GOOGLE,
    "minimax": "image minimax-h3 minimax-hailuo music speech",
    "mistral": (
        "codestral-embed mistral-embed mistral-moderation mistral-ocr "
        r"voxtral-(?:\w+-)*(?:realtime|transcribe|tts)"
    ),
    "openai": _OPENAI,
    "perplexity": "pplx-embed",
    "vertex_ai": _GOOGLE,
    "volcengine": "doubao-embedding doubao-seedance doubao-seedream",
    "voyage": "rerank voyage",
    "xai": r"grok-(?:[\d.]+-)?image grok-imagine grok-voice",
}
"""Beginnings of the names at each vendor that has models of its own."""

_OPEN = (
    "all-minilm bge chatgpt-image codestral-embed dall-e distil-whisper e5 embeddinggemma "
    "fireworks-asr flux gemini-embedding gpt-image gpt-jt-moderation gte imagen "
    "japanese-stable-diffusion jina-embeddings jina-reranker llama-rank mistral-embed "
    "multilingual-e5 mxbai-embed mxbai-rerank nomic-embed nv-embed nv-embedqa nv-rerankqa "
    "orpheus playai-tts playground-v2 qwen-image rerank snowflake-arctic-embed sora "
    "stable-diffusion text-embedding text-multilingual-embedding together-ai-embedding tts "
    "veo voyage whisper "
    r"llama-[\d._]+-nv-(?:embedqa|rerankqa) qwen[\d.]*-(?:[\w.]+-)*(?:embedding|reranker)"
)
"""Beginnings of the names at vendors that serve the models of many."""

_REGION = r"(?:(?:apac|au|ca|eu|global|jp|us|us-gov)\.)?"


def is_for_chat(model: str, provider: str | None = None) -> bool:
    """
    Whether a model's name is none of a model that is not for chat.

    Its `provider` says whose names they are; without one, they are those of all.
    """
    return _pattern(provider).match(model) is None


@lru_cache
def _pattern(provider: str | None) -> re.Pattern[str]:
    words = _KINDS.get(provider, _OPEN) if provider else " ".join((*_KINDS.values(), _OPEN))
    kinds = words.replace(" ", "|")
    return re.compile(rf"(?:.*/)?{_REGION}(?:{kinds})(?![a-z0-9])", re.IGNORECASE)
