"""A document by its address, through each endpoint: each vendor gets it in its own field."""

from __future__ import annotations

import json
from typing import Any

from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.support.in_process import HelloEngine, run_in_process

URL = "https://files.test/a.pdf"
ASKS: dict[str, dict[str, Any]] = {
    "/v1/messages": {
        "max_tokens": 50,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "document", "source": {"type": "url", "url": URL}},
                    {"type": "text", "text": "Read it."},
                ],
            }
        ],
    },
    "/v1/responses": {
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_file", "file_url": URL},
                    {"type": "input_text", "text": "Read it."},
                ],
            }
        ],
    },
    "/v1/chat/completions": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "file", "file": {"file_id": URL}},
                    {"type": "text", "text": "Read it."},
                ],
            }
        ],
    },
}
CLAUDES = {"type": "document", "source": {"type": "url", "url": URL}}
OPENAIS = {"type": "input_file", "file_url": URL}
WANTED: dict[str, Any] = {
    "anthropic/claude-x": CLAUDES,
    "azure/gpt-5-pro": OPENAIS,
    "openai/gpt-5-pro": OPENAIS,
    "openai/responses/own": OPENAIS,
    "openai/gpt-4o": None,
}


class Taking(HelloEngine):
    """Vendors that respond with something; Anthropic in its own form."""

    async def send(self, request: Outgoing) -> WireResponse:
        found = await super().send(request)
        if "/messages" not in request.url:
            return found
        whole = {"type": "message", "content": [{"type": "text", "text": "Hello"}], "usage": {}}
        return WireResponse(200, {}, json.dumps(whole).encode())


def test_a_document_by_its_address_is_in_the_vendors_own_field() -> None:
    own = {"openai/responses/own": {"api_base": "https://own.test/v1"}}
    own["azure/gpt-5-pro"] = {"api_base": "https://az.test"}
    listed = [
        {
            "model_name": model,
            "litellm_params": {"model": model, "api_key": "k", **own.get(model, {})},
        }
        for model in WANTED
    ]
    config = {"model_list": listed, "router_settings": {"num_retries": 0}}
    wrong: list[Any] = []
    vendors = Taking()
    with run_in_process(config, vendors) as app:
        for model, wanted in WANTED.items():
            for path, ask in ASKS.items():
                vendors.sent.clear()
                response = app.ask("POST", path, [json.dumps({**ask, "model": model}).encode()])
                sent = [json.loads(one.body) for one in vendors.sent]
                text = json.dumps(sent)
                passes = model == "openai/gpt-4o" and path == "/v1/responses"
                if wanted is None and not passes:
                    is_right = (response.status, sent) == (400, []) and b"address" in response.body
                else:
                    is_right = response.status == 200 and json.dumps(wanted or OPENAIS) in text
                if not is_right:
                    wrong.append((model, path, response.status, response.body, text))
    assert wrong == []


def test_a_file_url_with_a_data_url_is_the_files_data() -> None:
    params = {"model": "openai/own", "api_key": "k", "api_base": "https://own.test/v1"}
    vendors = Taking()
    with run_in_process(
        {"model_list": [{"model_name": "m", "litellm_params": params}]}, vendors
    ) as app:
        for scheme in ("data", "DATA"):
            part = {"type": "input_file", "file_url": f"{scheme}:application/pdf;base64,JVBERi0="}
            ask = {"model": "m", "input": [{"role": "user", "content": [part]}]}
            assert app.ask("POST", "/v1/responses", [json.dumps(ask).encode()]).status == 200
            [sent] = json.loads(vendors.sent[-1].body)["messages"][0]["content"]
            assert sent["file"] == {"file_data": "data:application/pdf;base64,JVBERi0="}
