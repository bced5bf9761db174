"""
One request while it is served: its grid of cells, its models' calls, its limits and its deadline.

Only here are missing ids and times added to responses.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ..concurrency import Deadline, FairLimiter, RaceResult
from ..config.catalog import Catalog, ClientKey
from ..errors import DeadlineExceeded
from ..routing.leg import HeldSlots, Leg, Watcher
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.fanout import FanOutRequest
from ..schema.gateway_fields import Mode
from ..schema.request import ChatRequest
from ..secret import HiddenRepr
from ..telemetry.prices import to_dollars
from .conversation import ConversationRunner
from .report import NOTHING, Dropped, Report, all_failed, make_report, total_cost

if TYPE_CHECKING:
    from .checked_cell import CheckedCell
    from .timed_pace import TimedPace


class Context(Struct, frozen=True):
    """
    A request's id, its client, its `deadline` (s from now) and its watcher.

    Without a client, the user of this process has called; nothing is forbidden. If no call can
    start within `patience` seconds, the request fails with `Busy`; without it, it waits.
    `deadline_hint` is what to do if `deadline` was too short. If there is a `held`, it holds the
    slots of the call whose response is used, unless several responses are. A `pace` (a
    `timed_pace.Pace`) makes the calls of a checked request, of models that are to agree, of a hedge
    or of fallbacks; then each has the request's time. A `judge_pace` makes those of a judge.
    With `flex`, calls for whole responses are on the flex tier of the deployments that have one.
    All requests of a `job` count as one where slots are shared.
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
    job: str = ""

    @property
    def share_key(self) -> str:
        """Whose share of the slots counts: a client's requests and its jobs have one each."""
        if self.client is None:
            return ""
        return self.client.name if self.patience is not None else f"{self.client.name}\njobs"


class GatewayResponse(HiddenRepr, frozen=True):
    """
    A whole response: its JSON body (an object, or LiteLLM's list), its mode and its winner.

    `dropped` is what the winner, or without one any model, did not get.
    """

    body: dict[str, Any] | list[Any]
    mode: Mode
    winner: str | None = None
    dropped: Dropped = NOTHING


class ResponseStream(Struct, frozen=True):
    """A streamed response whose first content is there; at its end, `known_later` is `dropped`."""

    chunks: AsyncIterator[ChatChunk]
    mode: Mode
    winner: str | None = None
    dropped: Dropped = NOTHING
    passed_through: bool = False
    known_later: Callable[[], Dropped] = Dropped


class GridCell(Struct):
    """
    A conversation, and the model or the competing models that it is sent to.

    If the response must fit a schema, it has a `checked` (a `CheckedCell`). `extra` has the costs
    of calls to a judge, in nanodollars, which a `judge_pace` makes if there is one. With a `pace`
    (a `TimedPace`), each call has the request's time, as it may wait for its turn. `further` are
    the legs of models that are called if no response fits the schema. `late_attempts` are the calls
    of models that have not voted in time. `reports` has the report that a failed response, or a
    stream, does not have itself.
    """

    request: ChatRequest
    models: tuple[str, ...]
    legs: list[Leg]
    checked: Any = None
    extra: tuple[int, ...] = ()
    pace: Any = None
    judge_pace: Any = None
    further: tuple[Leg, ...] = ()
    late_attempts: tuple[Any, ...] = ()
    reports: tuple[Report, ...] = ()

    def late(self, error: DeadlineExceeded) -> DeadlineExceeded:
        """The error after the deadline, with the calls as far as they are known."""
        if self.checked is not None:
            found: DeadlineExceeded = self.checked.late(error, self.late_attempts)
            return found
        return DeadlineExceeded(str(error), attempts=self.late_attempts)

    def all_failed(self, mode: Mode, result: RaceResult[Any], started: float) -> Exception:
        """The error of a race without a winner; the report is kept, if the error has no calls."""
        has_calls = self.checked is not None and self.checked.last is not None
        if mode not in {"one", "all"} and not has_calls:
            ended = perf_counter()
            report = make_report(mode, self.legs, result.outcomes, started, ended)
            self.reports += (report,)
        return all_failed(self.legs, result)

    @property
    def report(self) -> Report | None:
        """The last of `reports`."""
        return self.reports[-1] if self.reports else None

    @property
    def cost(self) -> float | None:
        """The cost of its calls in US dollars; `None` if no cost is known."""
        found: float | None = total_cost(self.legs) if self.checked is None else self.checked.cost
        more = to_dollars(sum(self.extra))
        return (found or 0.0) + more if more else found


def make_grid(
    request: FanOutRequest,
    make_leg: Callable[[str], Leg],
    make_checked: Callable[[ChatRequest], CheckedCell] | None = None,
    pace: TimedPace | None = None,
    judge_pace: Any = None,
) -> list[GridCell]:
    """The request's cells, conversation by conversation, with a leg for each model of a cell."""
    sets = [(m,) for m in request.models] if request.mode == "all" else [request.models]
    return [
        GridCell(
            chat,
            models,
            list(map(make_leg, models)),
            make_checked and make_checked(chat),
            pace=pace,
            judge_pace=judge_pace,
        )
        for chat in request.conversations
        for models in sets
    ]


class Host(Struct, frozen=True):
    """What all requests share; `now` is the time in seconds since 1970."""

    catalog: Catalog
    runner: ConversationRunner
    limiter: FairLimiter | None
    now: Callable[[], float]


class Run:
    """One request: the calls of its models have these limits and this deadline."""

    __slots__ = ("context", "deadline", "host", "request")

    def __init__(self, host: Host, request: FanOutRequest, context: Context) -> None:
        self.host = host
        self.request = request
        self.context = context
        self.deadline = asyncio.get_running_loop().time() + self.time_limit

    def grid(self) -> list[GridCell]:
        """The request's cells: a conversation and the models that compete for it."""
        request, context, slots = self.request, self.context, self._slots()
        first = request.models[0] if request.mode == "fallback" else ""

        def make_leg(name: str) -> Leg:
            return Leg(
                name,
                context.request_id,
                request.mode,
                request.num_retries,
                self.deadline,
                slots,
                size=request.size,
                drop_params=request.drop_params,
                client=context.client,
                alias=request.alias,
                watcher=context.watcher,
                held=None if request.combined or request.is_decided else context.held,
                flex=context.flex,
                times=self.host.runner.times,
                fallback_of="" if name == first else first,
            )

        pace = self._pace()
        return make_grid(request, make_leg, self._checked_cells(pace), pace, context.judge_pace)

    def _pace(self) -> TimedPace | None:
        """What makes the calls when they may be made; `None` if nothing waits for that."""
        if self.context.pace is None:
            return None
        from .timed_pace import TimedPace  # only lines of jobs need it

        return TimedPace(self.context.pace, self.time_limit)

    def _checked_cells(self, pace: TimedPace | None) -> Callable[[ChatRequest], CheckedCell] | None:
        """What makes the `CheckedCell` of a conversation, if responses are checked."""
        if self.request.check is None:
            return None
        from .checked_cell import CheckedCell  # only checked requests need it

        check = self.request.check
        return lambda chat: CheckedCell(check, chat, pace)

    async def chat(self, cell: GridCell) -> ChatCompletion:
        """One cell's response; each cell has the deadline of its own, so the others are kept."""
        runner = self.host.runner
        if self.context.pace is not None:
            return await runner.chat(self.request, cell)
        is_voted = self.request.agree is not None  # then the votes in time are the response
        try:
            with Deadline(inf if is_voted else self.deadline):
                return await runner.chat(self.request, cell)
        except TimeoutError:
            raise cell.late(self.late()) from None

    def complete(self, completion: ChatCompletion) -> dict[str, Any]:
        """The response with an id and a time, if its provider sent none."""
        body: dict[str, Any] = {**completion}
        if not body.get("id"):
            body["id"] = random_id()
        if not body.get("created"):
            body["created"] = self.created
        body["object"] = "chat.completion"  # the provider may call it otherwise
        return body

    @property
    def created(self) -> int:
        """The time for a response without its own."""
        return int(self.host.now())

    # ---- limits ----

    def _slots(self) -> AbstractAsyncContextManager[object] | None:
        """The limit on the request's calls in flight; `None` if it needs none."""
        calls = len(self.request.conversations) * len(self.request.models)
        limit = self.limit
        if self.host.limiter is not None:
            share, context = self.host.limiter.share, self.context
            return share(limit, context.share_key, context.patience, context.job)
        return asyncio.Semaphore(limit) if calls > limit else None

    def slots(self) -> AbstractAsyncContextManager[object]:
        """The limit on calls in flight, of a request with an unknown number of calls."""
        return self._slots() or asyncio.Semaphore(self.limit)

    @property
    def limit(self) -> int:
        """The most calls in flight."""
        configured = self.host.catalog.general.max_parallel_requests
        return min(self.request.max_parallel or configured, configured)

    @property
    def time_limit(self) -> float:
        """Seconds: the smallest limit of the request, the config and the host."""
        limit, context = self.host.catalog.timeout, self.context
        if context.flex:
            from ..routing.flex import FLEX_TIMEOUT

            limit = max(limit, FLEX_TIMEOUT)
        if self.request.timeout is not None:
            limit = min(limit, self.request.timeout)
        return limit if context.deadline is None else min(limit, context.deadline)

    def late(self) -> DeadlineExceeded:
        """The error after the deadline."""
        seconds, context = self.time_limit, self.context
        message = f"no response within the request's {seconds:g} s"
        if context.deadline_hint and seconds == context.deadline:
            message += f"; {context.deadline_hint}"
        return DeadlineExceeded(message)


def random_id() -> str:
    """The id of a response whose provider sent none."""
    return f"chatcmpl-{random.getrandbits(96):024x}"
