"""Web pages that try to use a gateway without a key, and configs whose keys are none."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.gateway_process import Gateway, environment, fanout, gateway, model_list
from tests.support.provider_steps import answers
from tests.support.scripted_provider import open_upstream

from .attack import HI, PIECE, Attack, connect, count, form, named, others, seconds, statuses

CHAT = json.dumps({"model": "ok", "messages": HI}).encode()
TEXT = {"content-type": "text/plain"}
FOREIGN = "http://evil.example"
PAGES: dict[str, dict[str, str]] = {
    "a page of another origin": {"origin": FOREIGN},
    "a sandboxed page": {"origin": "null"},
    "a cross-site request without an origin": {"sec-fetch-site": "cross-site"},
    "another port of this machine": {"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site"},
    "DNS rebinding": {"host": "evil.example:4000", "origin": FOREIGN},
    "a name that begins like this machine": {"host": "127.0.0.1.evil.example"},
}
WAYS = (
    ("POST", "/v1/chat/completions", CHAT),
    ("GET", "/v1/files", b""),
    ("DELETE", "/v1/files/file-x", b""),
    ("POST", "/v1/files", b""),
)

KEYS: dict[str, dict[str, Any]] = {
    "`master_key` is empty": {"master_key": ""},
    "`master_key` is blank": {"master_key": " \n"},
    "a key is named `master`": {"keys": [{"name": "master", "key": "sk-a"}]},
    "a key is named `anyone`": {"keys": [{"name": "anyone", "key": "sk-a"}]},
    "two keys have one name": {"keys": [{"name": "a", "key": "sk-a"}, {"name": "a", "key": "b"}]},
    "two names have one key": {"keys": [{"name": "a", "key": "sk"}, {"name": "b", "key": "sk"}]},
}


def measure(folder: Path) -> Iterator[Attack]:
    """All of them."""
    with open_upstream() as upstream:
        upstream.script("ok", answers("Hello"))
        models = model_list([("ok", upstream.url, {"api_key": "none"})])
        with gateway({"model_list": models}, folder, quiet=True) as served:
            own = served.chat({"model": "ok", "messages": HI}).status
            upstream.calls.clear()
            wrong = [
                f"{name}: {method} {path}"
                for name, headers in PAGES.items()
                for method, path, body in WAYS
                if _status(served, method, path, body, headers) not in {403, 421}
            ]
            began = time.perf_counter()
            with connect(served.port) as sock:
                sock.sendall(_huge())
                early = statuses(sock.recv(PIECE))
            took = time.perf_counter() - began
        yield Attack(
            "web pages and foreign hosts",
            f"without a key: {', '.join(PAGES)}; chat, a form, reading and deleting files",
            [
                count("responses other than 403 and 421" + named(wrong), len(wrong)),
                count("calls to the provider", len(upstream.calls)),
                count("own requests that fail", int(own != 200)),
                count("a body is waited for before the 403", others(early, 403)),
                seconds("the 403 takes", took, 1),
            ],
        )
    yield _wrong_configs(folder)


def _status(served: Gateway, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    more = TEXT
    if path == "/v1/files" and method == "POST":
        body, more = form(b"{}\n")
    with served.ask(body, path, method, {**more, **headers}) as response:
        return response.status


def _huge() -> bytes:
    """The head of a large request of another page; its body never comes."""
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", f"origin: {FOREIGN}"]
    return "\r\n".join([*lines, "content-length: 30000000", "", ""]).encode()


def _wrong_configs(folder: Path) -> Attack:
    served = []
    for name, general in KEYS.items():
        path = folder / "wrong.yaml"
        path.write_text(json.dumps({"general_settings": general}))
        command = fanout("serve", "--config", str(path), "--port", "0")
        env = environment(folder)
        done = subprocess.run(  # noqa: S603 -- our own
            command, env=env, capture_output=True, timeout=30, check=False
        )
        if done.returncode != 2 or b"Traceback" in done.stderr:
            served.append(name)
    return Attack(
        "keys that are none, or another's",
        ", ".join(KEYS),
        [count("configs that are served" + named(served), len(served))],
    )
