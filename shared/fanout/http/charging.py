"""
Charges a request to its virtual key: reserves its cost before a call, and settles it once.

Imported with the first request of such a key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..bulk.costs import Costs
from ..errors import BudgetExceeded, FanoutError, Forbidden
from ..keys.account import BudgetReservation, Need, limit_of, refreshed
from ..keys.clients import KeyAccount, client_of
from ..keys.items import Item
from ..keys.key_types import LLM_API
from ..keys.late_settlements import Settlement
from ..keys.ledger import KeyLedger
from ..keys.metering import (
    Estimate,
    Meter,
    check_prices,
    estimate,
    estimate_embeddings,
    planned_cost,
)
from ..keys.rate_limits import rate_headers
from ..schema.fanout import FanOutRequest
from ..telemetry.prices import to_dollars
from .auth import unavailable
from .exchange import Exchange
from .request_tags import tags_in, tags_of_header

if TYPE_CHECKING:
    from ..endpoints.embeddings.request import EmbeddingRequest

MAX_TAGS, MAX_TAG = 20, 100
"""Tags of a request, and characters of one, that its spend row keeps."""

SERVER_ERROR = 500


class Charge:
    """
    What a request has reserved of its key, and of its team or user.

    `fault` is why that is not settled. `planned` says what all its calls may cost if its next one
    is of a model. `status` is that of `BudgetExceeded`.
    """

    def __init__(
        self,
        account: KeyAccount,
        held: BudgetReservation,
        row: Mapping[str, Any],
        planned: Callable[[str], int],
        status: int,
    ) -> None:
        self.meter = Meter()
        self.meter.extend = self._extend
        self.fault: Exception | None = None
        self._account = account
        self._ledger = account.ledger
        self._settlement = Settlement(account.ledger, held, row)
        self._planned, self._status = planned, status
        self._lock = asyncio.Lock()
        self._is_settled = False

    async def open(self) -> None:
        """
        Write the spend row, while the calls start.

        If the store does not respond, or the request ends first, `settle` writes it.
        """
        with suppress(FanoutError):
            await self._settlement.open()

    async def _extend(self, model: str) -> None:
        """
        Reserve what failed calls have cost, if the next call may need it; `model` is called.

        Raises a `FanoutError` if no budget has it.
        """
        # A race that ends cancels this, but not between two writes.
        task = asyncio.get_running_loop().create_task(self._extend_once(model))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(task)

    async def _extend_once(self, model: str) -> None:
        async with self._lock:
            reserved = self._settlement.held.need.cost
            more = self.meter.failed + self._planned(model) - reserved
            if more <= 0 or self._is_settled:
                return
            try:
                await self._settlement.extend(_payers(self._account), more)
            except BudgetExceeded as error:
                raise BudgetExceeded(str(error), self._status) from None

    async def settle(self) -> Mapping[str, str]:
        """
        Charge what the calls have cost, once; returns the headers that say it.

        If the store does not respond, the client gets its response: it is paid for. The settlement
        is tried again in the background.
        """
        meter = self.meter
        async with self._lock:
            if not self._is_settled:
                self._is_settled = True
                meter.extend = None  # it has this object, which has the meter and the request
                await self._settle(meter)
        cost = f"{to_dollars(meter.cost):.9f}"
        return {"x-fanout-cost": cost, "x-litellm-response-cost": cost}

    async def _settle(self, meter: Meter) -> None:
        row = {
            "prompt_tokens": meter.prompt_tokens,
            "completion_tokens": meter.completion_tokens,
            "by_model": meter.by_model,
            "ended": int(time.time()),
        }
        self._settlement.set(meter.cost, meter.tokens, row)
        try:
            await self._settlement.run()
        except FanoutError as error:
            self.fault = error
            self._ledger.late.add(self._settlement)


async def reserve(exchange: Exchange, request: FanOutRequest) -> Charge:
    """Reserve what a chat may cost; raises what the client gets if its key cannot pay."""
    return await _reserve(exchange, request, estimate(request, _costs(exchange)))


async def reserve_embeddings(exchange: Exchange, request: EmbeddingRequest) -> Charge:
    """Reserve what the vectors of a request may cost; the model is one that the key may use."""
    exchange.gateway.prepare(request.options, exchange.client)
    found = estimate_embeddings(request.model, request.options.size, _costs(exchange))
    return await _reserve(exchange, request.options, found, request.user)


@asynccontextmanager
async def counted(exchange: Exchange, *, is_upload: bool) -> AsyncIterator[None]:
    """
    A request of a virtual key for files: it counts against the key's rate, and costs nothing.

    An upload needs a budget that is not spent; what was paid for can always be read.
    """
    account: KeyAccount = exchange.client.account
    ledger = account.ledger

    def check(item: Item) -> None:
        if item["key_type"] != LLM_API:
            raise Forbidden(
                f"a key of type `{item['key_type']}` has no files: use one of type `{LLM_API}`",
                None,
                "key_not_allowed",
            )
        if is_upload and {**item, **refreshed(item, ledger.now(), ledger.zone)}["available"] <= 0:
            raise BudgetExceeded("Budget has been exceeded: the key may not upload files")

    held, _ = await _claim(exchange, account.item, Need(0, is_free=True), check)
    try:
        yield
    finally:
        with suppress(FanoutError):  # a sweep does it
            await ledger.count(held, 0, 0)


async def _claim(
    exchange: Exchange, item: Item, need: Need, check: Callable[[Item], object]
) -> tuple[BudgetReservation, Item]:
    """Reserve what a request needs; the response says what is left of the account's rates."""
    ledger: KeyLedger = exchange.client.account.ledger
    try:
        held, state = await ledger.claim(item, need, check)
    except BudgetExceeded as error:
        status = exchange.gateway.catalog.general.budget_exceeded_status_code
        raise BudgetExceeded(str(error), status) from None
    except FanoutError as error:
        if error.status < SERVER_ERROR:
            raise
        raise unavailable(error) from error  # of the store
    exchange.response_headers |= rate_headers(state, ledger.now())
    return held, state


def _costs(exchange: Exchange) -> Costs:
    return Costs(exchange.gateway.catalog)


async def _reserve(
    exchange: Exchange,
    request: FanOutRequest,
    found: Estimate,
    user: str | None = None,
) -> Charge:
    account: KeyAccount = exchange.client.account
    shared = account.shared
    ledger, gateway = account.ledger, exchange.gateway
    general = gateway.catalog.general
    payers = _payers(account)
    has_budget = any(limit_of(one, "max_budget") is not None for one in payers)
    if general.unpriced_models == "reject" and has_budget:
        check_prices(found, gateway.catalog)

    def set_client(item: Item, shared: Item | None) -> None:
        client = client_of(ledger, item, shared)
        exchange.client = replace(client, current=exchange.client.current)
        gateway.prepare(request, exchange.client)

    def check(item: Item) -> None:
        """The rights may have changed since the key was read."""
        if item["version"] != account.item["version"]:
            set_client(item, exchange.client.account.shared)

    def check_shared(item: Item) -> None:
        """So may those of its team or user."""
        if shared is not None and item["version"] != shared["version"]:
            set_client(exchange.client.account.item, item)

    held, _ = await _claim(exchange, account.item, found.need, check)
    if shared is not None:
        try:
            await ledger.join(account.item, shared)
            other, _ = await _claim(exchange, shared, found.need, check_shared)
        except FanoutError:
            with suppress(FanoutError):  # a sweep does it
                await ledger.count(held, 0, 0)
            raise
        held = replace(held, shared=other)
    planned = partial(planned_cost, request, need=found.need, costs=_costs(exchange))
    status = general.budget_exceeded_status_code
    return Charge(account, held, _row(exchange, request, account.item, user), planned, status)


def _payers(account: KeyAccount) -> list[Item]:
    """The accounts that pay: the key's, and that of its team or user."""
    return [account.item] if account.shared is None else [account.item, account.shared]


def _row(
    exchange: Exchange, request: FanOutRequest, item: Item, user: str | None
) -> dict[str, Any]:
    """The fields of the spend row that are known before the calls; none is of the prompt."""
    chat = request.conversations[0] if request.conversations else None
    given = (*tags_in(chat and chat.metadata), *exchange.tags, *tags_of_header(exchange.headers))
    tags = [one[:MAX_TAG] for one in given]
    return {
        "request_id": exchange.request_id,
        "token": item["token"],
        "alias": item["alias"],
        "team_id": item["team_id"],
        "user_id": item["user_id"],
        "tags": list(dict.fromkeys([*item["tags"], *tags]))[:MAX_TAGS],
        "mode": request.mode,
        "model": ",".join(request.models)[:500],
        "end_user": ((chat and chat.user) or user or "")[:MAX_TAG],
    }
