"""
The gateway: gets the response to a checked request, in any mode. One instance serves all requests.

It decides which models run, how they compete and how their responses are combined. Only here are
missing ids and times added to responses.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from ..concurrency import (
    Deadline,
    Failure,
    FairLimiter,
    Success,
    map_all,
    merge_streams,
    prepend,
    with_deadline,
)
from ..config.catalog import Catalog, ClientKey
from ..config.deployment import Deployment
from ..errors import AllFailed, Cause, DeadlineExceeded, RequestError, UnknownModel
from ..routing.leg import HeldSlots, Leg, Watcher
from ..routing.router import Router
from ..schema.chat import ChatChunk, ChatCompletion, has_content
from ..schema.fanout import FanOutRequest, Mode, Report
from ..schema.request import ChatRequest
from ..secret import HiddenRepr
from ..wire.http import WireRequest, WireResponse
from .conversation import (
    CellRace,
    ConversationRunner,
    GridCell,
    ShareTimes,
    make_grid,
)
from .report import is_undecided, make_report

if TYPE_CHECKING:
    from ..endpoints.embeddings.request import EmbeddingRequest
    from .checked_cell import CheckedCell
    from .embeddings import UseVectors

T = TypeVar("T")


class Context(Struct, frozen=True, gc=False):
    """
    A request's id, its client, its `deadline` (s from now) and its watcher.

    Without a client, the user of this process has called; nothing is forbidden. If no call can
    start within `patience` seconds, the request fails with `Busy`; without it, it waits.
    `deadline_hint` is what to do if `deadline` was too short. If there is a `held`, it holds the
    slots of the call whose response is used, unless the request has several responses. A `pace` (a
    `checked_cell.Pace`) makes the calls of a checked request; then each has the request's time. A
    `judge_pace` makes those of a judge.
    With `flex`, calls for whole responses are on the flex tier of the deployments that have one.
    """

    request_id: str
    client: ClientKey | None = None
    deadline: float | None = None
    watcher: Watcher | None = None
    patience: float | None = None
    deadline_hint: str = ""
    held: HeldSlots | None = None
    pace: Any = None
    judge_pace: Any = None
    flex: bool = False

    @property
    def share_key(self) -> str:
        """Whose share of the slots counts: a client's requests and its jobs have one each."""
        if self.client is None:
            return ""
        return self.client.name if self.patience is not None else f"{self.client.name}\njobs"


class GatewayResponse(HiddenRepr, frozen=True):
    """
    A whole response: its JSON body (an object, or LiteLLM's list), its mode and its winner.

    `dropped` names what was not sent of the winner's request, or was adapted. `passed_through`:
    the winner got the client's original request, of another API.
    """

    body: dict[str, Any] | list[Any]
    mode: Mode
    winner: str | None = None
    dropped: tuple[str, ...] = ()
    passed_through: bool = False


class ResponseStream(Struct, frozen=True):
    """A streamed response whose first content is there; `dropped` is as for a whole one."""

    chunks: AsyncIterator[ChatChunk]
    mode: Mode
    winner: str | None = None
    dropped: tuple[str, ...] = ()
    passed_through: bool = False


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
        self._runner = ConversationRunner(router, catalog)
        self._now = now

    async def chat(self, request: FanOutRequest, context: Context) -> GatewayResponse:
        """The whole response; raises `AllFailed`, a single model's error or `DeadlineExceeded`."""
        request = self._resolve(request, context.client)
        deadline = _clock() + self._time_limit(request, context)
        if request.combined:
            return await self._chat_all(request, context, deadline)
        cell = self._grid(request, context, deadline)[0]
        completion = await self._chat_cell(request, context, deadline, cell)
        winner = None if is_undecided(completion) else completion["model"]
        legs = [one.latest for one in cell.legs if one.responding_model == winner]
        leg, body = legs[0] if legs else cell.legs[0], self._complete(completion)
        return GatewayResponse(body, request.mode, winner, leg.dropped, leg.passed_through)

    @asynccontextmanager
    async def stream(
        self, request: FanOutRequest, context: Context
    ) -> AsyncIterator[ResponseStream]:
        """The response as a stream; the block starts when its first content is there."""
        request = self._resolve(request, context.client)
        run = self._stream_all if request.combined else self._stream_one
        deadline = _clock() + self._time_limit(request, context)
        async with run(request, context, deadline) as stream:
            yield stream

    def share_times(self, share: ShareTimes) -> None:
        """Have `share` share the times of adaptive hedges with other processes; it gets them."""
        self._runner.share_times = share

    def prepare(self, request: FanOutRequest, client: ClientKey) -> FanOutRequest:
        """
        The request with the models of a name that stands for several; see `ModelSet`.

        Raises `Forbidden` for what the client may not send. The router checks every call; this
        check is before the first one, so that one error names the field.
        """
        if client.is_limited or not request.is_text:
            from .authorization import check_request

            check_request(client, request, self.catalog.general)
        return self._expand(request)

    def _expand(self, request: FanOutRequest) -> FanOutRequest:
        sets = self.catalog.routes.sets
        if not sets or sets.keys().isdisjoint(request.models):
            return request
        from .aliases import expanded

        return expanded(request, sets)

    def divide(self) -> None:
        """Divide the slots among keys from now on: there are several."""
        if self._limiter is not None:
            self._limiter.divided = True

    async def embed(self, request: EmbeddingRequest, context: Context, use: UseVectors) -> int:
        """
        Get the vectors of all inputs; `use` gets them in order, some at a time.

        Returns the number of tokens. Raises the error of the first call that failed for good.
        """
        from .embeddings import EmbeddingRun  # few processes serve them

        options, limit = request.options, self._limit(request.options)
        deadline = _clock() + self._time_limit(options, context)
        run = EmbeddingRun(self.catalog, request, limit)
        slots: AbstractAsyncContextManager[object] = (
            asyncio.Semaphore(limit)
            if self._limiter is None
            else self._limiter.share(limit, context.share_key, context.patience)
        )
        leg = partial(
            Leg,
            request.model,
            context.request_id,
            retries=options.num_retries,
            deadline=deadline,
            slots=slots,
            drop_params=options.drop_params,
            client=context.client,
            watcher=context.watcher,
        )
        try:
            with Deadline(deadline):
                return await run.send(lambda part: self._router.embed(leg(), part), use)
        except TimeoutError:
            raise self._deadline_error(options, context) from None

    async def exchange(self, deployment: Deployment, wire: WireRequest) -> WireResponse:
        """The response, of any status, to a request of another API than chat; it is sent once."""
        return await self._router.exchange(deployment, wire)

    # ---- whole responses ----

    async def _chat_cell(
        self, request: FanOutRequest, context: Context, deadline: float, cell: GridCell
    ) -> ChatCompletion:
        """One cell's response; each cell has the deadline of its own, so the others are kept."""
        if context.pace is not None and request.check is not None:
            return await self._runner.chat(request, cell)
        try:
            with Deadline(deadline):
                return await self._runner.chat(request, cell)
        except TimeoutError:
            late = self._deadline_error(request, context)
            raise late if cell.checked is None else cell.checked.late(late) from None

    async def _chat_all(
        self, request: FanOutRequest, context: Context, deadline: float
    ) -> GatewayResponse:
        from .combine import CellResult, combined_response, list_response

        grid = self._grid(request, context, deadline)
        chat = partial(self._chat_cell, request, context, deadline)
        outcomes = await map_all(chat, grid, limit=self._limit(request))
        results = [
            CellResult(
                models=cell.models,
                completion=outcome.value if isinstance(outcome, Success) else None,
                error=outcome.error if isinstance(outcome, Failure) else None,
                elapsed=outcome.elapsed,
                cost=cell.cost,
            )
            for cell, outcome in zip(grid, outcomes, strict=True)
        ]
        if not any(result.completion for result in results):
            raise AllFailed([Cause(one.label, one.error) for one in results if one.error])
        if request.shape == "list":
            width = len(request.models) if request.mode == "all" else 1
            listed = list_response(results, self._complete, width if request.nested else None)
            return GatewayResponse(listed, request.mode)
        body = combined_response(results, request)
        body |= {"id": _random_id(), "created": int(self._now())}
        return GatewayResponse(body, request.mode)

    # ---- streams ----

    @asynccontextmanager
    async def _stream_one(
        self, request: FanOutRequest, context: Context, deadline: float
    ) -> AsyncIterator[ResponseStream]:
        from .client_chunks import winner_chunks  # only streams need it

        cell = self._grid(request, context, deadline)[0]
        if request.mode == "merge" and request.check is None:
            async with self._merged_stream(request, context, deadline, cell) as stream:
                yield stream
            return
        if request.is_whole:
            yield await self._whole_stream(request, context, deadline, cell)
            return
        started = perf_counter()
        async with self._race_cell(request, context, deadline, cell) as (result, leg, chunks):

            def report() -> Report:
                return make_report(
                    request.mode, cell.legs, result.outcomes, started, perf_counter()
                )

            model = leg.responding_model
            own = {"id": _random_id(), "created": int(self._now()), "model": model}
            client_chunks = winner_chunks(chunks, own, request, report)
            last = leg.latest
            yield ResponseStream(
                client_chunks, request.mode, model, last.dropped, last.passed_through
            )

    async def _whole_stream(
        self, request: FanOutRequest, context: Context, deadline: float, cell: GridCell
    ) -> ResponseStream:
        """The stream of a response that is checked or decided on: it begins when that is done."""
        from .client_chunks import chunks_of, winner_chunks

        completion = await self._chat_cell(request, context, deadline, cell)
        model = completion["model"]
        own = {"id": _random_id(), "created": int(self._now()), "model": model}
        chunks = winner_chunks(chunks_of(completion), own, request, lambda: completion["fanout"])
        return ResponseStream(chunks, request.mode, None if is_undecided(completion) else model)

    @asynccontextmanager
    async def _merged_stream(
        self, request: FanOutRequest, context: Context, deadline: float, cell: GridCell
    ) -> AsyncIterator[ResponseStream]:
        """The stream of a response that a judge makes of several."""
        from .client_chunks import winner_chunks

        late = self._deadline_error(request, context)
        opening = self._runner.merged_stream(request, cell)
        async with _opened_in_time(opening, deadline, late) as (model, chunks, report):
            own = {"id": _random_id(), "created": int(self._now()), "model": model}
            timed = with_deadline(chunks, deadline, late)
            yield ResponseStream(winner_chunks(timed, own, request, report), request.mode, model)

    @asynccontextmanager
    async def _stream_all(
        self, request: FanOutRequest, context: Context, deadline: float
    ) -> AsyncIterator[ResponseStream]:
        from .interleave import Interleave

        grid = self._grid(request, context, deadline)
        reports: dict[int, Report] = {}
        open_cell = partial(self._stream_cell, request, context, deadline, reports)
        openers = [partial(open_cell, cell, index) for index, cell in enumerate(grid)]
        models = [cell.models for cell in grid]

        def cost(index: int) -> float | None:
            return grid[index].cost

        interleave = Interleave(
            models, request, _random_id(), int(self._now()), perf_counter, cost, reports.get
        )
        async with merge_streams(openers, limit=self._limit(request)) as items:
            chunks = interleave.chunks(items)
            head: list[ChatChunk] = []
            async for chunk in chunks:
                head.append(chunk)
                if has_content(chunk) and "error" not in chunk["choices"][0]:
                    break
            if len(interleave.causes) == len(grid):
                raise AllFailed(interleave.causes)
            yield ResponseStream(prepend(head, chunks), request.mode)

    @asynccontextmanager
    async def _stream_cell(
        self,
        request: FanOutRequest,
        context: Context,
        deadline: float,
        reports: dict[int, Report],
        cell: GridCell,
        index: int,
    ) -> AsyncIterator[AsyncIterator[tuple[str, ChatChunk]]]:
        """One cell's chunks, each with its model's name; a whole response's report is kept."""
        from .client_chunks import chunks_of, with_model_name

        if request.is_whole:
            completion = await self._chat_cell(request, context, deadline, cell)
            reports[index] = completion["fanout"]
            yield with_model_name(completion["model"], chunks_of(completion))
            return
        async with self._race_cell(request, context, deadline, cell) as (_, leg, chunks):
            yield with_model_name(leg.responding_model, chunks)

    @asynccontextmanager
    async def _race_cell(
        self, request: FanOutRequest, context: Context, deadline: float, cell: GridCell
    ) -> AsyncIterator[CellRace]:
        """One cell's race and chunks; raises `DeadlineExceeded` after the deadline."""
        late = self._deadline_error(request, context)
        opening = self._runner.stream(request, cell)
        async with _opened_in_time(opening, deadline, late) as (result, leg, chunks):
            yield result, leg, with_deadline(chunks, deadline, late)

    # ---- the request, the catalog and the limits ----

    def _resolve(self, request: FanOutRequest, client: ClientKey | None) -> FanOutRequest:
        """Reject unknown model names; turn a single model with fallbacks into mode `fallback`."""
        request = self._expand(request)
        if request.agree is not None:
            request.agree.check_models()
        for name in request.names:
            self.catalog.find(name)
        if request.check is not None:
            self._check_names(request.check.escalate, "fanout.escalate")
        if request.is_adaptive:
            from .hedge_delays import other_providers_first

            request = other_providers_first(request, self.catalog)
        if request.judging is not None:
            self._check_names([request.judging.judge], "fanout.judge")
        if request.mode != "one":
            return request
        fallbacks = self._runner.fallbacks_of(request, request.models[0], client)
        if not fallbacks:
            return request
        models = (*request.models, *fallbacks)
        return replace(request, mode="fallback", models=models, stagger=None, fallbacks={})

    def _check_names(self, names: Iterable[str], param: str) -> None:
        """Raise `RequestError` for a name that the catalog does not have."""
        for name in names:
            try:
                self.catalog.find(name)
            except UnknownModel as error:
                raise RequestError(f"`{param}`: {error}", param) from None

    def _grid(self, request: FanOutRequest, context: Context, deadline: float) -> list[GridCell]:
        slots = self._slots(request, context)

        def make_leg(name: str) -> Leg:
            return Leg(
                name,
                context.request_id,
                request.mode,
                request.num_retries,
                deadline,
                slots,
                size=request.size,
                drop_params=request.drop_params,
                client=context.client,
                alias=request.alias,
                watcher=context.watcher,
                held=None if request.combined else context.held,
                flex=context.flex,
                times=self._runner.times,
            )

        checked = self._checked_cells(request, context)
        return make_grid(request, make_leg, checked, context.judge_pace)

    def _checked_cells(
        self, request: FanOutRequest, context: Context
    ) -> Callable[[ChatRequest], CheckedCell] | None:
        """What makes the `CheckedCell` of a conversation, if responses are checked."""
        if request.check is None:
            return None
        from .checked_cell import CheckedCell  # only checked requests need it

        check, seconds = request.check, self._time_limit(request, context)
        return lambda chat: CheckedCell(check, chat, context.pace, seconds)

    def _slots(
        self, request: FanOutRequest, context: Context
    ) -> AbstractAsyncContextManager[object] | None:
        """The limit on the request's calls in flight; `None` if it needs none."""
        calls, limit = len(request.conversations) * len(request.models), self._limit(request)
        if self._limiter is not None:
            return self._limiter.share(limit, context.share_key, context.patience)
        return asyncio.Semaphore(limit) if calls > limit else None

    def _limit(self, request: FanOutRequest) -> int:
        configured = self.catalog.general.max_parallel_requests
        return min(request.max_parallel or configured, configured)

    def _time_limit(self, request: FanOutRequest, context: Context) -> float:
        """Seconds: the smallest limit of the request, the config and the host."""
        limit = self.catalog.timeout
        if context.flex:
            from ..routing.flex import FLEX_TIMEOUT

            limit = max(limit, FLEX_TIMEOUT)
        if request.timeout is not None:
            limit = min(limit, request.timeout)
        return limit if context.deadline is None else min(limit, context.deadline)

    def _deadline_error(self, request: FanOutRequest, context: Context) -> DeadlineExceeded:
        seconds = self._time_limit(request, context)
        message = f"no response within the request's {seconds:g} s"
        if context.deadline_hint and seconds == context.deadline:
            message += f"; {context.deadline_hint}"
        return DeadlineExceeded(message)

    def _complete(self, completion: ChatCompletion) -> dict[str, Any]:
        """The response with an id and a time, if its provider sent none."""
        body: dict[str, Any] = {**completion}
        if not body.get("id"):
            body["id"] = _random_id()
        if not body.get("created"):
            body["created"] = int(self._now())
        body["object"] = "chat.completion"  # the provider may call it otherwise
        return body


@asynccontextmanager
async def _opened_in_time(
    opening: AbstractAsyncContextManager[T], deadline: float, late: Exception
) -> AsyncIterator[T]:
    """What `opening` opens; raises `late` if that takes until the deadline."""
    async with AsyncExitStack() as stack:
        try:
            with Deadline(deadline):
                opened = await stack.enter_async_context(opening)
        except TimeoutError:
            raise late from None
        yield opened


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _random_id() -> str:
    return f"chatcmpl-{random.getrandbits(96):024x}"
