"""
Two bare ASGI functions under uvicorn: the least that any gateway in Python costs.

`python -m tests.bench.baseline PORT` responds at once without any upstream call.
`python -m tests.bench.baseline PORT CONFIG` forwards each request to the model's provider, through
pyqwest, the gateway's HTTP client for TLS, without error handling or limits.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = [(b"content-type", b"application/json")]
EVENTS = [(b"content-type", b"text/event-stream")]


async def _body(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def instant_app(scope: Message, receive: Receive, send: Send) -> None:
    """Respond at once."""
    if scope["type"] != "http":
        return
    await _body(receive)
    await send({"type": "http.response.start", "status": 200, "headers": JSON})
    await send({"type": "http.response.body", "body": b'{"content":"word"}'})


def make_forwarding_app(config: str) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """An app that forwards each request to its model's provider, and the response back."""
    import msgspec
    import pyqwest

    entries = msgspec.json.decode(Path(config).read_bytes())["model_list"]
    urls = {one["model_name"]: one["litellm_params"]["api_base"] for one in entries}
    transport = pyqwest.HTTPTransport(
        http_version=pyqwest.HTTPVersion.HTTP1,
        pool_max_idle_per_host=400,
        enable_otel=False,
        enable_cookie_store=False,
    )
    client = pyqwest.Client(transport)
    headers = {"content-type": "application/json", "authorization": "Bearer sk-stub"}

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        data = msgspec.json.decode(await _body(receive))
        url = f"{urls[data['model']]}/chat/completions"
        body = msgspec.json.encode(data)
        if data.get("stream"):
            request = pyqwest.Request("POST", url, pyqwest.Headers(headers.items()), body)
            stream = await transport.execute(request)
            await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
            async for piece in stream.content:
                part = {"type": "http.response.body", "body": bytes(piece), "more_body": True}
                await send(part)
            await send({"type": "http.response.body", "body": b""})
            return
        response = await client.execute("POST", url, headers, body)
        content = msgspec.json.encode(msgspec.json.decode(response.content))
        await send({"type": "http.response.start", "status": response.status, "headers": JSON})
        await send({"type": "http.response.body", "body": content})

    return app


if __name__ == "__main__":
    uvicorn.run(
        make_forwarding_app(sys.argv[2]) if len(sys.argv) > 2 else instant_app,
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
    )
