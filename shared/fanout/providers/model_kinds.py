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
        "cosyvoice fun-asr gte-rerank gummy happyhorse multimodal-embedding paraformer sambert "
        "sensevoice text-embedding tongyi-embedding z-image "
        r"qwen[\d.]*-(?:[\w.]+-)*(?:asr|embedding|image|realtime|rerank|tts|voice) "
        r"wan[\d.]+ wanx[\d.]*"
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
    "all-minilm bge cartesia/sonic chatgpt-image codestral-embed dall-e distil-whisper e5 "
    "embeddinggemma fireworks-asr flux gemini-embedding gpt-image gpt-jt-moderation "
    "granite-embedding gte hexgrad/kokoro ideogram imagen japanese-stable-diffusion "
    "jina-embeddings jina-reranker kling llama-rank m2-bert minimax/hailuo minimax/video "
    "mistral-embed multilingual-e5 mxbai-embed mxbai-rerank nomic-embed nv-embed nv-embedqa "
    "nv-rerankqa orpheus paraphrase-multilingual pixverse playai-tts playground-v2 qwen-image "
    "rerank seedance seedream snowflake-arctic-embed2? sora stable-diffusion text-embedding "
    "text-multilingual-embedding together-ai-embedding tts uae-large veo vidu voyage "
    r"wan-ai/wan[\d.]+ whisper "
    r"llama-[\d._]+-nv-(?:embedqa|rerankqa) qwen[\d.]*-(?:[\w.]+-)*(?:embedding|reranker)"
)
"""Beginnings of the names at vendors that serve the models of many; none of these is a chat's."""

_CHATS = r"(?![^/]*[-_]chat(?![a-z0-9]))"
"""There, a last part with the word `chat` is the name of a model for it: `acme/sora-chat`."""

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
    others = "" if provider in _KINDS else _CHATS
    return re.compile(rf"(?:.*/)?{others}{_REGION}(?:{kinds})(?![a-z0-9])", re.IGNORECASE)
