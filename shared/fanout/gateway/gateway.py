"""
The gateway: gets the response to a checked request, in any mode. One instance serves all requests.

It decides which models run, how they compete and how their responses are combined.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..concurrency import Deadline, Failure, FairLimiter, Success, map_all
from ..config.catalog import Catalog, ClientKey
from ..config.deployment import Deployment
from ..errors import AllFailed, Cause, RequestError, UnknownModel
from ..routing.leg import Leg
from ..routing.router import Router
from ..schema.chat import ChatCompletion
from ..schema.fanout import FanOutRequest
from ..schema.gateway_fields import Mode
from ..wire.http import WireRequest, WireResponse
from .conversation import ConversationRunner, ShareTimes
from .report import all_dropped, is_undecided, reported_mode, winners_dropped
from .run import Context, GatewayResponse, GridCell, Host, ResponseStream, Run, random_id

if TYPE_CHECKING:
    from ..endpoints.embeddings.request import EmbeddingRequest
    from ..routing.first_token_times import FirstTokenTimes
    from ..schema.embeddings import EmbeddingPart, Vectors
    from ..transport.engine import Incoming
    from .embeddings import UseVectors


def prepare(catalog: Catalog, request: FanOutRequest, client: ClientKey) -> FanOutRequest:
    """
    The request with the models of a name that stands for several; see `ModelSet`.

    Raises `Forbidden` for what the client may not send. The router checks every call; this check is
    before the first one, so that one error names the field.
    """
    if client.is_limited or not request.is_text:
        from .authorization import check_request

        check_request(client, request, catalog.general)
    return _expand(catalog, request)


def _expand(catalog: Catalog, request: FanOutRequest) -> FanOutRequest:
    sets = catalog.routes.sets
    if not sets or sets.keys().isdisjoint(request.models):
        return request
    from .aliases import expanded

    return expanded(request, sets)


class Gateway:
    """Gets responses, whole or streamed. All its calls share the slots of `limiter`, if given."""

    def __init__(
        self,
        catalog: Catalog,
        router: Router,
        *,
        now: Callable[[], float] = time.time,
        limiter: FairLimiter | None = None,
    ) -> None:
        self.catalog = catalog
        self._limiter = limiter
        self._router = router
        self._host = Host(catalog, ConversationRunner(router, catalog), limiter, now)

    async def chat(self, request: FanOutRequest, context: Context) -> GatewayResponse:
        """The whole response; raises `AllFailed`, a single model's error or `DeadlineExceeded`."""
        run = Run(self._host, self._resolve(request, context.client), context)
        if run.request.combined:
            return await _chat_all(run)
        cell = run.grid()[0]
        return _response(run, cell, await run.chat(cell))

    @asynccontextmanager
    async def stream(
        self, request: FanOutRequest, context: Context
    ) -> AsyncIterator[ResponseStream]:
        """The response as a stream; the block starts when its first content is there."""
        from .streams import stream

        run = Run(self._host, self._resolve(request, context.client), context)
        async with stream(run) as opened:
            yield opened

    def share_times(self, share: ShareTimes) -> None:
        """Have `share` share the times of adaptive hedges with other processes; it gets them."""
        self._host.runner.share_times = share

    def use_times(self, times: FirstTokenTimes) -> None:
        """Let adaptive hedges go by these times, which other gateways may use, too."""
        self._host.runner.times = times

    def prepare(self, request: FanOutRequest, client: ClientKey) -> FanOutRequest:
        """See `prepare`."""
        return prepare(self.catalog, request, client)

    def mode_of(self, request: FanOutRequest, client: ClientKey) -> Mode:
        """The mode of a request: that of one model with fallbacks is `fallback`."""
        return self._with_fallbacks(request, client).mode

    def divide(self) -> None:
        """Divide the slots among keys from now on: there are several."""
        if self._limiter is not None:
            self._limiter.divided = True

    async def embed(
        self,
        request: EmbeddingRequest,
        context: Context,
        use: UseVectors,
        note: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> int:
        """
        Get the vectors of all inputs; `use` gets them in order, some at a time.

        `note` gets the fields that are left out of each call, before its vectors are used.
        Returns the number of tokens. Raises the error of the first call that failed for good.
        """
        from .embeddings import EmbeddingRun  # few processes serve them

        options = request.options
        run = Run(self._host, options, context)
        parts = EmbeddingRun(self.catalog, request, run.limit)
        leg = partial(
            Leg,
            request.model,
            context.request_id,
            retries=options.num_retries,
            deadline=run.deadline,
            slots=run.slots(),
            drop_params=options.drop_params,
            client=context.client,
            watcher=context.watcher,
        )

        async def call(part: EmbeddingPart) -> Vectors:
            one = leg()
            vectors = await self._router.embed(one, part)
            note(one.dropped)
            return vectors

        try:
            with Deadline(run.deadline):
                return await parts.send(call, use)
        except TimeoutError:
            raise run.late() from None

    async def exchange(self, deployment: Deployment, wire: WireRequest) -> WireResponse:
        """The response, of any status, to a request of another API than chat; it is sent once."""
        return await self._router.exchange(deployment, wire)

    def open(
        self, deployment: Deployment, wire: WireRequest
    ) -> AbstractAsyncContextManager[Incoming]:
        """The response to such a request as it arrives, of any size."""
        return self._router.open(deployment, wire)

    def _resolve(self, request: FanOutRequest, client: ClientKey | None) -> FanOutRequest:
        """Reject unknown model names; turn a single model with fallbacks into mode `fallback`."""
        request = _expand(self.catalog, request)
        if request.agree is not None:
            request.agree.check_models()
        for name in request.names:
            self.catalog.find(name)
        if request.agree is not None and request.agree.confidence is not None:
            from .possible_votes import vote_count

            vote_count(request.agree, request.conversations[0], request.models, self.catalog)
        if request.check is not None:
            self._check_names(request.check.escalate, "fanout.escalate")
        if request.is_adaptive:
            from .hedge_delays import other_providers_first

            request = other_providers_first(request, self.catalog)
        if request.judging is not None:
            self._check_names([request.judging.judge], "fanout.judge")
        return self._fit_bound(self._with_fallbacks(request, client), client)

    def _with_fallbacks(self, request: FanOutRequest, client: ClientKey | None) -> FanOutRequest:
        if request.mode != "one":
            return request
        fallbacks = self._host.runner.calls.fallbacks_of(request, request.models[0], client)
        if not fallbacks:
            return request
        models = (*request.models, *fallbacks)
        return replace(request, mode="fallback", models=models, stagger=None, fallbacks={})

    def _fit_bound(self, request: FanOutRequest, client: ClientKey | None) -> FanOutRequest:
        if not request.is_bound:
            return request
        from .bound_requests import fit_bound  # few requests have encrypted reasoning

        further = (
            self._host.runner.calls.fallbacks_of(request, one, client) for one in request.names
        )
        names = self.catalog.routes.with_special(sorted(request.names.union(*further)))
        return fit_bound(request, [one for name in names for one in self.catalog.find(name)])

    def _check_names(self, names: Iterable[str], param: str) -> None:
        """Raise `RequestError` for a name that the catalog does not have."""
        for name in names:
            try:
                self.catalog.find(name)
            except UnknownModel as error:
                raise RequestError(f"`{param}`: {error}", param) from None


def _response(run: Run, cell: GridCell, completion: ChatCompletion) -> GatewayResponse:
    """The response to a request with one conversation, with what is known of the winner's call."""
    winner = None if is_undecided(completion) else completion["model"]
    body, mode = run.complete(completion), reported_mode(completion, run.request.mode)
    dropped = winners_dropped((*cell.legs, *cell.further), completion)
    return GatewayResponse(body, mode, winner, dropped)


async def _chat_all(run: Run) -> GatewayResponse:
    from .combine import CellResult, combined_response, list_response

    grid, request = run.grid(), run.request
    outcomes = await map_all(run.chat, grid, limit=run.limit)
    results = [
        CellResult(
            models=cell.models,
            completion=outcome.value if isinstance(outcome, Success) else None,
            error=outcome.error if isinstance(outcome, Failure) else None,
            elapsed=outcome.elapsed,
            cost=cell.cost,
            report=cell.report,
        )
        for cell, outcome in zip(grid, outcomes, strict=True)
    ]
    if not any(result.completion for result in results):
        raise AllFailed([Cause(one.label, one.error) for one in results if one.error])
    dropped = all_dropped(leg for cell in grid for leg in (*cell.legs, *cell.further))
    if request.shape == "list":
        width = len(request.models) if request.mode == "all" else 1
        listed = list_response(results, run.complete, width if request.nested else None)
        return GatewayResponse(listed, request.mode, dropped=dropped)
    body = combined_response(results, request)
    body |= {"id": random_id(), "created": run.created}
    return GatewayResponse(body, request.mode, dropped=dropped)
