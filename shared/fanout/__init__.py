"""
One prompt to many models, many prompts to one model: an OpenAI-compatible gateway.

The functions of LiteLLM's batch-completion page, each with an `a…` twin. They are imported when
they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import AllFailed, FanoutError, ProviderError, RequestError
    from .library.functions import (
        abatch_completion,
        abatch_completion_models,
        abatch_completion_models_all_responses,
        acompletion,
        batch_completion,
        batch_completion_models,
        batch_completion_models_all_responses,
        completion,
    )

__all__ = [
    "AllFailed",
    "FanoutError",
    "ProviderError",
    "RequestError",
    "abatch_completion",
    "abatch_completion_models",
    "abatch_completion_models_all_responses",
    "acompletion",
    "batch_completion",
    "batch_completion_models",
    "batch_completion_models_all_responses",
    "completion",
]

_ERRORS = frozenset({"AllFailed", "FanoutError", "ProviderError", "RequestError"})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module `fanout` has no `{name}`")
    from importlib import import_module

    return getattr(
        import_module(".errors" if name in _ERRORS else ".library.functions", __name__), name
    )


def __dir__() -> list[str]:
    return __all__
