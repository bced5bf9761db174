"""Several models' answers on a terminal, each growing in its place; one block each where piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ..gateway.gateway import Context, Gateway
from ..schema.chat import ChatChunk
from ..schema.fanout import FanOutRequest
from .response_text import clean, for_output, said

if TYPE_CHECKING:
    from rich.console import Group

REFRESH = 10


class Slot(Struct):
    """One model's answer so far."""

    model: str
    text: str = ""
    latency_ms: float | None = None
    tokens: int | None = None
    error: str = ""

    @property
    def is_done(self) -> bool:
        return self.latency_ms is not None

    @property
    def words(self) -> str:
        """The answer so far, and why there is no more of it."""
        return "\n".join(part for part in (self.text.strip(), self.error) if part)

    @property
    def title(self) -> str:
        """Its name and how it went."""
        if not self.is_done:
            return self.model
        parts = [self.model, "failed" if self.error else f"{(self.latency_ms or 0) / 1000:.2f} s"]
        return " · ".join([*parts, f"{self.tokens} tokens"] if self.tokens else parts)


async def show_all(gateway: Gateway, request: FanOutRequest, context: Context) -> int:
    """Print every answer; 1 if one of the models failed."""
    slots = [Slot(model) for model in request.models]
    if sys.stdout.isatty() and sys.stderr.isatty():
        await _show_live(gateway, request, context, slots)
    else:
        async with gateway.stream(request, context) as stream:
            async for chunk in stream.chunks:
                take(slots, chunk, done=_print_block)
    return int(any(slot.error for slot in slots))


def take(slots: Sequence[Slot], chunk: ChatChunk, *, done: Callable[[Slot], object]) -> None:
    """Put a chunk where it belongs; `done` is told of a slot's end."""
    for choice in chunk["choices"]:
        slot = slots[choice.get("index", 0)]
        slot.text += said(choice["delta"])
        last: Any = choice
        if not last.get("finish_reason"):
            continue
        slot.model = last["model"]
        slot.latency_ms = last["latency_ms"]
        slot.tokens = (last.get("usage") or {}).get("completion_tokens")
        slot.error = (last.get("error") or {}).get("message", "")
        done(slot)


def _print_block(slot: Slot) -> None:
    print(f"## {slot.title}\n{for_output(slot.words)}\n", flush=True)


async def _show_live(
    gateway: Gateway, request: FanOutRequest, context: Context, slots: Sequence[Slot]
) -> None:
    from rich.console import Console
    from rich.live import Live

    with Live(
        get_renderable=lambda: panels(slots),
        console=Console(stderr=True),
        refresh_per_second=REFRESH,
        transient=True,
    ):
        async with gateway.stream(request, context) as stream:
            async for chunk in stream.chunks:
                take(slots, chunk, done=lambda _: None)
    Console().print(panels(slots))


def panels(slots: Sequence[Slot]) -> Group:
    """One panel each, in the order the models were named."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    def panel(slot: Slot) -> Panel:
        colour = "red" if slot.error else "green" if slot.is_done else "cyan"
        body = Text(clean(slot.words or "…"))
        return Panel(body, title=Text(slot.title), title_align="left", border_style=colour)

    return Group(*(panel(slot) for slot in slots))
