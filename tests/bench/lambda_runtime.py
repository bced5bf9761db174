"""Measures the API function under AWS's own runtime code: by its loop, and by the Web Adapter."""

from __future__ import annotations

import http.client
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from statistics import median
from time import perf_counter
from typing import NamedTuple, TypeAlias

from tests.rie.emulator import Emulator, Result, emulating, is_available
from tests.support.runtime_api import proxy_event

from .load import KEY
from .report import Figure, Section, number
from .servers import OURS, ROOT
from .startup import lambda_env
from .testbed import (
    HELLO,
    Plan,
    Testbed,
    instant_command,
    lambda_command,
    median_ratio,
    start_server,
)
from .web_adapter import LAYER, NoWebAdapter, WebAdapter, find_adapter

RUNS = 190
"""Sequential requests, of which the median counts; ten more come first."""

WARM_UP = 10
LOOP = "**the function's loop**"
FIRST = 11
"""Starts, of which the median counts."""

MOST = 5.0
"""Milliseconds that the runtime may add to a response."""

MOST_START = 1.4

HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


Ask: TypeAlias = Callable[[bool], Result]
"""Sends a request, plain or streamed."""


class Times(NamedTuple):
    """Medians in seconds; `first` are the times from the start to the first response."""

    plain: float
    streamed: float
    first: Sequence[float]

    def row(self, name: str, app: Times | None = None) -> list[str]:
        """The row of the table, with what is added to the times of the app."""
        cells = [name]
        for one, alone in zip(self[:2], app[:2] if app else (None, None), strict=True):
            cells += [_ms(one), "" if alone is None else _added(one - alone)]
        return [*cells, _ms(median(self.first)) if self.first else ""]


class Started(NamedTuple):
    """A shell command that serves invocations, and its variables."""

    command: str
    env: Mapping[str, str]


def measure(bed: Testbed, plan: Plan) -> list[Section]:
    """Measure both, if the emulator of AWS's runtime is available."""
    if not is_available():
        return []
    env = {**lambda_env(bed), "PYTHONPATH": str(ROOT / "shared"), "LAMBDA_TASK_ROOT": str(ROOT)}
    commands = {LOOP: Started(f"exec {ROOT}/functions/api/runtime.sh {OURS}/python", env)}
    try:
        adapter = find_adapter(may_build=plan.peers)
        commands[adapter.name] = _behind(adapter, env)
        told = f"The stack's layer of the Web Adapter has version {LAYER}."
    except NoWebAdapter as error:
        told = f"The Web Adapter is not measured: {error}."
        print(f"bench: {told}", file=sys.stderr)
    bare, firsts = _starts(bed, commands)
    app, times = _requests(bed, commands, firsts)
    rows = [
        ["bare ASGI function over HTTP", "", "", "", "", _ms(median(bare))],
        app.row("the app over HTTP, without Lambda"),
        *(measured.row(name, app) for name, measured in times.items()),
    ]
    note = (
        "The API function under AWS's Runtime Interface Emulator, calling the stub. One request at "
        f"a time, to each in turn; medians of {RUNS} requests. The first response includes the "
        f"start of the process; its figures are medians of {FIRST} starts. The emulator returns a "
        f"streamed response when it is complete. {told}"
    )
    loop = times[LOOP]
    figures = [
        Figure(f"the Lambda under AWS's runtime code: added to {kind}", added * 1000, MOST, "ms")
        for kind, added in (
            ("a plain response", loop.plain - app.plain),
            ("a streamed response", loop.streamed - app.streamed),
        )
    ]
    what = "the Lambda under AWS's runtime code: start to first response, relative to a bare"
    ratio = median_ratio(loop.first, bare)
    figures.append(Figure(f"{what} ASGI function over HTTP", ratio, MOST_START, "x"))
    header = ["", "plain", "added", "streamed", "added", "first response"]
    return [Section("Under AWS's runtime code", note, header, rows, figures)]


def _behind(adapter: WebAdapter, env: Mapping[str, str]) -> Started:
    """The app behind the Web Adapter, as `fanout:runtime` = `web-adapter` runs it."""
    command = (
        f"export AWS_LWA_PORT=$PORT\n{ROOT}/functions/api/run.sh &\n"
        f"exec {shlex.quote(str(adapter.path))}"
    )
    own = {
        "AWS_LWA_INVOKE_MODE": "response_stream",
        "AWS_LWA_READINESS_CHECK_PATH": "/health",
        "PATH": f"{OURS}:/usr/bin:/bin",
    }
    return Started(command, {**env, **own})


def _starts(
    bed: Testbed, commands: Mapping[str, Started]
) -> tuple[list[float], dict[str, list[float]]]:
    """The times to the first response: of a bare function, and of each command, in turn."""
    bare: list[float] = []
    firsts: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(FIRST):
        bare.append(_bare_start(bed))
        for name, started in commands.items():
            with emulating(started.command, started.env) as emulator:
                firsts[name].append(_timed(_invoking(emulator), stream=False))
    return bare, firsts


def _requests(
    bed: Testbed, commands: Mapping[str, Started], firsts: Mapping[str, Sequence[float]]
) -> tuple[Times, dict[str, Times]]:
    """The times of the app over HTTP and of each command, which get the requests in turn."""
    with ExitStack() as stack:
        asks = [stack.enter_context(_over_http(bed))]
        for started in commands.values():
            emulator = stack.enter_context(emulating(started.command, started.env))
            asks.append(_invoking(emulator))
        plain, streamed = (_medians(asks, stream=kind) for kind in (False, True))
    app, *others = zip(plain, streamed, strict=True)
    times = zip(commands, others, strict=True)
    return Times(*app, []), {name: Times(*both, firsts[name]) for name, both in times}


@contextmanager
def _over_http(bed: Testbed) -> Iterator[Ask]:
    with start_server("lambda", lambda_command, bed, lambda_env(bed)) as server:

        def ask(stream: bool) -> Result:  # noqa: FBT001 -- as `Ask` says
            with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as client:
                client.request("POST", "/v1/chat/completions", _body(stream=stream), HEADERS)
                response = client.getresponse()
                return Result(response.status, response.read())

        yield ask


def _invoking(emulator: Emulator) -> Ask:
    return lambda stream: emulator.invoke(_event(stream=stream))


def _bare_start(bed: Testbed) -> float:
    with start_server("instant", instant_command, bed) as server:
        return server.seconds


def _medians(asks: Sequence[Ask], *, stream: bool) -> list[float]:
    rounds = [[_timed(ask, stream=stream) for ask in asks] for _ in range(WARM_UP + RUNS)]
    return [median(times) for times in zip(*rounds[WARM_UP:], strict=True)]


def _timed(ask: Ask, *, stream: bool) -> float:
    began = perf_counter()
    result = ask(stream)
    seconds = perf_counter() - began
    if b"word0" not in result.raw:
        raise RuntimeError(result.raw[:500].decode())
    return seconds


def _ms(seconds: float) -> str:
    return number(seconds * 1000, "ms")


def _added(seconds: float) -> str:
    return f"{'-' if seconds < 0 else '+'}{_ms(abs(seconds))}"


def _body(*, stream: bool) -> str:
    return json.dumps({"model": "stub", "messages": HELLO, **({"stream": True} if stream else {})})


def _event(*, stream: bool) -> bytes:
    many = {name: [value] for name, value in HEADERS.items()}
    event = proxy_event(headers=HEADERS, multiValueHeaders=many, body=_body(stream=stream))
    return json.dumps(event).encode()
