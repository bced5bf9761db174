"""The steps of a scripted provider's answers, and the usual answers made of them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Any

from .scripted_provider import Call, CloseConnection, Gate, Script, Step, Upstream


def pause(seconds: float) -> Step:
    """Do nothing for a while."""

    async def step(_: Call) -> None:
        await asyncio.sleep(seconds)

    return step


def wait(gate: Gate) -> Step:
    """Do nothing until the gate is opened."""

    async def step(_: Call) -> None:
        await gate.passed()

    return step


def opens(gate: Gate) -> Step:
    """Open a gate."""

    async def step(_: Call) -> None:
        gate.open()

    return step


async def hang(_: Call) -> None:
    """Do nothing, for ever."""
    await asyncio.Event().wait()


async def head(call: Call) -> None:
    """A stream's status line and headers; nothing, where the answer is not one."""
    call.head()


async def role(call: Call) -> None:
    """What OpenAI opens every stream with: a role and an empty content."""
    if call.streams:
        call.piece(call.wire_format.opening(call.model))


def say(text: str) -> Step:
    """Some content."""
    return delta(content=text)


def delta(**fields: Any) -> Step:
    """One delta of a stream, as it is; of a plain answer, its content."""

    async def step(call: Call) -> None:
        call.words.append(fields.get("content") or "")
        if call.streams:
            call.piece(call.wire_format.delta(call.model, fields))

    return step


def comment(text: str) -> Step:
    """A comment of a stream, such as OpenRouter sends while it waits."""

    async def step(call: Call) -> None:
        if call.streams:
            call.piece(f": {text}\n\n".encode())

    return step


async def stop(call: Call) -> None:
    """The end of an answer, and with a plain one all of it."""
    if call.streams:
        call.piece(call.wire_format.closing(call.model))
        call.end()
    else:
        body = call.wire_format.whole(call.model, "".join(call.words))
        call.whole(200, body, {"content-type": "application/json"})


async def end(call: Call) -> None:
    """The end of HTTP's answer, but not of the model's."""
    call.end()


async def cut(call: Call) -> None:
    """Close the connection as if all were said."""
    await call.writer.drain()
    raise CloseConnection


async def reset(call: Call) -> None:
    """Reset the connection."""
    await call.writer.drain()
    sock = call.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise CloseConnection


def raw(data: bytes) -> Step:
    """Bytes on the connection, whatever HTTP may think of them."""

    async def step(call: Call) -> None:
        call.writer.write(data)

    return step


def piece(data: bytes) -> Step:
    """Bytes inside a stream, whatever the wire may think of them; or a whole plain body."""

    async def step(call: Call) -> None:
        if call.streams:
            call.piece(data)
        else:
            call.whole(200, data, {"content-type": "application/json"})

    return step


def refuse(
    status: int, message: str = "no", /, headers: Mapping[str, str] = {}, **said: Any
) -> Step:
    """An error with this status, in the vendor's shape."""

    async def step(call: Call) -> None:
        body = call.wire_format.error({"message": message, **said})
        call.whole(status, body, {"content-type": "application/json", **headers})

    return step


def reply(status: int, body: bytes, headers: Mapping[str, str] = {}) -> Step:
    """A whole answer, as it is."""

    async def step(call: Call) -> None:
        call.whole(status, body, headers)

    return step


# ---- the usual scripts ----


def answers(*words: str, after: float = 0.0, between: float = 0.0) -> Script:
    """A good answer; `after` seconds to its first word, `between` seconds from word to word."""
    script: list[Step] = [pause(after), role]
    for word in words or ("Hello",):
        script += [say(word), pause(between)]
    return [*script, stop]


def stalls(*before: Step) -> Script:
    """Take these steps, and then never say another word."""
    return [*before, hang]


def slow_and_fast(upstream: Upstream, slow: str, fast: str, *words: str) -> None:
    """`fast` answers, but not before `slow` has been asked too; `slow` never says a word."""
    asked = upstream.gate()
    upstream.script(slow, stalls(role, opens(asked)))
    upstream.script(fast, [wait(asked), *answers(*words)])
