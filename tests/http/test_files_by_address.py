"""A document by its address, through each endpoint: each vendor gets it in its own field."""

from __future__ import annotations

import json
from typing import Any

from fanout.transport.engine import Outgoing
from fanout.wire.http import WireResponse
from tests.support.in_process import HelloEngine, InProcess, run_in_process

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


def test_a_scheme_has_any_case_and_what_is_no_address_is_not_sent() -> None:
    params = {"model": "anthropic/claude-x", "api_key": "k"}
    own = {"model": "openai/own", "api_key": "k", "api_base": "https://own.test/v1"}
    listed = [
        {"model_name": "claude", "litellm_params": params},
        {"model_name": "own", "litellm_params": own},
    ]
    vendors = Taking()

    def sent(app: InProcess, model: str, part: dict[str, Any]) -> Any:
        vendors.sent.clear()
        ask = {"model": model, "messages": [{"role": "user", "content": [part]}]}
        response = app.ask("POST", "/v1/chat/completions", [json.dumps(ask).encode()])
        if response.status != 200:
            assert (response.status, vendors.sent) == (400, [])
            return None
        return json.loads(vendors.sent[0].body)["messages"][0]["content"][0]

    upper = "HTTPS://files.test/a.pdf"
    with run_in_process({"model_list": listed}, vendors) as app:
        source = {"type": "url", "url": upper}
        image = {"type": "image_url", "image_url": {"url": upper}}
        file = {"type": "file", "file": {"file_id": upper}}
        assert sent(app, "claude", file) == {"type": "document", "source": source}
        assert sent(app, "claude", image) == {"type": "image", "source": source}
        for odd in ("ftp://files.test/a.pdf", ""):
            assert sent(app, "claude", {"type": "file", "file": {"file_id": odd}}) is None
        for model in ("claude", "own"):
            for empty in ({"type": "input_file", "file_url": ""}, {"type": "input_file"}):
                assert sent(app, model, empty) is None
            nothing = {"type": "document", "source": {"type": "url", "url": ""}}
            assert sent(app, model, nothing) is None
        data = "data:application/pdf;base64,JVBERi0="
        document = {"type": "document", "source": {"type": "url", "url": data}}
        assert sent(app, "own", document) == {"type": "file", "file": {"file_data": data}}
        assert sent(app, "claude", document)["source"]["type"] == "base64"
