"""Shows several models' responses: live panels on a terminal, one block each when piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ..gateway.run import Context
from ..schema.chat import ChatChunk
from ..schema.fanout import FanOutRequest
from ..wire.terminal_text import one_line, without_controls
from .printing import CTRL_C, show_response
from .response_text import ResponseSource, content_of

if TYPE_CHECKING:
    from rich.console import Group

REFRESHES_PER_SECOND = 10


class ModelOutput(Struct):
    """One model's response so far."""

    model: str
    text: str = ""
    latency_ms: float | None = None
    tokens: int | None = None
    error: str = ""

    @property
    def is_done(self) -> bool:
        return self.latency_ms is not None

    @property
    def body(self) -> str:
        """The text so far, and the error if there is one."""
        return "\n".join(part for part in (self.text.strip(), self.error) if part)

    @property
    def title(self) -> str:
        """The model's name, time and tokens, or that it failed."""
        if not self.is_done:
            return self.model
        parts = [self.model, "failed" if self.error else f"{(self.latency_ms or 0) / 1000:.2f} s"]
        return " · ".join([*parts, f"{self.tokens} tokens"] if self.tokens else parts)


async def show_all_responses(
    gateway: ResponseSource, request: FanOutRequest, context: Context
) -> int:
    """Print every response; returns 1 if a model failed, else 0."""
    outputs = [ModelOutput(model) for model in request.models]
    if sys.stdout.isatty() and sys.stderr.isatty():
        await _show_live(gateway, request, context, outputs)
    else:
        async with gateway.stream(request, context) as stream:
            async for chunk in stream.chunks:
                apply_chunk(outputs, chunk, done=_print_block)
    return int(any(output.error for output in outputs))


def apply_chunk(
    outputs: Sequence[ModelOutput], chunk: ChatChunk, *, done: Callable[[ModelOutput], object]
) -> None:
    """Add a chunk to its model's output; `done` is called when an output is complete."""
    for choice in chunk["choices"]:
        output = outputs[choice.get("index", 0)]
        last: Any = choice
        if not last.get("error"):  # else its refusal is the error
            output.text += content_of(choice["delta"])
        if not last.get("finish_reason"):
            continue
        output.model = last["model"]
        output.latency_ms = last["latency_ms"]
        output.tokens = (last.get("usage") or {}).get("completion_tokens")
        output.error = (last.get("error") or {}).get("message", "")
        done(output)


def _print_block(output: ModelOutput) -> None:
    show_response(f"## {one_line(output.title)}\n{output.body}\n", flush=True)


async def _show_live(
    gateway: ResponseSource,
    request: FanOutRequest,
    context: Context,
    outputs: Sequence[ModelOutput],
) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.padding import Padding

    with Live(
        get_renderable=lambda: Padding(panels(outputs), (0, CTRL_C, 0, 0)),
        console=Console(stderr=True),
        refresh_per_second=REFRESHES_PER_SECOND,
        transient=True,
    ):
        async with gateway.stream(request, context) as stream:
            async for chunk in stream.chunks:
                apply_chunk(outputs, chunk, done=lambda _: None)
    Console().print(panels(outputs))


def panels(outputs: Sequence[ModelOutput]) -> Group:
    """One panel per model, in the order in which they were named."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    def panel(output: ModelOutput) -> Panel:
        color = "red" if output.error else "green" if output.is_done else "cyan"
        body = Text(without_controls(output.body or "…"))
        return Panel(
            body, title=Text(one_line(output.title)), title_align="left", border_style=color
        )

    return Group(*(panel(output) for output in outputs))
