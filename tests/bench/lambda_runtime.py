"""Measures the API function under AWS's own runtime code: by its loop, and by the Web Adapter."""

from __future__ import annotations

import http.client
import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from tests.rie.emulator import Result, emulating, is_available
from tests.support.runtime_api import proxy_event

from .load import KEY
from .report import Figure, Section, number
from .servers import OURS, ROOT
from .startup import lambda_env
from .testbed import (
    HELLO,
    Testbed,
    instant_command,
    lambda_command,
    median_ratio,
    start_server,
)

RUNS = 190
"""Sequential requests, of which the median counts; ten more come first."""

WARM_UP = 10
FIRST = 11
"""Starts, of which the median counts."""

MOST = 5.0
"""Milliseconds that the runtime may add to a response."""

MOST_START = 1.4

HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
ADAPTER = os.environ.get("WEB_ADAPTER")
"""The Web Adapter's binary: `cargo install lambda_web_adapter --locked`."""


class Times(NamedTuple):
    """Medians in seconds; `first` are the times from the start to the first response."""

    plain: float
    streamed: float
    first: Sequence[float]

    def row(self, name: str) -> list[str]:
        """The row of the table."""
        first = number(median(self.first) * 1000, "ms") if self.first else ""
        return [name, *(number(one * 1000, "ms") for one in (self.plain, self.streamed)), first]


def measure(bed: Testbed) -> list[Section]:
    """Measure both, if the emulator of AWS's runtime is available."""
    if not is_available():
        return []
    env = {**lambda_env(bed), "PYTHONPATH": str(ROOT / "shared"), "LAMBDA_TASK_ROOT": str(ROOT)}
    loop_command = f"exec {ROOT}/functions/api/runtime.sh {OURS}/python"
    bare: list[float] = []
    app = _over_http(bed)
    loop = _emulated(loop_command, env, lambda: bare.append(_bare_start(bed)))
    rows = [
        ["bare ASGI function over HTTP", "", "", number(median(bare) * 1000, "ms")],
        app.row("the app over HTTP, without Lambda"),
        loop.row("**the function's loop**"),
    ]
    if ADAPTER:
        adapter = _emulated(
            f"export AWS_LWA_PORT=$PORT\n{ROOT}/functions/api/run.sh &\n"
            f"exec {shlex.quote(str(Path(ADAPTER).absolute()))}",
            {
                **env,
                "AWS_LWA_INVOKE_MODE": "response_stream",
                "AWS_LWA_READINESS_CHECK_PATH": "/health",
                "PATH": f"{OURS}:/usr/bin:/bin",
            },
        )
        rows.append(adapter.row("the Web Adapter's binary"))
    note = (
        "The API function under AWS's Runtime Interface Emulator, calling the stub. One request at "
        f"a time; medians of {RUNS} requests. The first response includes the start of the "
        f"process; its figures are medians of {FIRST} starts. The emulator returns a streamed "
        "response when it is complete."
    )
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
    header = ["", "plain", "streamed", "first response"]
    return [Section("Under AWS's runtime code", note, header, rows, figures)]


def _emulated(
    command: str, env: Mapping[str, str], between: Callable[[], None] = lambda: None
) -> Times:
    """Measure a command; `between` is called before each start."""
    first = []
    for _ in range(FIRST):
        between()
        with emulating(command, env) as emulator:
            first.append(_timed(emulator.invoke, _event(stream=False)))
    with emulating(command, env) as emulator:
        plain, streamed = (_median(emulator.invoke, _event(stream=kind)) for kind in (False, True))
    return Times(plain, streamed, first)


def _over_http(bed: Testbed) -> Times:
    with start_server("lambda", lambda_command, bed, lambda_env(bed)) as server:

        def ask(body: bytes) -> Result:
            with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as client:
                client.request("POST", "/v1/chat/completions", body, HEADERS)
                response = client.getresponse()
                return Result(response.status, response.read())

        bodies = (_body(stream=kind).encode() for kind in (False, True))
        plain, streamed = (_median(ask, body) for body in bodies)
    return Times(plain, streamed, [])


def _bare_start(bed: Testbed) -> float:
    with start_server("instant", instant_command, bed) as server:
        return server.seconds


def _median(ask: Callable[[bytes], Result], data: bytes) -> float:
    return median([_timed(ask, data) for _ in range(WARM_UP + RUNS)][WARM_UP:])


def _timed(ask: Callable[[bytes], Result], data: bytes) -> float:
    began = perf_counter()
    result = ask(data)
    seconds = perf_counter() - began
    if b"word0" not in result.raw:
        raise RuntimeError(result.raw[:500].decode())
    return seconds


def _body(*, stream: bool) -> str:
    return json.dumps({"model": "stub", "messages": HELLO, **({"stream": True} if stream else {})})


def _event(*, stream: bool) -> bytes:
    many = {name: [value] for name, value in HEADERS.items()}
    event = proxy_event(headers=HEADERS, multiValueHeaders=many, body=_body(stream=stream))
    return json.dumps(event).encode()
