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


DATA = "AAAA" * 5000
ADDRESS = "https://files.test/a"
FORMS: list[dict[str, Any]] = [
    {"type": "base64", "media_type": "image/png", "data": DATA},
    {"type": "url", "url": ADDRESS},
    {"type": "url", "url": f"data:image/png;base64,{DATA}"},
    {"type": "file", "file_id": "file_1"},
]
BLOCKS = [{"type": kind, "source": form} for kind in ("image", "document") for form in FORMS]
PARTS: list[dict[str, Any]] = [
    {"type": "input_image", "image_url": ADDRESS},
    {"type": "input_image", "image_url": f"data:image/png;base64,{DATA}"},
    {"type": "input_file", "file_url": ADDRESS},
    {"type": "input_file", "file_id": "file_1"},
    {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{DATA}"},
]


def test_each_file_counts_alike_whatever_its_form() -> None:
    with run_in_process({"model_list": LISTED}) as app:

        def count(path: str, content: list[Any]) -> int:
            name = "messages" if path.startswith("/v1/messages") else "input"
            body = {"model": "m", name: [{"role": "user", "content": content}]}
            response = app.ask("POST", path, [json.dumps(body).encode()])
            assert response.status == 200, response.body
            found: int = json.loads(response.body)["input_tokens"]
            return found

        for path, parts in (
            ("/v1/messages/count_tokens", BLOCKS),
            ("/v1/responses/input_tokens", PARTS),
        ):
            for part in parts:
                one, two = count(path, [part]), count(path, [part, part])
                assert 1600 < one < 1650, part
                assert 3200 < two < 3300, part
        result = {"type": "tool_result", "tool_use_id": "t", "content": BLOCKS[1:2]}
        assert 1600 < count("/v1/messages/count_tokens", [result]) < 1660


def test_text_counts_by_its_characters_wherever_it_is() -> None:
    text = "word " * 4000
    source = {"type": "text", "media_type": "text/plain", "data": text}
    rows: list[tuple[str, dict[str, Any]]] = [
        (
            "/v1/messages/count_tokens",
            {"messages": [{"role": "user", "content": [{"type": "document", "source": source}]}]},
        ),
        ("/v1/responses/input_tokens", {"input": f"data: {text}"}),
    ]
    with run_in_process({"model_list": LISTED}) as app:
        for path, body in rows:
            response = app.ask("POST", path, [json.dumps({"model": "m", **body}).encode()])
            assert json.loads(response.body)["input_tokens"] > 3000, path
