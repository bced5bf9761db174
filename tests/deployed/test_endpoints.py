"""The endpoints beside chat completions, through API Gateway and the Lambda function."""

from __future__ import annotations

from .deployed_stack import DeployedStack
from .scripted_provider import ANSWER

RACE = {"fastest_response": True}
MESSAGES = {
    "model": "quick",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Hello?"}],
}


def test_messages_gets_a_message(own: DeployedStack) -> None:
    response = own.ask("POST", "/messages", MESSAGES)
    assert response.status == 200
    assert response.json["type"] == "message"
    assert [block["text"] for block in response.json["content"]] == [ANSWER]


def test_messages_races_models(own: DeployedStack) -> None:
    response = own.ask("POST", "/messages", {**MESSAGES, "model": "broken, quick"} | RACE)
    assert (response.status, response.json["model"]) == (200, "quick")


def test_responses_gets_a_response(own: DeployedStack) -> None:
    answer = own.sdk().responses.create(model="quick", input="Hello?")
    assert (answer.status, answer.output_text) == ("completed", ANSWER)


def test_responses_streams_to_its_last_event(own: DeployedStack) -> None:
    with own.sdk().responses.stream(model="quick", input="Hello?") as events:
        assert events.get_final_response().output_text == ANSWER


def test_embeddings_gets_vectors(own: DeployedStack) -> None:
    answer = own.sdk().embeddings.create(model="quick", input=["a", "b"])
    assert [item.embedding for item in answer.data] == [[0.0, 1.0], [1.0, 1.0]]


def test_a_body_over_six_megabytes_is_a_413_that_anthropics_sdk_reads(own: DeployedStack) -> None:
    response = own.ask("POST", "/messages", b'{"x": "' + b"x" * 6_100_000 + b'"}')
    assert (response.status, response.json["type"]) == (413, "error")
    assert "6 MB" in response.json["error"]["message"]
