"""Providers that try to fill the memory, to be paid twice, or to control a terminal."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import trustme

from tests.faults.gateway_process import Gateway, environment, fanout, gateway, model_list
from tests.support.forward_proxy import open_proxy
from tests.support.http2_server import StreamCall
from tests.support.provider_steps import answers, head, piece, refuse, reply, role
from tests.support.scripted_provider import Call, Script, Upstream, open_upstream

from .attack import HI, KEY, MB, PIECE, Attack, count, others, watched

LIMIT = 32
"""MB of one response, by default."""

ODD_KEY = "sk-odd+ODD/0123456789=="
CONTROLS = "\x1b]0;title\x07\x1b]52;c;aGk=\x07\x1b[2J\u202e"
UNSAFE = re.compile(r"\x1b\](?:0|52)|\x1b\[2J|[\u202a-\u202e\u2066-\u2069]")


def measure(folder: Path) -> Iterator[Attack]:
    """All of them."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    with open_upstream() as plain, open_upstream(context) as tls:
        names = ("ok", "bomb", "chunks", "quotes", "controls", "local")
        models = [(name, plain.url, {"api_key": ODD_KEY}) for name in names]
        models += [(name, tls.url, {"api_key": ODD_KEY}) for name in ("bomb-h2", "breaks")]
        config = {
            "model_list": model_list(models),
            "router_settings": {"num_retries": 0},
            "general_settings": {"master_key": "sk-master"},
        }
        env = {"SSL_CERT_FILE": str(folder / "ca.pem")}
        for upstream in (plain, tls):
            upstream.script("ok", answers("Hello"))
        with open_proxy() as proxy:
            proxies = {"HTTP_PROXY": proxy.url, "http_proxy": proxy.url, "ALL_PROXY": proxy.url}
            with gateway(config, folder, env=env | proxies) as served:
                yield _paid_twice(served, tls)
                yield _bombs(served, plain, tls)
                yield _chunks(served, plain)
                yield _redaction(served, plain)
            yield Attack(
                "a proxy of the environment",
                "`HTTP_PROXY`, `http_proxy` and `ALL_PROXY` are set; providers are on 127.0.0.1",
                [count("calls through the proxy", len(proxy.targets))],
            )
        yield _terminal(config, folder, plain)


def _paid_twice(served: Gateway, tls: Upstream) -> Attack:
    async def breaks(call: Call) -> None:
        if isinstance(call, StreamCall):
            call.reset(2)  # INTERNAL_ERROR
        else:
            call.writer.transport.abort()

    tls.script("breaks", [breaks])
    found = [served.chat({"model": "breaks", "messages": HI}, KEY).status for _ in range(3)]
    return Attack(
        "a provider that breaks after it was paid",
        "three calls to an HTTPS provider, which resets each after it has read the request",
        [
            count("responses other than 502", others(found, 502)),
            count("calls sent", len(tls.calls_to("breaks")), 3),
        ],
    )


def _bombs(served: Gateway, plain: Upstream, tls: Upstream) -> Attack:
    bomb = gzip.compress(b" " * (300 * MB), compresslevel=1)
    script: Script = [reply(200, bomb, {"content-encoding": "gzip"})]
    plain.script("bomb", script)
    tls.script("bomb-h2", script)
    for _ in range(25):  # an address with small responses before
        served.chat({"model": "ok", "messages": HI}, KEY)
    with watched(served) as usage:
        found = [
            served.chat({"model": model, "messages": HI}, KEY).status
            for model in ("bomb", "bomb-h2") * 2
        ]
    return Attack(
        "gzip bombs",
        f"{len(bomb) / MB:.1f} MB that unpack to 300 MB, over HTTP/1.1 and HTTP/2, also from an "
        "address with 25 small responses before",
        [count("responses other than 502", others(found, 502)), *usage.figures(5 * LIMIT)],
    )


def _chunks(served: Gateway, plain: Upstream) -> Attack:
    delta = {"role": "assistant", "padding": "x" * 4 * MB}
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta}],
    }
    data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    plain.script("chunks", [head, role, *[piece(data)] * 60])
    with watched(served) as usage:
        body = {"model": "chunks", "messages": HI, "stream": True}
        found = served.chat(body, KEY).status
    return Attack(
        "big chunks before the first word",
        "60 chunks of 4 MB without content",
        [count("responses other than 502", others([found], 502)), *usage.figures(60)],
    )


def _redaction(served: Gateway, plain: Upstream) -> Attack:
    host = plain.url.partition("//")[2]
    forms = [
        ODD_KEY,
        quote(ODD_KEY),
        quote(ODD_KEY, safe=""),
        b64encode(ODD_KEY.encode()).decode(),
        b64encode(f"user:{ODD_KEY}".encode()).decode(),
        plain.url,
        host,
    ]
    plain.script("quotes", [refuse(400, " ; ".join(forms))])
    leaks = 0
    for stream in (False, True):
        with served.ask({"model": "quotes", "messages": HI, "stream": stream}, headers=KEY) as got:
            text = got.read().decode() + str(got.getheaders())
        leaks += sum(form in text for form in forms)
    leaks += sum(form in served.log.split("\n", 1)[1] for form in forms)
    return Attack(
        "an error that quotes the key and the address",
        "the key as it is, URL-encoded and in base64, the address with and without its scheme",
        [count("of them in responses or the log", leaks)],
    )


def _terminal(config: Mapping[str, object], folder: Path, plain: Upstream) -> Attack:
    """What `fanout` writes on a terminal when a provider sends control sequences."""
    path = folder / "terminal.yaml"
    path.write_text(json.dumps({**config, "general_settings": {}}))
    plain.script("controls", [refuse(400, CONTROLS, code=f"limit[/]{CONTROLS}")])
    lines = folder / "lines.jsonl"
    body = {"model": "controls", "messages": HI}
    one = {"custom_id": CONTROLS, "method": "POST", "url": "/v1/chat/completions", "body": body}
    lines.write_text(json.dumps(one) + "\n")
    shown = ""
    for words in (
        ("ask", "Hi", "-m", "controls"),
        ("race", "Hi", "-m", "controls,local"),
        ("batch", "quote", str(lines)),
        ("batch", "run", str(lines)),
    ):
        shown += _drawn(fanout(*words, "--config", str(path)), folder)
    return Attack(
        "control sequences, and markup in an error's code",
        "titles, the clipboard, clearing and bidirectional text in errors and ids; `limit[/]`; "
        "`ask`, `race`, `batch quote` and `batch run` on a terminal",
        [
            count("of them on the terminal", len(UNSAFE.findall(shown))),
            count("tracebacks", shown.count("Traceback")),
            count("commands that show nothing", int(not shown)),
        ],
    )


def _drawn(command: list[str], folder: Path) -> str:
    ours, theirs = pty.openpty()
    env = {**environment(folder), "TERM": "xterm", "COLUMNS": "150"}
    with subprocess.Popen(  # noqa: S603 -- our own
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=env, cwd=folder
    ) as process:
        os.close(theirs)
        drawn = b""
        with suppress(OSError):  # Linux's end of a terminal
            while part := os.read(ours, PIECE):
                drawn += part
        process.wait(30)
    os.close(ours)
    return drawn.decode(errors="replace")
