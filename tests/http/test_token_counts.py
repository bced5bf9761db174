"""An estimate of a prompt's tokens is of what is sent, and a prompt that is rejected has none."""

from __future__ import annotations

import json
from typing import Any

from tests.support.in_process import AppResponse, InProcess, run_in_process

LISTED = [{"model_name": "m", "litellm_params": {"model": "hosted_vllm/m", "api_key": "k"}}]
HI = {"role": "user", "content": "Hi"}
OLD = {"role": "user", "content": "word " * 4000}


def ask(app: InProcess, path: str, *messages: Any) -> AppResponse:
    body: dict[str, Any] = {"model": "m", "messages": messages}
    body |= {} if path.endswith("tokens") else {"max_tokens": 9}
    return app.ask("POST", path, [json.dumps(body).encode()])


def compaction(text: object) -> dict[str, Any]:
    said = {"type": "text", "text": "word " * 500}
    summary = {"type": "compaction", "content": text}
    return {"role": "assistant", "content": [said, summary]}


def test_what_a_summary_stands_for_is_not_counted() -> None:
    with run_in_process({"model_list": LISTED}) as app:

        def count(*messages: Any) -> int:
            response = ask(app, "/v1/messages/count_tokens", *messages)
            assert response.headers["x-fanout-tokens"] == "estimated"
            found: int = json.loads(response.body)["input_tokens"]
            return found

        assert count(OLD, HI) > 3000
        assert count(OLD, compaction("A summary."), HI) < 100
        assert count(OLD, compaction(None), HI) > 3000  # it has failed


def test_a_prompt_that_no_model_takes_is_the_error_of_a_message() -> None:
    odd = [
        (compaction(5), HI),
        ({"role": "assistant", "content": [{"type": "compaction", "encrypted_content": "e"}]}, HI),
        ({"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]},),
    ]
    with run_in_process({"model_list": LISTED}) as app:
        for messages in odd:
            found, wanted = (
                ask(app, path, *messages) for path in ("/v1/messages/count_tokens", "/v1/messages")
            )
            assert (found.status, found.error) == (400, wanted.error)
            assert wanted.status == 400
