"""The arguments that several functions share, checked, and the list that they return."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from ..concurrency import Failure, Outcome
from ..errors import FanoutError, Internal, RequestError
from .openai_errors import as_openai

T = TypeVar("T")

Deployments: TypeAlias = Sequence[Mapping[str, Any]]
"""LiteLLM's `litellm_params`, each with a `model`."""

Stagger: TypeAlias = float | Literal["p95"]
"""Seconds until the next model starts, or as long as a model needs in 95 % of its calls."""

MAX_PARALLEL = 400
"""Calls in flight by default; LiteLLM's 100 is a limit of its threads."""


def model_names(models: object, deployments: Deployments | None) -> list[str]:
    """The models' names: of a list, of one name, or of LiteLLM's comma-separated string."""
    if deployments is not None:
        return [_deployments_model(index, entry) for index, entry in enumerate(deployments)]
    found = models.split(",") if isinstance(models, str) else models
    if not isinstance(found, Sequence):
        raise RequestError("give `models=[…]` (or `deployments=[…]`)", "models")
    names = [name.strip() if isinstance(name, str) else "" for name in found]
    if not all(names):
        raise RequestError("`models`: each must be named, such as `gpt-4o`", "models")
    return names


def _deployments_model(index: int, entry: object) -> str:
    place = f"deployments[{index}]"
    if not isinstance(entry, Mapping):
        raise RequestError(f'`{place}` must be a dict such as `{{"model": "gpt-4o"}}`', place)
    name = entry.get("model")
    if isinstance(name, str) and name.strip():
        return name.strip()
    from difflib import get_close_matches  # few entries lack it

    near = [] if "model" in entry else get_close_matches("model", map(str, entry), 1)
    hint = f"; is `{near[0]}` a misspelling of it?" if near else ', such as `{"model": "gpt-4o"}`'
    raise RequestError(f"`{place}.model` is missing{hint}", f"{place}.model")


def check_workers(max_workers: object) -> None:
    """Raise `RequestError` unless it is a whole number from 1."""
    if isinstance(max_workers, bool) or not isinstance(max_workers, int) or max_workers < 1:
        raise RequestError("`max_workers` must be a whole number from 1", "max_workers")


def check_conversations(messages: object) -> None:
    """Raise `RequestError` unless it may be an iterable of conversations."""
    if isinstance(messages, str | bytes | Mapping) or not isinstance(
        messages, Iterable | AsyncIterable
    ):
        raise RequestError("`messages` must be a list of conversations", "messages")
    if isinstance(messages, Sequence) and messages and not isinstance(messages[0], Sequence):
        raise RequestError(
            "`messages` is one conversation; give a list of conversations: `[[{…}], [{…}]]`",
            "messages",
        )


def check_synchronous(messages: Iterable[T]) -> None:
    """Raise `TypeError` for an asynchronous iterator, which a plain function cannot read."""
    if isinstance(messages, AsyncIterable) and not isinstance(messages, Iterable):
        kind = type(messages).__name__
        raise TypeError(f"`messages` is an `{kind}`: use `await abatch_completion(…)` with it")


async def each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """The items, one after another."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def in_place(outcomes: Sequence[Outcome[T]]) -> list[T | FanoutError]:
    """Each call's value or, in its place, its error."""
    return [_error(one.error) if isinstance(one, Failure) else one.value for one in outcomes]


def _error(error: Exception) -> FanoutError:
    if isinstance(error, FanoutError):
        return as_openai(error)
    bug = Internal()
    bug.__cause__ = error
    return as_openai(bug)
