"""Cancels an open chat request, or renews its lease, for the client that sent it."""

from __future__ import annotations

from ..errors import NotFound
from .exchange import Exchange
from .unserved_paths import hint

CANCEL, RENEW = "cancel", "renew"


async def control_request(exchange: Exchange) -> None:
    """
    `POST /v1/chat/completions/{request_id}/cancel` and `…/renew`.

    A request of another client is unknown, as is one that has ended.
    """
    request_id, _, action = exchange.tail.rpartition("/")
    if action not in {CANCEL, RENEW} or not request_id:
        raise NotFound(hint(f"/v1/chat/completions/{exchange.tail}"))
    key = (exchange.client.name, request_id)
    if action == CANCEL:
        is_found = await exchange.open_requests.cancel(key)
    else:
        is_found = await exchange.open_requests.renew(key)
    if not is_found:
        what = "open request" if action == CANCEL else "open request with a lease"
        raise NotFound(f"this key has no {what} of this id", None, "request_not_found")
    status = "cancelled" if action == CANCEL else "in_progress"
    await exchange.json({"id": request_id, "object": "chat.completion.request", "status": status})
