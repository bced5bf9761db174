"""The signatures that `help()`, editors and notebooks show: each option by name."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar

from .options import ChatOptions

F = TypeVar("F", bound=Callable[..., Any])

CONTROL = {
    "stream": "bool | None",
    "response_format": "type[BaseModel] | ResponseFormat | None",
}
"""The two options that the overloads name, and their types."""


def shows_options(function: F) -> F:
    """The same function; its `__signature__` has the named options before its `**options`."""
    known = signature(function)
    *own, rest = known.parameters.values()
    texts = {name: kind.__forward_arg__ for name, kind in ChatOptions.__annotations__.items()}
    named = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=text)
        for name, text in (CONTROL | texts).items()
    ]
    described: Any = function
    described.__signature__ = Signature(
        [*own, *named, rest], return_annotation=known.return_annotation
    )
    return function
