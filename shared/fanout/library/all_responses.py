"""`batch_completion_models_all_responses` and its async twin: one response of every model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack, overload

from pydantic import BaseModel

from ..concurrency import map_all
from ..errors import FanoutError
from .arguments import MAX_PARALLEL, Deployments, check_workers, in_place, model_names
from .background_loop import background_loop
from .call import Call
from .openai_errors import openai_errors
from .options import ChatOptions, Messages, ResponseFormat
from .parsed_types import ParsedChatCompletion, ParsedT
from .signatures import shows_options
from .streams import ChunkIterator, ChunkStream, iterables
from .types import ChatCompletion


@overload
async def abatch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    stream: Literal[True],
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChunkStream]: ...


@overload
async def abatch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    stream: Literal[False] | None = None,
    response_format: type[ParsedT],
    **options: Unpack[ChatOptions],
) -> list[ParsedChatCompletion[ParsedT] | FanoutError]: ...


@overload
async def abatch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    stream: Literal[False] | None = None,
    response_format: ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChatCompletion | FanoutError]: ...


@overload
async def abatch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    stream: bool | None,
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChatCompletion | FanoutError] | list[ChunkStream]: ...


@shows_options
async def abatch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    **options: Any,
) -> Sequence[ChatCompletion | FanoutError | ChunkStream]:
    """
    Send the conversation to every model and return one response for each, in the models' order.

    The response of a model that fails is its exception. With `stream=True` each response is a
    stream, which sends its request when it is first read. `deployments` are LiteLLM's
    `litellm_params`, each with a `model`, and replace `models`.
    """
    with openai_errors():
        check_workers(max_workers)
        names = model_names(models, deployments)
        calls = [
            Call([name], options, None if deployments is None else [deployments[index]])
            for index, name in enumerate(names)
        ]
        if options.get("stream"):
            return [call.lazy_stream(messages) for call in calls]
        outcomes = await map_all(lambda call: call.response(messages), calls, limit=max_workers)
        return in_place(outcomes)


@overload
def batch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    stream: Literal[True],
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChunkIterator]: ...


@overload
def batch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    stream: Literal[False] | None = None,
    response_format: type[ParsedT],
    **options: Unpack[ChatOptions],
) -> list[ParsedChatCompletion[ParsedT] | FanoutError]: ...


@overload
def batch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    stream: Literal[False] | None = None,
    response_format: ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChatCompletion | FanoutError]: ...


@overload
def batch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    stream: bool | None,
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChatCompletion | FanoutError] | list[ChunkIterator]: ...


@shows_options
def batch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    **options: Any,
) -> Sequence[ChatCompletion | FanoutError | ChunkIterator]:
    """
    Send the conversation to every model and return one response for each, in the models' order.

    The response of a model that fails is its exception. With `stream=True` each response is an
    iterator of chunks, which sends its request when it is first read. `deployments` are LiteLLM's
    `litellm_params`, each with a `model`, and replace `models`.
    """
    call = abatch_completion_models_all_responses(
        models, messages, deployments=deployments, max_workers=max_workers, **options
    )
    return background_loop().run(iterables(call))
