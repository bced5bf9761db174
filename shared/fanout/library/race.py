"""`batch_completion_models` and `abatch_completion_models`: one response of many models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack, overload

from pydantic import BaseModel

from ..errors import RequestError
from .agreement import Agreement, Judge, decision_rules
from .arguments import Deployments, Stagger, model_names
from .background_loop import background_loop
from .call import Call
from .openai_errors import openai_errors
from .options import ChatOptions, Messages, ResponseFormat
from .parsed_types import ParsedChatCompletion, ParsedT
from .signatures import shows_options
from .streams import ChunkIterator, ChunkStream, iterable
from .types import ChatCompletion


@overload
async def abatch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    stream: Literal[True],
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChunkStream: ...


@overload
async def abatch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    stream: Literal[False] | None = None,
    response_format: type[ParsedT],
    **options: Unpack[ChatOptions],
) -> ParsedChatCompletion[ParsedT]: ...


@overload
async def abatch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    stream: Literal[False] | None = None,
    response_format: ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChatCompletion: ...


@overload
async def abatch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    stream: bool | None,
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChatCompletion | ChunkStream: ...


@shows_options
async def abatch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    **options: Any,
) -> ChatCompletion | ChunkStream:
    """
    Send the conversation to every model and return the fastest response; cancel the other calls.

    A model that fails is skipped while others are running. Without `stream`, the first complete
    response wins; with `stream=True`, the first content does. `stagger` starts each next model
    after so many seconds (`"p95"`: when the last one is slower than in 95 % of its recent calls in
    this process), or at once when one fails. `deployments` are LiteLLM's `litellm_params`,
    each with a `model`, and replace `models`. The response's `fanout` field reports what each
    model did.

    With `agree=2`, the response is sent as soon as two models agree, by their text or JSON, and the
    others are cancelled or not called; a dict (`Agreement`) has more rules. If they do not agree,
    the message has no content, its `refusal` says so, and `fanout.agree.decided` is false.

    With `best="gpt-4o"`, that model reads all responses, and the one that it prefers is returned;
    with `merge`, it writes one response from all. A dict (`Judge`) has your criteria, too. If the
    judge fails, the first response is returned, and `fanout.judge` says so.

    Raises `AllFailed`, with every cause in order, if every model fails.
    """
    with openai_errors():
        names = model_names(models, deployments)
        if not names:
            raise RequestError("a race needs at least one model", "models")
        rules = decision_rules(names, agree=agree, best=best, merge=merge)
        if rules and stagger is not None:
            raise RequestError(f"`stagger` cannot be used with `{rules['mode']}`", "stagger")
        call = Call(names, options, deployments, mode="race", stagger=stagger, decision=rules)
        return await (call.open_stream(messages) if call.stream else call.response(messages))


@overload
def batch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    stream: Literal[True],
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChunkIterator: ...


@overload
def batch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    stream: Literal[False] | None = None,
    response_format: type[ParsedT],
    **options: Unpack[ChatOptions],
) -> ParsedChatCompletion[ParsedT]: ...


@overload
def batch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    stream: Literal[False] | None = None,
    response_format: ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChatCompletion: ...


@overload
def batch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    stream: bool | None,
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChatCompletion | ChunkIterator: ...


@shows_options
def batch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    stagger: Stagger | None = None,
    agree: int | Agreement | None = None,
    best: str | Judge | None = None,
    merge: str | Judge | None = None,
    **options: Any,
) -> ChatCompletion | ChunkIterator:
    """
    Send the conversation to every model and return the fastest response; cancel the other calls.

    A model that fails is skipped while others are running. Without `stream`, the first complete
    response wins; with `stream=True`, the first content does. `stagger` starts each next model
    after so many seconds (`"p95"`: when the last one is slower than in 95 % of its recent calls in
    this process), or at once when one fails. `deployments` are LiteLLM's `litellm_params`,
    each with a `model`, and replace `models`. The response's `fanout` field reports what each
    model did.

    With `agree=2`, the response is sent as soon as two models agree, by their text or JSON, and the
    others are cancelled or not called; a dict (`Agreement`) has more rules. If they do not agree,
    the message has no content, its `refusal` says so, and `fanout.agree.decided` is false.

    With `best="gpt-4o"`, that model reads all responses, and the one that it prefers is returned;
    with `merge`, it writes one response from all. A dict (`Judge`) has your criteria, too. If the
    judge fails, the first response is returned, and `fanout.judge` says so.

    Raises `AllFailed`, with every cause in order, if every model fails.
    """
    call = abatch_completion_models(
        models,
        messages,
        deployments=deployments,
        stagger=stagger,
        agree=agree,
        best=best,
        merge=merge,
        **options,
    )
    return background_loop().run(iterable(call))
