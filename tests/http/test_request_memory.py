"""What a request's body takes in memory is freed with the request, not by the garbage collector."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

from msgspec.structs import replace

from tests.support.failing_requests import (
    AT_THE_CALL,
    AT_THE_CONTENT,
    ENDLESS,
    LIMIT,
    LIMITED,
    MASTER,
    MODELS,
    STATIC,
    WHILE_IT_SENDS,
    Request,
    Running,
    bearer,
    running,
)
from tests.support.no_collection import no_collection

SMALL, LARGE = 100_000, 1_200_000
"""Bytes of a text. A body with the large one is measured and parsed in a thread."""

Fields: TypeAlias = dict[str, Any]
Make: TypeAlias = Callable[[str, str], Fields]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}
CHAT = "/v1/chat/completions"


def chat(model: str, text: str) -> Fields:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def message(model: str, text: str) -> Fields:
    return {**chat(model, text), "max_tokens": 9}


def inputs(model: str, text: str) -> Fields:
    return {"model": model, "input": text}


def batch(model: str, text: str) -> Fields:
    window = {"endpoint": CHAT, "completion_window": "24h"}
    return {"input_file_id": text, "model": model, **window}


def upload(model: str, text: str) -> Fields:
    return {"filename": f"{text}.jsonl", "purpose": "batch", "bytes": 5, "mime_type": model}


def new_key(model: str, text: str) -> Fields:
    return {"models": [model], "metadata": {"note": text}}


ENDPOINTS: dict[str, Make] = {
    CHAT: chat,
    "/openai/deployments/good/chat/completions": chat,
    "/v1/messages": message,
    "/v1/responses": inputs,
    "/v1/embeddings": inputs,
    "/openai/deployments/good/embeddings": inputs,
    "/v1/messages/count_tokens": chat,
    "/v1/responses/input_tokens": inputs,
    "/v1/batches": batch,
    "/v1/uploads": upload,
    "/key/generate": new_key,
}
OF_MODELS = tuple(list(ENDPOINTS)[:6])
MANAGED = ("/key/generate",)
STREAMED = (CHAT, "/v1/messages", "/v1/responses")

Change: TypeAlias = Callable[[Fields], bytes]


def encoded(fields: Fields) -> bytes:
    return json.dumps(fields).encode()


def wrong_type(fields: Fields) -> bytes:
    """The text where a list or an object is expected, and the other way round."""
    text = max((v for v in fields.values() if isinstance(v, str)), key=len, default="")
    other: Fields = {k: {"wrong": v} if v is text else v for k, v in fields.items()}
    if "messages" in fields:
        other["messages"] = fields["messages"][0]["content"]
    return encoded(other)


OWN_PARTS: list[Fields] = [
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "4"}]},
]
CHANGES: dict[str, Change] = {
    "cut JSON": lambda fields: encoded(fields)[:-1],
    "bytes after JSON": lambda fields: encoded(fields) + b"x",
    "no object": lambda fields: encoded(fields).replace(b"{", b"[", 1)[:-1] + b"]",
    "a list": lambda fields: json.dumps([fields]).encode(),
    "wrong type": wrong_type,
    "unknown field": lambda fields: encoded({**fields, "unknown": "x"}),
    "wrong number": lambda fields: encoded({**fields, "temperature": "hot", "bytes": {}}),
    "long name": lambda fields: encoded({"x" * 9 + str(fields): 1, **fields}),
    "key twice": lambda fields: encoded(fields)[:-1] + b', "model": "good"}',
    "half characters": lambda fields: encoded({**fields, "user": "\ud800"}),
    "many values": lambda fields: encoded(fields)[:-1] + b', "x": [%b0]}' % (b"0," * 600_000),
    "a vendor's own parts": lambda fields: encoded(
        {**fields, "messages": [*fields.get("messages", []), *OWN_PARTS]}
    ),
    "too large": lambda fields: encoded({**fields, "user": "x" * LIMIT}),
}
MODES: dict[str, Fields] = {
    "race": {"model": "MODEL, good", "fastest_response": True},
    "failed race": {"model": "MODEL, invalid", "fastest_response": True},
    "all": {"model": "MODEL, good"},
    "hedge": {"fanout": {"mode": "race", "models": ["MODEL", "good"], "stagger": 0.001}},
    "fallback": {"fallbacks": ["good"]},
    "failed fallback": {"fallbacks": ["invalid"]},
    "agree": {"fanout": {"mode": "agree", "models": ["MODEL", "good", "good"]}},
    "checked": {"response_format": SCHEMA, "fanout": {"check": True, "attempts": 2}},
    "retried": {"num_retries": 1},
    "lease": {"fanout": {"lease": 2}},
}
FAILING = ("invalid", "unavailable", "late", "bug", "cut", "garbage")


Cases: TypeAlias = Iterator[tuple[str, Request]]


def cases(virtual: str) -> Cases:
    """Each request, with what it is; `virtual` is a virtual key."""
    for path, make in ENDPOINTS.items():
        yield from named(path, of_endpoint(path, make, MASTER if path in MANAGED else STATIC))
    yield from named("no length", of_endpoint(CHAT, chat, STATIC, has_length=False))
    for path in (CHAT, "/v1/embeddings"):
        yield from named(f"{path}, virtual key", of_endpoint(path, ENDPOINTS[path], virtual))
    for path, model in product(OF_MODELS, MODELS):
        yield from named(path, of_model(path, model, STATIC))
    for model in MODELS:
        yield from named("virtual key", of_model(CHAT, model, virtual))
        yield from named("once", sent_again(of_model(CHAT, model, STATIC)))
    for mode, model in product(MODES, FAILING):
        yield from named(mode, of_model(CHAT, model, STATIC, MODES[mode]))


def named(what: str, found: Cases) -> Cases:
    return ((f"{what}: {name}", request) for name, request in found)


def sent_again(found: Cases) -> Cases:
    """Each request with an `Idempotency-Key`, the same again, and another with the same key."""
    for name, request in found:
        if request.leaves and name.startswith(ENDLESS):
            continue  # it is served to its end
        once = replace(request, headers={**request.headers, "idempotency-key": name})
        yield name, once
        yield f"{name}, again", once
        yield f"{name}, another", replace(once, body=request.body + b" ")


def of_endpoint(path: str, make: Make, key: str, *, has_length: bool = True) -> Cases:
    headers, fields = bearer(key), make("good", "x" * SMALL)
    large = encoded(make("good", "x" * LARGE))
    packed = {**headers, "content-encoding": "gzip"}
    bodies: list[tuple[str, bytes, dict[str, str], str]] = [
        ("good", encoded(fields), headers, ""),
        ("large", large, headers, ""),
        ("unknown model", encoded(make("unknown", "x" * SMALL)), headers, ""),
        ("not packed", large, packed, ""),
        ("leaves", large, headers, WHILE_IT_SENDS),
        ("leaves, packed", gzip.compress(large, 0), packed, WHILE_IT_SENDS),
        ("key rejected", large, bearer("sk-unknown"), ""),
        ("forbidden", large, bearer(LIMITED), ""),
        *((name, change(fields), headers, "") for name, change in CHANGES.items()),
    ]
    for name, body, given, leaves in bodies:
        yield name, Request(path, body, given, leaves, has_length)


def of_model(path: str, model: str, key: str, more: Mapping[str, Any] = {}) -> Cases:
    for stream, leaves in product((False, True), ("", AT_THE_CALL, AT_THE_CONTENT)):
        if (stream and path not in STREAMED) or (leaves == AT_THE_CONTENT and not stream):
            continue
        if not leaves and model in ENDLESS and path != CHAT:
            continue
        fields = {**ENDPOINTS[path](model, "x" * SMALL), **more}
        fields |= {"stream": True} if stream else {}
        fields |= {"timeout": 0.01} if not leaves and model in ENDLESS else {}
        body = json.dumps(fields).replace("MODEL", model).encode()
        name = f"{model}, {stream=}, leaves {leaves}"
        yield name, Request(path.replace("/good/", f"/{model}/"), body, bearer(key), leaves)


async def left_after(app: Running, request: Request) -> int:
    """By how many bytes the request makes the process larger."""
    before = tracemalloc.get_traced_memory()[0]
    await app.send(request)
    await asyncio.to_thread(int)  # the only thread forgets what it did before
    return tracemalloc.get_traced_memory()[0] - before


async def all_left(home: Path) -> dict[str, int]:
    """What each request leaves that leaves more than a part of its body."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    found: dict[str, int] = {}
    async with running(home) as app:
        _, made = await app.send(Request("/key/generate", b"{}", bearer(MASTER)))
        for name, request in cases(json.loads(made)["key"]):
            if await left_after(app, request) < SMALL // 2:
                continue
            left = await left_after(app, request)  # the first of its kind imports modules
            if left >= SMALL // 2:
                found[name] = left
    return found


def test_no_request_leaves_any_of_its_body(tmp_path: Path) -> None:
    with no_collection():
        found = asyncio.run(all_left(tmp_path))
    assert found == {}
