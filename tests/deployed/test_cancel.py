"""Another environment of the function cancels a request, with the rights of the deployed role."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import openai
import pytest

from .deployed_stack import DeployedStack, Response, chat_body
from .scripted_provider import WORDS, ScriptedProvider

MESSAGES = [{"role": "user", "content": "Hello?"}]
KINDS: Mapping[str, tuple[int, dict[str, Any]]] = {
    "one": (1, {"model": "stuck"}),
    "all": (2, {"model": "stuck, stuck"}),
    "race": (2, {"model": "stuck, stuck", "fastest_response": True}),
    "prompts": (3, {"model": "stuck", "messages": [MESSAGES, MESSAGES, MESSAGES]}),
    "stream": (1, {"model": "stuck", "stream": True}),
}
"""The number of calls and the request of each kind."""


class Client:
    """Sends requests with ids, and cancels them."""

    def __init__(self, stack: DeployedStack, threads: ThreadPoolExecutor) -> None:
        self.stack = stack
        self._threads = threads

    def send(self, request_id: str, body: dict[str, Any]) -> Future[Response]:
        headers = {"authorization": f"Bearer {self.stack.key}", "x-request-id": request_id}
        return self._threads.submit(self.stack.ask, "POST", "/chat/completions", body, headers)

    def control(self, request_id: str, action: str = "cancel") -> Response:
        return self.stack.ask("POST", f"/chat/completions/{request_id}/{action}")


@pytest.fixture
def client(own: DeployedStack) -> Iterator[Client]:
    with ThreadPoolExecutor() as threads:
        yield Client(own, threads)


@pytest.mark.parametrize("name", KINDS)
def test_every_call_of_a_cancelled_request_is_closed(
    client: Client, provider: ScriptedProvider, name: str
) -> None:
    calls, fields = KINDS[name]
    sent = client.send(f"cancel-{name}", {"messages": MESSAGES, **fields})
    assert provider.was_called("stuck", calls)
    answer = client.control(f"cancel-{name}")
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    assert provider.was_disconnected("stuck", calls)
    response = sent.result()
    assert (response.status, response.error["code"]) == (499, "request_cancelled")
    assert client.control(f"cancel-{name}").status == 404


def test_a_stream_that_has_begun_ends_with_the_error(
    client: Client, provider: ScriptedProvider
) -> None:
    body: Any = chat_body("gated", stream=True)
    stream = client.stack.sdk().chat.completions.create(
        **body, extra_headers={"x-request-id": "cancel-begun"}
    )
    chunks = iter(stream)
    while not any(choice.delta.content == WORDS[0] for choice in next(chunks).choices):
        pass
    assert client.control("cancel-begun").status == 200
    with pytest.raises(openai.APIError) as raised:
        list(chunks)
    assert raised.value.code == "request_cancelled"


def test_a_request_goes_on_for_as_long_as_its_lease_is_renewed(
    client: Client, provider: ScriptedProvider
) -> None:
    assert client.control("lease", "renew").status == 404
    sent = client.send("lease", chat_body("stuck", fanout={"lease": 3}))
    assert provider.was_called("stuck")
    ended = threading.Event()
    sent.add_done_callback(lambda _: ended.set())
    renewed = [client.control("lease", "renew").status for _ in range(6) if not ended.wait(0.8)]
    assert 200 in renewed
    response = sent.result()  # nothing renews it now
    assert (response.status, response.error["code"]) == (499, "lease_expired")
    assert provider.was_disconnected("stuck")
    assert client.control("lease", "renew").status == 404


def test_an_unknown_request_is_a_404(client: Client) -> None:
    answer = client.control("unknown")
    assert (answer.status, answer.error["code"]) == (404, "request_not_found")
