"""In mode `all`, the header names what any of the models did not get, as it does for one model."""

from __future__ import annotations

import json
from typing import Any

from tests.support.in_process import HelloEngine, run_in_process

HI = [{"role": "user", "content": "Hi"}]
ASKS: dict[str, dict[str, Any]] = {
    "/v1/messages": {
        "messages": HI,
        "max_tokens": 9,
        "output_config": {"effort": "low"},
        "top_k": 3,
        "temperature": 0.5,
        "novel": True,
    },
    "/v1/responses": {
        "input": "Hi",
        "reasoning": {"effort": "low"},
        "frequency_penalty": 0.5,
        "temperature": 0.5,
        "truncation": "auto",
    },
}
MODELS = ("openai/gpt-4o", "openai/gpt-5", "deepseek/deepseek-chat", "mistral/mistral-large")


def test_all_names_what_each_of_its_models_names() -> None:
    listed = [{"model_name": m, "litellm_params": {"model": m, "api_key": "k"}} for m in MODELS]
    wrong: list[Any] = []
    with run_in_process({"model_list": listed}, HelloEngine()) as app:

        def dropped(path: str, **more: Any) -> set[str]:
            data = json.dumps({**ASKS[path], **more}).encode()
            response = app.ask("POST", path, [data])
            assert response.status == 200, response.body
            return set(response.headers.get("x-fanout-dropped", "").split(", ")) - {""}

        for path in ASKS:
            for stream in (False, True):
                alone = [dropped(path, model=model, stream=stream) for model in MODELS]
                assert len({*map(frozenset, alone)}) > 1
                fanout = {"mode": "all", "models": MODELS}
                found = dropped(path, fanout=fanout, stream=stream)
                if found != set().union(*alone):
                    wrong.append((path, stream, found, alone))
    assert wrong == []
