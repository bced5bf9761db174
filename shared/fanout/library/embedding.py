"""`embedding` and `aembedding`: the vectors of texts, with LiteLLM's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, Unpack

from ..config.catalog import Catalog
from ..endpoints.embeddings.request import parse_request
from ..gateway.factory import make_transport
from ..gateway.gateway import Gateway
from ..routing.router import Router
from ..settings import Settings
from ..telemetry.observers import NullObserver
from ..wire import json
from .background_loop import background_loop
from .call import new_context
from .deployments import ADDRESS, of_models
from .embedding_types import Embedding, EmbeddingResponse
from .engines import client_of, engine_of
from .inputs import plain
from .openai_errors import openai_errors
from .option_checks import check_names, check_timeout
from .options import AddressOptions, EmbeddingOptions, EmbeddingParameters, TimeOptions
from .signatures import shows_embedding_options
from .types import Usage

EmbeddingInput: TypeAlias = str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]
"""A text, its tokens, or a list of either."""

NAMED = (EmbeddingParameters, AddressOptions, TimeOptions)
"""The options that the functions name, which LiteLLM's callers may give by position."""

_NAMES = frozenset(name for kind in NAMED for name in kind.__annotations__)


@shows_embedding_options
async def aembedding(  # noqa: PLR0913, PLR0917 -- LiteLLM's parameters, in its order
    model: str,
    input: EmbeddingInput,  # noqa: A002 -- LiteLLM's and OpenAI's name
    dimensions: int | None = None,
    encoding_format: Literal["float", "base64"] | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 -- a field of the request, which has retries
    api_base: str | None = None,
    api_version: str | None = None,
    api_key: str | None = None,
    *,
    input_type: str | None = None,
    user: str | None = None,
    num_retries: int | None = None,
    **options: Unpack[EmbeddingOptions],
) -> EmbeddingResponse:
    """
    Return a vector for each input, in order: of numbers, or in base64 if that is asked for.

    Any number of inputs is divided by the provider's limits and sent at the same time. A vendor's
    own fields are sent, too; a name that is nearly an option's is rejected as a typing error.

    Raises `RequestError` if the request is wrong, and a `ProviderError` if a call fails.
    """
    given = {
        "dimensions": dimensions,
        "encoding_format": encoding_format,
        "timeout": timeout,
        "api_base": api_base,
        "api_version": api_version,
        "api_key": api_key,
        "input_type": input_type,
        "user": user,
        "num_retries": num_retries,
    }
    with openai_errors():
        check_names(options, _NAMES)
        check_timeout(given)
        return await _response(model, input, {**given, **options})


@shows_embedding_options
def embedding(  # noqa: PLR0913, PLR0917 -- the same
    model: str,
    input: EmbeddingInput,  # noqa: A002
    dimensions: int | None = None,
    encoding_format: Literal["float", "base64"] | None = None,
    timeout: float | None = None,
    api_base: str | None = None,
    api_version: str | None = None,
    api_key: str | None = None,
    *,
    input_type: str | None = None,
    user: str | None = None,
    num_retries: int | None = None,
    **options: Unpack[EmbeddingOptions],
) -> EmbeddingResponse:
    """
    Return a vector for each input, in order: of numbers, or in base64 if that is asked for.

    Any number of inputs is divided by the provider's limits and sent at the same time. A vendor's
    own fields are sent, too; a name that is nearly an option's is rejected as a typing error.

    Raises `RequestError` if the request is wrong, and a `ProviderError` if a call fails.
    """
    call = aembedding(
        model,
        input,
        dimensions,
        encoding_format,
        timeout,
        api_base,
        api_version,
        api_key,
        input_type=input_type,
        user=user,
        num_retries=num_retries,
        **options,
    )
    return background_loop().run(call)


async def _response(model: str, inputs: object, options: Mapping[str, Any]) -> EmbeddingResponse:
    given = {name: value for name, value in options.items() if value is not None}
    client = client_of(given)
    if "base_url" in given:  # LiteLLM's other name for it
        given.setdefault("api_base", given.pop("base_url"))
    address = {name: given.pop(name) for name in ADDRESS if name in given}
    request = parse_request({"model": model, "input": plain(inputs), **plain(given)})
    settings = Settings.read()
    groups = of_models([request.model], {}, address, settings.env)
    catalog = Catalog(groups=groups, env=settings.env)
    router = Router(catalog, make_transport(settings, engine_of(client)), observer=NullObserver())
    found: list[Embedding] = []

    async def add(start: int, vectors: Sequence[bytes]) -> None:
        for index, vector in enumerate(vectors, start):
            found.append(
                Embedding.model_construct(
                    object="embedding", index=index, embedding=json.decode(vector)
                )
            )

    tokens = await Gateway(catalog, router).embed(request, new_context(), add)
    usage = Usage(prompt_tokens=tokens, completion_tokens=0, total_tokens=tokens)
    return EmbeddingResponse.model_construct(
        object="list", data=found, model=request.model, usage=usage
    )
