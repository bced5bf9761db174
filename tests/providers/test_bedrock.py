"""
What only Bedrock's OpenAI-compatible endpoint has; Converse has `test_converse`.

`test_openai` checks its golden files with OpenAI's SDK.
"""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI
from openai.providers import bedrock

from fanout.providers import registry
from fanout.providers.base import SigV4, Target, WireError
from fanout.providers.bedrock.reasoning_tags import TagSplitter
from fanout.wire.http import WireEvent, WireResponse

BEDROCK = registry.find("bedrock")
GOLDEN = Path(__file__).parent / "golden" / "bedrock"
OSS = Target("our-name", "openai.gpt-oss-20b-1:0")


def test_a_request_goes_to_the_same_url_as_openais_sdk_for_bedrock() -> None:
    """A Bedrock API key is sent as a bearer token."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"choices": []})

    client = OpenAI(
        provider=bedrock(endpoint="runtime", region="eu-west-1", api_key="made-up"),
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer)),
    )
    wire = json.loads((GOLDEN / "text" / "wire.json").read_text())
    client.chat.completions.create(**wire["body"])
    assert str(seen[-1].url) == BEDROCK.base_url.format(region="eu-west-1") + wire["path"]
    assert seen[-1].headers["authorization"] == "Bearer made-up"


def test_requests_are_signed_unless_there_is_a_key() -> None:
    assert BEDROCK.auth == SigV4("bedrock", frozenset({"bedrock", "s3"}))
    assert BEDROCK.keys == ("AWS_BEARER_TOKEN_BEDROCK",)
    assert BEDROCK.key_optional
    assert BEDROCK.billing == "continues"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"__type": "ThrottlingException", "message": "slow down"}, 429, "slow down"),
        ({"message": "no reason known"}, 502, "no reason known"),
        ({"__type": "x#ModelStreamErrorException"}, 424, "ModelStreamErrorException"),
        ({"error": {"code": "rate_limit_exceeded", "message": "slow"}}, 429, "slow"),
    ],
)
def test_awss_error_inside_a_success_is_raised(
    body: dict[str, object], status: int, words: str
) -> None:
    data = json.dumps(body).encode()
    with pytest.raises(WireError, match=words) as plain:
        BEDROCK.chat.decode(WireResponse(200, {}, data), OSS)
    with pytest.raises(WireError, match=words) as streamed:
        list(BEDROCK.chat.decoder(OSS).feed(WireEvent(data)))
    assert plain.value.status == streamed.value.status == status


# ---- reasoning between tags ----


def split(*pieces: str) -> tuple[str, str]:
    splitter = TagSplitter()
    found = [*(splitter.feed(piece) for piece in pieces), splitter.end()]
    return "".join(thought for thought, _ in found), "".join(text for _, text in found)


@pytest.mark.parametrize(
    ("text", "thought", "rest"),
    [
        ("", "", ""),
        ("Hi.", "", "Hi."),
        ("<reasoning>hm</reasoning>Hi.", "hm", "Hi."),
        ("<reasoning>h</reasoning><reasoning>m</reasoning>Hi.", "hm", "Hi."),
        ("<reasoning>a < b </r</reasoning>Hi.", "a < b </r", "Hi."),
        ("<reasoning></reasoning>Hi.", "", "Hi."),
        ("<reasoning>cut", "cut", ""),
        ("<reasoning>cut</reas", "cut</reas", ""),
        ("<reas", "", "<reas"),
        ("<b>Hi.</b>", "", "<b>Hi.</b>"),
        (" <reasoning>hm</reasoning>", "", " <reasoning>hm</reasoning>"),
        ("Hi. <reasoning>hm</reasoning>", "", "Hi. <reasoning>hm</reasoning>"),
    ],
)
def test_reasoning_is_separated_from_the_text_wherever_it_is_split(
    text: str, thought: str, rest: str
) -> None:
    assert split(text) == (thought, rest)
    assert split(*text) == (thought, rest)
    for cut in range(len(text)):
        assert split(text[:cut], text[cut:]) == (thought, rest)


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.sampled_from(["<reasoning>", "</reasoning>", "<", "</", "a", "reasoning>", " "])),
    st.data(),
)
def test_splitting_a_text_never_changes_the_result(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert split(*pieces) == split(text)


def test_the_reasoning_of_each_choice_is_separated_independently() -> None:
    decoder = BEDROCK.chat.decoder(OSS)
    found = []
    for index, content in [(0, "<reasoning>a"), (1, "Hi"), (0, "b</reasoning>Ho"), (1, "<c>")]:
        choice = {"index": index, "delta": {"content": content}}
        found += list(decoder.feed(WireEvent(json.dumps({"choices": [choice]}).encode())))
    assert [chunk["choices"][0]["delta"] for chunk in found] == [
        {"reasoning_content": "a"},
        {"content": "Hi"},
        {"content": "Ho", "reasoning_content": "b"},
        {"content": "<c>"},
    ]
