"""A race on a terminal: bars over one time line while it runs; plain lines where it is piped."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from ..gateway.gateway import Context, Gateway
from ..schema.fanout import FanOutRequest
from .race_timeline import RaceTimeline, TimelineRow
from .response_text import clean, print_words, text_of

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 36
"""Characters of a bar."""

REFRESH = 12
"""Pictures a second."""

COLOURS = {"won": "bold green", "cancelled": "yellow", "failed": "red", "not started": "dim"}
ENDS = {"won": "●", "cancelled": "✗", "failed": "✗"}


async def show_race(gateway: Gateway, request: FanOutRequest, context: Context) -> int:
    """Run the race, show it on standard error, and print the winner's answer."""
    live = sys.stdout.isatty() and sys.stderr.isatty()
    width = max(len(model) for model in request.models)
    lanes = (
        RaceTimeline(request.models)
        if live
        else RaceTimeline(request.models, tell=partial(_line, width))
    )
    context = msgspec.structs.replace(context, watcher=lanes)
    async with AsyncExitStack() as stack:
        if request.stream:
            with _shown(lanes, live=live):
                stream = await stack.enter_async_context(gateway.stream(request, context))
                lanes.won(stream.winner)
            await print_words(stream.chunks)
        else:
            with _shown(lanes, live=live):
                answer = await gateway.answer(request, context)
            print(text_of(answer.body))
    return 0


def _line(width: int, lane: TimelineRow, now: float) -> None:
    words = "first token" if lane.state == "talking" else clean(lane.words)
    print(f"{now:8.2f} s  {lane.model:<{width}}  {words}", file=sys.stderr, flush=True)


@contextmanager
def _shown(lanes: RaceTimeline, *, live: bool) -> Iterator[None]:
    """Show the lanes for the block, and how they ended behind it."""
    if not live:
        try:
            yield
        finally:
            lanes.settle()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    with Live(
        get_renderable=lambda: picture(lanes.lanes, lanes.now),
        console=console,
        refresh_per_second=REFRESH,
    ):
        try:
            yield
        finally:
            lanes.settle()


def picture(lanes: Sequence[TimelineRow], now: float) -> Table:
    """The lanes under one another, and the time line under them."""
    from rich.table import Table
    from rich.text import Text

    span = time_span(max((lane.ended_at or now for lane in lanes), default=now))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=max(len(lane.model) for lane in lanes))
    table.add_column(no_wrap=True, min_width=WIDTH + 1)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for lane in lanes:
        bar = Text.assemble(*bar_of(lane, now, span))
        colour = COLOURS.get(lane.state, "")
        table.add_row(Text(lane.model, colour), bar, Text(clean(lane.words), colour))
    table.add_row("", Text(f"0{f'{span:g} s':>{WIDTH}}", "dim"), "")
    return table


def time_span(seconds: float) -> float:
    """The time line's length: the next of 1, 2, 5, 10, 20, 50, … seconds."""
    for power in count():
        for step in (1, 2, 5):
            if seconds <= step * 10**power:
                return float(step * 10**power)
    raise AssertionError("unreachable")


def bar_of(lane: TimelineRow, now: float, span: float) -> list[tuple[str, str]]:
    """A lane's bar, in pieces with their style: thin while it waits, thick once it talks."""
    colour = COLOURS.get(lane.state, "cyan")
    if lane.asked_at is None:
        return [(" " * (WIDTH + 1), "")]
    ended = now if lane.ended_at is None else lane.ended_at
    first = ended if lane.first_at is None else min(lane.first_at, ended)
    places = [round(moment / span * WIDTH) for moment in (lane.asked_at, first, ended)]
    begin, talk, end = places
    return [
        (" " * begin, ""),
        ("─" * (talk - begin), "dim"),
        ("━" * (end - talk), colour),
        (ENDS.get(lane.state, "╸"), colour),
        (" " * (WIDTH - end), ""),
    ]
