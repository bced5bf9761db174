"""Shows a race on a terminal as bars on one time axis, and as plain lines when piped."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from ..gateway.run import Context
from ..schema.fanout import FanOutRequest
from ..wire.terminal_text import one_line
from .printing import CTRL_C, show, show_response
from .race_timeline import RaceTimeline, TimelineRow
from .response_text import ResponseSource, first_choice_text, print_stream

if TYPE_CHECKING:
    from rich.console import Group

WIDTH, MIN_BAR = 36, 12
"""Characters of a bar, and the fewest beside a name or a status."""

GAP = 2
"""Spaces between a name, its bar and its status."""

REFRESHES_PER_SECOND = 12

COLORS = {"won": "bold green", "cancelled": "yellow", "failed": "red", "not started": "dim"}
END_MARKS = {"won": "●", "cancelled": "✗", "failed": "✗"}


async def show_race(gateway: ResponseSource, request: FanOutRequest, context: Context) -> int:
    """Run the race, show it on standard error, and print the winner's response."""
    live = sys.stdout.isatty() and sys.stderr.isatty()
    width = max(len(one_line(model)) for model in request.models)
    is_checked = request.check is not None
    timeline = (
        RaceTimeline(request.models, is_checked=is_checked)
        if live
        else RaceTimeline(
            request.models, is_checked=is_checked, on_change=partial(_print_row, width)
        )
    )
    context = msgspec.structs.replace(context, watcher=timeline)
    async with AsyncExitStack() as stack:
        if request.stream:
            with _displayed(timeline, live=live):
                stream = await stack.enter_async_context(gateway.stream(request, context))
                timeline.mark_winner(stream.winner)
            await print_stream(stream.chunks)
        else:
            with _displayed(timeline, live=live):
                response = await gateway.chat(request, context)
            show_response(first_choice_text(response.body))
    return 0


def _print_row(width: int, row: TimelineRow, now: float) -> None:
    is_streaming = row.state == "streaming"
    status = "first token" if is_streaming else one_line(row.status)
    show(f"{now:8.2f} s  {one_line(row.model):<{width}}  {status}", file=sys.stderr, flush=True)


@contextmanager
def _displayed(timeline: RaceTimeline, *, live: bool) -> Iterator[None]:
    """Show the race while the block runs, and its result afterwards."""
    if not live:
        try:
            yield
        finally:
            timeline.finish()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    with Live(
        get_renderable=lambda: render(timeline.rows, timeline.now, console.width - CTRL_C),
        console=console,
        refresh_per_second=REFRESHES_PER_SECOND,
    ):
        try:
            yield
        finally:
            timeline.finish()


def render(rows: Sequence[TimelineRow], now: float, width: int) -> Group:
    """
    Each model with its bar, and the time axis below, in so many columns.

    If they do not fit beside each other, the bar is shorter, then the status is below it, then the
    bar below the name. Nothing is cut.
    """
    from rich.console import Group
    from rich.text import Text

    span = time_span(max((row.ended_at or now for row in rows), default=now))
    names = max(len(one_line(row.model)) for row in rows)
    status = max((len(row.status) for row in rows if row.state != "failed"), default=0)
    is_beside = names + GAP <= width - MIN_BAR - 1
    left = names + GAP if is_beside else 0
    has_room = is_beside and left + MIN_BAR + 1 + GAP + status <= width
    size = max(1, min(WIDTH, width - left - 1 - (GAP + status if has_room else 0)))
    lines: list[Text] = []
    for row in rows:
        color = COLORS.get(row.state, "")
        name, text = Text(one_line(row.model), color), Text(one_line(row.status), color)
        line = Text.assemble(*bar(row, now, span, size))
        if is_beside:
            line = Text.assemble(name, " " * (left - len(name.plain)), line)
        else:
            lines.append(name)
        if has_room and len(line.plain) + GAP + len(text.plain) <= width:
            lines.append(Text.assemble(line, " " * GAP, text))
        else:
            lines += [line, Text.assemble(" " * min(GAP, width - 1), text)]
    axis = f"0{f'{span:g} s':>{size}}"
    return Group(*lines, Text(f"{'':{left}}{axis}", "dim"))


def time_span(seconds: float) -> float:
    """The length of the time axis: the next of 1, 2, 5, 10, 20, 50, … seconds."""
    for power in count():
        for step in (1, 2, 5):
            if seconds <= step * 10**power:
                return float(step * 10**power)
    raise AssertionError("unreachable")


def bar(row: TimelineRow, now: float, span: float, width: int = WIDTH) -> list[tuple[str, str]]:
    """A row's bar as `(text, style)` parts: thin before the first token, thick after it."""
    color = COLORS.get(row.state, "cyan")
    if row.started_at is None:
        return [(" " * (width + 1), "")]
    ended = now if row.ended_at is None else row.ended_at
    first = ended if row.first_token_at is None else min(row.first_token_at, ended)
    start, thick, end = (round(t / span * width) for t in (row.started_at, first, ended))
    return [
        (" " * start, ""),
        ("─" * (thick - start), "dim"),
        ("━" * (end - thick), color),
        (END_MARKS.get(row.state, "╸"), color),
        (" " * (width - end), ""),
    ]
