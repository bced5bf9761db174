"""One request under way: what an endpoint needs to answer it. Knows nothing of routes."""

from __future__ import annotations

from msgspec import Struct, field

from ..config.resolve import CallerKey
from ..gateway import Context, Gateway
from ..schema.fanout import FanOutRequest
from .asgi import Headers, Receive, Send, send_json
from .stream import INTERVAL, EventStream


class Exchange(Struct):
    """
    A request and its answer.

    `tail` is what the path has behind the route, `deadline` the seconds that the host has left,
    `unread` whether the request's body has still to be read. The endpoint fills in what the log
    tells: `asked`, `winner`.
    """

    gateway: Gateway
    caller: CallerKey
    receive: Receive
    send: Send
    headers: Headers
    request_id: str
    tail: str = ""
    deadline: float | None = None
    keep_alive: float = INTERVAL
    unread: bool = True
    asked: FanOutRequest | None = None
    winner: str | None = None
    status: int | None = None
    events: EventStream | None = None
    out: dict[str, str] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        return Context(self.request_id, self.caller.name, self.deadline)

    async def json(self, body: object, *, status: int = 200) -> None:
        """Send the whole answer."""
        self.status = status
        await send_json(self.send, status, body, self.out)
