"""
One prompt to many models, many prompts to one model: an OpenAI-compatible gateway.

The functions of LiteLLM's batch-completion page, each with an async twin (`acompletion`, …), the
types of their responses, and the exceptions. Everything is imported on first use, so importing the
package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        AllFailed,
        Broken,
        Cause,
        ConfigError,
        ConfigProblems,
        ContentFiltered,
        ContextLengthExceeded,
        DeadlineExceeded,
        ErrorDetail,
        FanoutError,
        Forbidden,
        Internal,
        Malformed,
        MissingKey,
        ModelNotFound,
        NotFound,
        Overloaded,
        Oversized,
        PermissionDenied,
        ProviderError,
        QuotaExceeded,
        RateLimited,
        Refused,
        Rejected,
        RequestError,
        SchemaMismatch,
        StorageError,
        StorageFull,
        TimedOut,
        TooLarge,
        Unauthorized,
        UnknownModel,
        Unreachable,
        Unsupported,
        UnsupportedCountry,
    )
    from .library.agreement import Agreement, Judge
    from .library.all_responses import (
        abatch_completion_models_all_responses,
        batch_completion_models_all_responses,
    )
    from .library.arguments import Deployments, Stagger
    from .library.batch import abatch_completion, batch_completion
    from .library.chunk_builder import stream_chunk_builder
    from .library.chunk_types import (
        ChatCompletionChunk,
        ChunkChoice,
        Delta,
        DeltaFunction,
        DeltaToolCall,
    )
    from .library.completion import acompletion, completion
    from .library.embedding import EmbeddingInput, aembedding, embedding
    from .library.embedding_types import Embedding, EmbeddingResponse
    from .library.errors import (
        CheckpointError,
        ForkedProcess,
        GatewayError,
        GatewayUnreachable,
    )
    from .library.gateway_request import GatewayRequest, aopen_request, open_request
    from .library.options import (
        ChatOptions,
        EmbeddingOptions,
        HTTPClient,
        MessageParam,
        Messages,
        MessagesOrLists,
        ResponseFormat,
        ToolParam,
    )
    from .library.parsed_types import ParsedChatCompletion, ParsedChoice, ParsedMessage
    from .library.race import abatch_completion_models, batch_completion_models
    from .library.streams import ChunkIterator, ChunkStream
    from .library.types import (
        AgreeReport,
        Audio,
        Ballot,
        ChatCompletion,
        Choice,
        CompletionTokensDetails,
        CustomCall,
        CustomToolCall,
        ErrorObject,
        FanoutReport,
        FinishReason,
        Function,
        JudgeReport,
        Logprobs,
        Message,
        ModelAttempt,
        PromptTokensDetails,
        Score,
        TokenLogprob,
        ToolCall,
        TopLogprob,
        Usage,
    )

    __version__: str

__all__ = [
    "AgreeReport",
    "Agreement",
    "AllFailed",
    "Audio",
    "Ballot",
    "Broken",
    "Cause",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatOptions",
    "CheckpointError",
    "Choice",
    "ChunkChoice",
    "ChunkIterator",
    "ChunkStream",
    "CompletionTokensDetails",
    "ConfigError",
    "ConfigProblems",
    "ContentFiltered",
    "ContextLengthExceeded",
    "CustomCall",
    "CustomToolCall",
    "DeadlineExceeded",
    "Delta",
    "DeltaFunction",
    "DeltaToolCall",
    "Deployments",
    "Embedding",
    "EmbeddingInput",
    "EmbeddingOptions",
    "EmbeddingResponse",
    "ErrorDetail",
    "ErrorObject",
    "FanoutError",
    "FanoutReport",
    "FinishReason",
    "Forbidden",
    "ForkedProcess",
    "Function",
    "GatewayError",
    "GatewayRequest",
    "GatewayUnreachable",
    "HTTPClient",
    "Internal",
    "Judge",
    "JudgeReport",
    "Logprobs",
    "Malformed",
    "Message",
    "MessageParam",
    "Messages",
    "MessagesOrLists",
    "MissingKey",
    "ModelAttempt",
    "ModelNotFound",
    "NotFound",
    "Overloaded",
    "Oversized",
    "ParsedChatCompletion",
    "ParsedChoice",
    "ParsedMessage",
    "PermissionDenied",
    "PromptTokensDetails",
    "ProviderError",
    "QuotaExceeded",
    "RateLimited",
    "Refused",
    "Rejected",
    "RequestError",
    "ResponseFormat",
    "SchemaMismatch",
    "Score",
    "Stagger",
    "StorageError",
    "StorageFull",
    "TimedOut",
    "TokenLogprob",
    "TooLarge",
    "ToolCall",
    "ToolParam",
    "TopLogprob",
    "Unauthorized",
    "UnknownModel",
    "Unreachable",
    "Unsupported",
    "UnsupportedCountry",
    "Usage",
    "abatch_completion",
    "abatch_completion_models",
    "abatch_completion_models_all_responses",
    "acompletion",
    "aembedding",
    "aopen_request",
    "batch_completion",
    "batch_completion_models",
    "batch_completion_models_all_responses",
    "completion",
    "embedding",
    "open_request",
    "stream_chunk_builder",
]

# The module of each name.
_MODULES = {
    "acompletion": "library.completion",
    "completion": "library.completion",
    "aembedding": "library.embedding",
    "embedding": "library.embedding",
    "EmbeddingInput": "library.embedding",
    "ChatCompletionChunk": "library.chunk_types",
    "ChunkChoice": "library.chunk_types",
    "Delta": "library.chunk_types",
    "DeltaFunction": "library.chunk_types",
    "DeltaToolCall": "library.chunk_types",
    "Embedding": "library.embedding_types",
    "EmbeddingResponse": "library.embedding_types",
    "abatch_completion": "library.batch",
    "batch_completion": "library.batch",
    "abatch_completion_models": "library.race",
    "batch_completion_models": "library.race",
    "abatch_completion_models_all_responses": "library.all_responses",
    "batch_completion_models_all_responses": "library.all_responses",
    "Agreement": "library.agreement",
    "Judge": "library.agreement",
    "ChatOptions": "library.options",
    "Deployments": "library.arguments",
    "Stagger": "library.arguments",
    "HTTPClient": "library.options",
    "MessageParam": "library.options",
    "Messages": "library.options",
    "MessagesOrLists": "library.options",
    "EmbeddingOptions": "library.options",
    "ResponseFormat": "library.options",
    "ToolParam": "library.options",
    "ParsedChatCompletion": "library.parsed_types",
    "ParsedChoice": "library.parsed_types",
    "ParsedMessage": "library.parsed_types",
    "CheckpointError": "library.errors",
    "ForkedProcess": "library.errors",
    "GatewayError": "library.errors",
    "GatewayUnreachable": "library.errors",
    "stream_chunk_builder": "library.chunk_builder",
    "GatewayRequest": "library.gateway_request",
    "aopen_request": "library.gateway_request",
    "open_request": "library.gateway_request",
    "ChunkIterator": "library.streams",
    "ChunkStream": "library.streams",
}


if not TYPE_CHECKING:  # a type checker sees the imports above, and rejects any other name

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("fanout-gateway")
        if name not in __all__:
            raise AttributeError(f"module `fanout` has no `{name}`")
        from importlib import import_module

        if (module := _MODULES.get(name)) is None:
            errors = import_module(".errors", __name__)
            module = "errors" if hasattr(errors, name) else "library.types"
        return getattr(import_module(f".{module}", __name__), name)


def __dir__() -> list[str]:
    return __all__
