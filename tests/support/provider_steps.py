"""The steps of a scripted provider's responses, and common responses made of them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from .scripted_provider import Call, CloseConnection, Gate, Script, Step, Upstream


def pause(seconds: float) -> Step:
    """Wait this many seconds."""

    async def step(_: Call) -> None:
        await asyncio.sleep(seconds)

    return step


def wait(gate: Gate) -> Step:
    """Wait until the gate is opened."""

    async def step(_: Call) -> None:
        await gate.passed()

    return step


def until(fact: Callable[[], object]) -> Step:
    """Wait until the fact holds, which another thread may bring about."""

    async def step(_: Call) -> None:
        while not fact():  # noqa: ASYNC110 -- what changes it is not known here
            await asyncio.sleep(0.005)

    return step


def called(upstream: Upstream, *models: str) -> Step:
    """Wait until each of these models has been called, too."""
    return until(lambda: all(upstream.calls_to(model) for model in models))


def opens(gate: Gate) -> Step:
    """Open a gate."""

    async def step(_: Call) -> None:
        gate.open()

    return step


async def hang(_: Call) -> None:
    """Wait forever."""
    await asyncio.Event().wait()


async def head(call: Call) -> None:
    """Send a stream's status and headers; does nothing in a plain response."""
    call.head()


async def role(call: Call) -> None:
    """Send the first chunk of every OpenAI stream: a role and an empty content."""
    if call.streams:
        call.piece(call.wire_format.opening(call.model))


def say(text: str) -> Step:
    """Send content."""
    return delta(content=text)


def delta(**fields: Any) -> Step:
    """Send one delta of a stream; a plain response gets its content."""

    async def step(call: Call) -> None:
        call.words.append(fields.get("content") or "")
        if call.streams:
            call.piece(call.wire_format.delta(call.model, fields))

    return step


def comment(text: str) -> Step:
    """Send a comment, as OpenRouter does while it waits."""

    async def step(call: Call) -> None:
        if call.streams:
            call.piece(f": {text}\n\n".encode())

    return step


async def stop(call: Call) -> None:
    """End a stream completely, or send the whole plain response."""
    if call.streams:
        call.piece(call.wire_format.closing(call.model))
        call.end()
    else:
        body = call.wire_format.whole(call.model, "".join(call.words))
        call.whole(200, body, {"content-type": "application/json"})


async def end(call: Call) -> None:
    """End the HTTP response without the chunks that end a stream."""
    call.end()


async def cut(call: Call) -> None:
    """Close the connection normally."""
    await call.writer.drain()
    raise CloseConnection


async def reset(call: Call) -> None:
    """Reset the connection."""
    await call.writer.drain()
    sock = call.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise CloseConnection


def raw(data: bytes) -> Step:
    """Write bytes on the connection, which need not be valid HTTP."""

    async def step(call: Call) -> None:
        call.writer.write(data)

    return step


def piece(data: bytes) -> Step:
    """Send bytes in a stream, which need not be valid events, or as a whole plain body."""

    async def step(call: Call) -> None:
        if call.streams:
            call.piece(data)
        else:
            call.whole(200, data, {"content-type": "application/json"})

    return step


def refuse(
    status: int, message: str = "no", /, headers: Mapping[str, str] = {}, **fields: Any
) -> Step:
    """Send an error with this status, in the provider's format."""

    async def step(call: Call) -> None:
        body = call.wire_format.error({"message": message, **fields})
        call.whole(status, body, {"content-type": "application/json", **headers})

    return step


def reply(status: int, body: bytes, headers: Mapping[str, str] = {}) -> Step:
    """Send a whole response with this body."""

    async def step(call: Call) -> None:
        call.whole(status, body, headers)

    return step


# ---- common scripts ----


def answers(*words: str, after: float = 0.0, between: float = 0.0) -> Script:
    """A complete response; `after` and `between` are seconds before the first and other words."""
    script: list[Step] = [pause(after), role]
    for word in words or ("Hello",):
        script += [say(word), pause(between)]
    return [*script, stop]


def stalls(*before: Step) -> Script:
    """Take these steps, and then send nothing more."""
    return [*before, hang]


def slow_and_fast(upstream: Upstream, slow: str, fast: str, *words: str) -> None:
    """`fast` responds once `slow` has been called, too; `slow` never sends content."""
    asked = upstream.gate()
    upstream.script(slow, stalls(role, opens(asked)))
    upstream.script(fast, [wait(asked), *answers(*words)])
