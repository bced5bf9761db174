"""What only Azure has; `test_openai` checks its golden files with OpenAI's SDK."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from openai import AzureOpenAI, OpenAI

from fanout.providers import registry
from fanout.providers.base import Header, Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent

AZURE = registry.find("azure")
GOLDEN = Path(__file__).parent / "golden" / "azure"
BASE = "https://res.openai.azure.com"
DATED = sorted(
    path.parent
    for path in GOLDEN.glob("*/wire.json")
    if "/deployments/" in json.loads(path.read_text())["path"]
)


def sdk_url(client: OpenAI, seen: list[httpx2.Request], body: dict[str, Any]) -> httpx2.URL:
    client.chat.completions.create(**body)
    return seen[-1].url


def recorder(seen: list[httpx2.Request]) -> httpx2.Client:
    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"choices": []})

    return httpx2.Client(transport=httpx2.MockTransport(answer))


@pytest.mark.parametrize("case", DATED, ids=[case.name for case in DATED])
def test_a_dated_version_goes_to_the_same_url_as_the_sdk(case: Path) -> None:
    wire = json.loads((case / "wire.json").read_text())
    target = json.loads((case / "target.json").read_text())
    seen: list[httpx2.Request] = []
    client = AzureOpenAI(
        api_key="none",
        azure_endpoint=BASE,
        api_version=target["options"]["api_version"],
        http_client=recorder(seen),
    )
    assert str(sdk_url(client, seen, wire["body"])) == BASE + wire["path"]
    assert seen[-1].headers["api-key"] == "none"
    assert AZURE.auth == Header("api-key")


def test_without_a_date_it_goes_to_the_url_in_microsofts_docs() -> None:
    wire = json.loads((GOLDEN / "v1" / "wire.json").read_text())
    seen: list[httpx2.Request] = []
    client = OpenAI(api_key="none", base_url=f"{BASE}/openai/v1/", http_client=recorder(seen))
    assert urlsplit(str(sdk_url(client, seen, wire["body"]))).path == wire["path"]


def test_the_key_has_two_names_and_the_address_is_in_the_config() -> None:
    assert AZURE.keys == ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY")
    assert AZURE.base_url == "{api_base}"
    assert AZURE.billing == "stops"


def path_of(**target: Any) -> str:
    request = parse_chat({"model": "m", "messages": [{"role": "user", "content": "Hi."}]})
    return AZURE.chat.encode(request, Target("our-name", **target), False).path


def test_nothing_in_a_deployments_name_or_version_can_change_the_address() -> None:
    path = path_of(model="../x?y#z", options={"api_version": "2024-10-21&a=b"})
    assert path == (
        "/openai/deployments/..%2Fx%3Fy%23z/chat/completions?api-version=2024-10-21%26a%3Db"
    )


def test_the_path_of_the_base_url_is_not_repeated() -> None:
    assert path_of(model="m", options={"api_base": BASE}) == "/openai/v1/chat/completions"
    assert path_of(model="m", options={"api_base": f"{BASE}/openai/v1"}) == "/chat/completions"


def chunks(*values: dict[str, Any]) -> tuple[list[Any], bool]:
    decoder = AZURE.chat.decoder(Target("our-name", "m"))
    events = [WireEvent(json.dumps(value).encode()) for value in values]
    return [chunk for event in events for chunk in decoder.feed(event)], decoder.ended


def test_filter_results_alone_are_no_chunk_and_do_not_end_the_stream() -> None:
    assert chunks({"choices": [], "prompt_filter_results": []}) == ([], False)


def test_usage_without_choices_is_a_chunk() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    found, _ = chunks({"id": "c", "choices": [], "usage": usage})
    assert found == [{"id": "c", "choices": [], "usage": usage}]


def test_filter_results_before_any_chunk_with_an_id_are_sent_without_blank_fields() -> None:
    results = {"id": "", "model": "", "created": 0, "object": "", "choices": [{"index": 0}]}
    choice = {"delta": {}, "index": 0, "finish_reason": None}
    assert chunks(results) == ([{"choices": [choice]}], False)
