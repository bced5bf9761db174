"""The signatures that `help()`, editors and notebooks show: each option by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar

from .options import ChatOptions, ControlOptions, EmbeddingOptions

F = TypeVar("F", bound=Callable[..., Any])


def shows_options(function: F) -> F:
    """The same function; its `__signature__` has the named options before its `**options`."""
    return _shown(function, {**ControlOptions.__annotations__, **ChatOptions.__annotations__})


def shows_embedding_options(function: F) -> F:
    """The same for `EmbeddingOptions`."""
    return _shown(function, EmbeddingOptions.__annotations__)


def _shown(function: F, kinds: Mapping[str, Any]) -> F:
    known = signature(function)
    *own, rest = known.parameters.values()
    named = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind.__forward_arg__)
        for name, kind in kinds.items()
    ]
    described: Any = function
    described.__signature__ = Signature(
        [*own, *named, rest], return_annotation=known.return_annotation
    )
    return function
