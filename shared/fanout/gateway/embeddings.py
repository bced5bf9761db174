"""
One request for embeddings: its inputs in parts, sent at the same time, and their vectors in order.

Imported with the first one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ..concurrency import map_in_order
from ..config.catalog import Catalog
from ..config.deployment import Deployment
from ..endpoints.embeddings.division import Most, distinct, divide
from ..endpoints.embeddings.request import ONE_MODEL, EmbeddingRequest
from ..endpoints.embeddings.response import convert, is_converted
from ..errors import (
    ErrorDetail,
    Malformed,
    ProviderError,
    Rejected,
    RequestError,
    Unsupported,
    drop_tracebacks,
)
from ..errors.base import DeploymentName
from ..providers.embeddings import EmbeddingAPI
from ..routing.embeddings import api_of
from ..schema.embeddings import EmbeddingPart, Encoding, Vectors
from ..wire.vectors import BASE64_BYTES, TEXT_BYTES, NotAVector, width

UseVectors: TypeAlias = Callable[[int, Sequence[bytes]], Awaitable[None]]
"""Gets the index of the first input and the vectors from there on, in the client's form."""

MEGABYTE = 1_000_000

MAX_AHEAD = 128_000_000
"""Bytes of the vectors that a request may have in memory, by estimate, beside those repeated."""

MAX_CALLS = 100_000
"""The most calls that one request may need."""

MAX_HALVINGS = 3
"""How often a part is halved that its provider rejects as too large."""

TOO_LARGE = 413
"""The HTTP status of a request whose body is too large."""

# "max 300000 tokens per request", "max allowed tokens per submitted batch", "Too many tokens
# overall", "Too many inputs in request": errors of several vendors. 2026-11
_OF_ALL_INPUTS = re.compile(
    r"per request|per submitted batch|overall|too many (?:inputs|texts)|too large", re.IGNORECASE
)

ROOM = 0.85
"""The share of the size limit of a response that its vectors may take."""


class EmbeddingRun:
    """
    A request's run: `limit` is the most calls at a time.

    Raises `RequestError` for what embeddings cannot have, and `UnknownModel`.
    """

    def __init__(self, catalog: Catalog, request: EmbeddingRequest, limit: int) -> None:
        if request.model in catalog.routes.sets:
            raise RequestError(f"`{request.model}` stands for several models: {ONE_MODEL}", "model")
        self._request = request
        self._distinct = distinct(request.inputs)
        self._encoding, most, vector = _calls(catalog, request, len(request.inputs))
        self._parts = list(divide(self._distinct.inputs, most))
        if len(self._parts) > MAX_CALLS:
            raise RequestError(
                f"the request needs {len(self._parts)} calls; at most {MAX_CALLS} are accepted",
                "input",
            )
        room = MAX_AHEAD // (vector * max(map(len, self._parts)))
        self._ahead = max(2, min(2 * limit, room))
        self._width: int | None = None
        self._next = 0  # the next place of the request whose vector is not used yet
        self._kept: dict[int, bytes] = {}
        self._uses = dict(self._distinct.uses or {})
        self._tokens = 0

    async def send(
        self, call: Callable[[EmbeddingPart], Awaitable[Vectors]], use: UseVectors
    ) -> int:
        """Send all parts with `call`, each with its retries; returns the number of tokens."""

        async def send_part(numbers: range) -> tuple[range, Vectors]:
            try:
                return numbers, await self._converted(await self._vectors(call, numbers))
            except NotAVector as error:
                name = DeploymentName(self._request.model)
                raise Malformed(name, ErrorDetail(str(error))) from None

        async def use_part(found: tuple[range, Vectors]) -> None:
            numbers, vectors = found
            self._tokens += vectors.tokens or 0
            self._check_width(vectors.items)
            start, placed = self._next, self._placed(numbers, vectors.items)
            await use(start, placed)

        await map_in_order(send_part, self._parts, use_part, ahead=self._ahead)
        return self._tokens

    async def _vectors(
        self, call: Callable[[EmbeddingPart], Awaitable[Vectors]], numbers: range, halvings: int = 0
    ) -> Vectors:
        """
        The vectors of a part. If the provider rejects it as too large, its halves are sent.

        The tokens of a text are estimated, and some texts have more than usual.
        """
        try:
            return await call(self._part(numbers))
        except ProviderError as error:
            if halvings >= MAX_HALVINGS or len(numbers) == 1 or not _is_too_large(error):
                if len(self._parts) > 1 or halvings:
                    error.name_param(self._path(numbers))
                raise
        middle = (numbers.start + numbers.stop) // 2
        first = await self._vectors(call, range(numbers.start, middle), halvings + 1)
        second = await self._vectors(call, range(middle, numbers.stop), halvings + 1)
        return Vectors([*first.items, *second.items], (first.tokens or 0) + (second.tokens or 0))

    def _part(self, numbers: range) -> EmbeddingPart:
        request = self._request
        return EmbeddingPart(
            inputs=self._distinct.inputs[numbers.start : numbers.stop],
            dimensions=request.dimensions,
            input_type=request.input_type,
            user=request.user,
            encoding=self._encoding,
            additional_drop_params=request.additional_drop_params,
            allowed_openai_params=request.allowed_openai_params,
            body=request.body,
        )

    async def _converted(self, vectors: Vectors) -> Vectors:
        """The vectors in the client's form; to make it takes time, so a thread does that."""
        wanted = self._request.encoding
        if is_converted(vectors.items, wanted):
            return vectors
        items = await asyncio.to_thread(convert, vectors.items, wanted)
        return Vectors(items, vectors.tokens)

    def _check_width(self, vectors: Sequence[bytes]) -> None:
        """Raise `RequestError` if deployments of this model return vectors of several widths."""
        found = width(vectors[0])
        if self._width is None:
            self._width = found
        elif found != self._width:
            raise RequestError(
                f"the deployments of `{self._request.model}` return vectors of {self._width} and "
                f"of {found} numbers, so they are different models: give each a `model_name` of "
                "its own in the config",
                "model",
            )

    def _placed(self, numbers: range, vectors: Sequence[bytes]) -> Sequence[bytes]:
        """The vectors of all places up to the first that needs a later part; `_next` moves on."""
        places = self._distinct.places
        if places is None:
            self._next = numbers.stop
            return vectors
        placed: list[bytes] = []
        while self._next < len(places) and (number := places[self._next]) < numbers.stop:
            is_new = number >= numbers.start and number not in self._kept
            vector = vectors[number - numbers.start] if is_new else self._kept[number]
            placed.append(vector)
            self._next += 1
            self._keep(number, vector, is_new=is_new)
        return placed

    def _keep(self, number: int, vector: bytes, *, is_new: bool) -> None:
        """Keep the vector of an input that is in the request again, until its last place."""
        left = self._uses.get(number)
        if left is None:
            return
        if is_new:
            self._kept[number] = vector
        elif left > 1:
            self._uses[number] = left - 1
        else:
            del self._kept[number], self._uses[number]

    def _path(self, numbers: range) -> str:
        """The inputs of a part, as the client numbers them: the first place of each."""
        places = self._distinct.places
        first, last = numbers.start, numbers.stop - 1
        if places is not None:
            first, last = places.index(first), places.index(last)
        return f"input[{first}]" if first == last else f"input[{first}..{last}]"


def _is_too_large(error: ProviderError) -> bool:
    """Whether a provider has rejected a call for the size of all its inputs together."""
    if not isinstance(error, Rejected):
        return False
    return error.upstream == TOO_LARGE or _OF_ALL_INPUTS.search(error.detail.message) is not None


def most_of_calls(catalog: Catalog, request: EmbeddingRequest) -> Most:
    """The most of one call for requests with these fields, if there are many inputs."""
    return _calls(catalog, request, MAX_CALLS)[1]


def _calls(catalog: Catalog, request: EmbeddingRequest, count: int) -> tuple[Encoding, Most, int]:
    """The form in which vectors are requested, the most of one call, the bytes of a vector."""
    deployments = catalog.find(request.model)
    _check_same_model(deployments)
    apis = _apis(deployments)
    most_bytes = int(catalog.general.max_response_size_mb * MEGABYTE * ROOM)
    encoding = _encoding(request, apis, most_bytes, count)
    vector = _vector_bytes(request, apis, encoding)
    return encoding, _most(apis, max(1, most_bytes // vector)), vector


def _check_same_model(deployments: Sequence[Deployment]) -> None:
    """Raise `RequestError` if two deployments are certain to be different models."""
    models: dict[str, str] = {}
    for deployment in deployments:
        provider, options = deployment.provider, deployment.target.options
        if "deployments" in provider.named_in_address and "base_model" not in options:
            continue  # its deployments may have any names
        model = options.get("base_model", deployment.target.model)
        other = models.setdefault(provider.name, model)
        if other != model:
            raise RequestError(
                f"the deployments of `{deployment.name}` are different models (`{other}`, "
                f"`{model}`), whose vectors cannot be compared: give each a `model_name` of its "
                "own in the config",
                "model",
            )


def _apis(deployments: Sequence[Deployment]) -> list[EmbeddingAPI]:
    """The APIs of those deployments that have one; raises `Unsupported` if none has."""
    found: list[EmbeddingAPI] = []
    reason: Unsupported | None = None
    for deployment in deployments:
        try:
            found.append(api_of(deployment))
        except Unsupported as error:
            reason = reason or drop_tracebacks(error)
    if reason is not None and not found:
        raise reason
    return found


def _encoding(
    request: EmbeddingRequest, apis: Sequence[EmbeddingAPI], most_bytes: int, count: int
) -> Encoding:
    """
    The form in which providers are asked for the vectors: the client's, if that fits.

    Lists of numbers take four times the bytes of base64, so a large part is requested in base64.
    """
    if request.encoding == "base64" or not all(api.has_base64 for api in apis):
        return request.encoding
    count = min(count, *(api.limits.inputs for api in apis))
    is_large = count * _vector_bytes(request, apis, "float") > most_bytes
    return "base64" if is_large else "float"


def _vector_bytes(
    request: EmbeddingRequest, apis: Sequence[EmbeddingAPI], encoding: Encoding
) -> int:
    """The bytes of one vector in a response of a provider, by estimate."""
    numbers = request.dimensions or max(api.width for api in apis)
    in_base64 = encoding == "base64" and all(api.has_base64 for api in apis)
    return int(numbers * (BASE64_BYTES if in_base64 else TEXT_BYTES)) + 64


def _most(apis: Sequence[EmbeddingAPI], by_size: int) -> Most:
    """The most of one call, whichever deployment gets it."""
    tokens = [api.limits.tokens for api in apis if api.limits.tokens]
    sizes = [api.limits.bytes for api in apis if api.limits.bytes]
    return Most(
        min(by_size, *(api.limits.inputs for api in apis)),
        min(tokens, default=None),
        min(sizes, default=None),
    )
