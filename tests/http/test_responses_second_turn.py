"""The second turn of `/v1/responses` with many vendors: each rejects what it does not know."""

from __future__ import annotations

import json
from typing import Any

from tests.http.test_second_turn import VENDORS, StrictVendors
from tests.support.in_process import InProcess, run_in_process

HI: Any = {"role": "user", "content": "Hello."}


def asked(app: InProcess, **body: Any) -> Any:
    """The response, also of a stream, whose last event has it whole."""
    response = app.ask("POST", "/v1/responses", [json.dumps(body).encode()])
    assert response.status == 200, response.body
    if not body.get("stream"):
        return json.loads(response.body)
    lines = [line[6:] for line in response.body.split(b"\n") if line.startswith(b"data: {")]
    last = json.loads(lines[-1])
    assert last["type"] == "response.completed", last
    return last["response"]


def next_turn(response: Any) -> list[Any]:
    """What an agent sends next: its output and the results of the calls, one with an image."""
    calls = [item["call_id"] for item in response["output"] if item["type"] == "function_call"]
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    outputs: list[Any] = [[{"type": "input_text", "text": "1"}, image], "2", "3"]
    results = [
        {"type": "function_call_output", "call_id": call, "output": output}
        for call, output in zip(calls, outputs, strict=False)
    ]
    return [HI, *response["output"], *results, HI]


def test_each_vendor_goes_on_with_what_another_has_begun() -> None:
    """Whole and streamed, alone and in a race; every member of the race must accept it."""
    listed = [
        {
            "model_name": name,
            "litellm_params": {"model": model, "api_key": "k", "api_base": f"https://{name}.test"},
        }
        for name, (model, _, _) in VENDORS.items()
        if name != "openai"  # it has this API itself
    ]
    names = ", ".join(name for name in VENDORS if name != "openai")
    config = {"model_list": listed, "router_settings": {"num_retries": 0}}
    with run_in_process(config, StrictVendors()) as app:
        for entry in listed:
            for stream in (False, True):
                items = next_turn(asked(app, model=entry["model_name"], input=[HI], stream=stream))
                every = asked(app, model=names, input=items, stream=stream)
                failed = [one for one in every["fanout"]["responses"] if one["error"]]
                assert failed == [], (entry["model_name"], failed)
                raced = {"fanout": {"mode": "race"}, "stream": stream}
                assert asked(app, model=names, input=items, **raced)["output"]
        assert {record.outcome for record in app.observer.attempts} <= {"ok", "won", "cancelled"}
