"""`embedding` and `aembedding`: LiteLLM's parameters, vectors as numbers or base64."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

import fanout
from tests.support.embedding_provider import base64_of, embeds, vector_of
from tests.support.provider_steps import refuse
from tests.support.scripted_provider import Upstream

MODEL = "openai/text-embedding-3-small"


def test_the_functions_return_a_vector_for_each_input(upstream: Upstream) -> None:
    upstream.script("text-embedding-3-small", [embeds("openai")])
    texts = [f"text {number}" for number in range(2_100)]
    address: Any = {"api_base": f"{upstream.url}/v1", "api_key": "k"}
    found = fanout.embedding(MODEL, texts, 4, **address)
    twin = asyncio.run(fanout.aembedding(model=MODEL, input=texts, dimensions=4, **address))
    assert found == twin
    assert isinstance(found, fanout.EmbeddingResponse)
    assert isinstance(found.data[0], fanout.Embedding)
    assert [one.index for one in found.data] == list(range(2_100))
    assert found.data[2_099].embedding == pytest.approx(vector_of("text 2099"))
    assert found["data"][0]["embedding"] == found.data[0].embedding
    assert (found.model, found.object, found.usage.prompt_tokens) == (MODEL, "list", 6_300)
    assert len(upstream.calls) == 4
    ignored: Any = {"caching": False, "cache": {"no-cache": True}, "metadata": {"tags": ["x"]}}
    encoded = fanout.embedding(MODEL, "a", encoding_format="base64", **ignored, **address)
    assert upstream.calls[-1].body.keys() == {"model", "input", "encoding_format"}
    assert encoded.data[0].embedding == base64_of(vector_of("a"))


def test_errors_are_those_of_the_other_functions(upstream: Upstream) -> None:
    upstream.script("text-embedding-3-small", [refuse(401)])
    address: Any = {"api_base": f"{upstream.url}/v1", "api_key": "k"}
    with pytest.raises(openai.AuthenticationError):
        fanout.embedding(MODEL, "a", **address)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"model": "a,b"}, "one model"),
        ({"fallbacks": ["b"]}, "one model"),
        ({"input": []}, "must not be empty"),
        ({"drop_param": "x"}, "did you mean `drop_params`"),
        ({"custom_llm_provider": "openai"}, "write the provider before the model"),
    ]
    for options, words in cases:
        given = {"model": MODEL, "input": "a", **address, **options}
        with pytest.raises(fanout.RequestError, match=words):
            fanout.embedding(**given)


def test_parameters_are_left_out_or_sent_as_the_call_says(upstream: Upstream) -> None:
    """`input_type` is none of OpenAI's; at another address, it might be known."""
    upstream.script("text-embedding-3-small", [embeds("openai")])
    address: Any = {"api_base": f"{upstream.url}/v1", "api_key": "k"}
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"dimensions": 4}, {"dimensions"}),
        ({"dimensions": 4, "additional_drop_params": ["dimensions"]}, set()),
        ({"user": "u", "task": "x", "additional_drop_params": ["user", "nope"]}, {"task"}),
        ({"options": {"a": 1, "b": 2}, "additional_drop_params": ["options.a"]}, {"options"}),
        ({"task": "x", "allowed_openai_params": ["task", "dimensions"]}, {"task"}),
        ({"additional_drop_params": None, "allowed_openai_params": []}, set()),
        ({"stream_options": {"include_usage": True}}, set()),
    ]
    for options, more in cases:
        fanout.embedding(MODEL, "a", **options, **address)
        sent = upstream.calls[-1].body
        assert sent.keys() - {"encoding_format"} == {"model", "input", *more}, options
        assert sent.get("options", {"b": 2}) == {"b": 2}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("dimension", "dimensions"),
        ("encoding_formats", "encoding_format"),
        ("input_typ", "input_type"),
        ("api_bas", "api_base"),
        ("time_out", "timeout"),
        ("num_retrie", "num_retries"),
        ("extra_bodys", "extra_body"),
        ("aws_regionname", "aws_region_name"),
    ],
)
def test_a_misspelled_option_is_rejected_with_the_right_one(
    upstream: Upstream, wrong: str, right: str
) -> None:
    given: Any = {"api_base": f"{upstream.url}/v1", "api_key": "k", wrong: 5}
    with pytest.raises(fanout.RequestError, match=f"there is no option `{wrong}`.*`{right}`"):
        fanout.embedding(MODEL, "a", **given)
    with pytest.raises(fanout.RequestError, match=f"there is no option `{wrong}`.*`{right}`"):
        asyncio.run(fanout.aembedding(MODEL, "a", **given))
    assert upstream.calls == []


def test_fields_of_a_vendor_are_sent_by_name_or_in_extra_body(upstream: Upstream) -> None:
    upstream.script("text-embedding-3-small", [embeds("openai")])
    given: Any = {"api_base": f"{upstream.url}/v1", "api_key": "k"}
    fields: dict[str, Any] = {
        "task": "x",
        "truncate": "END",
        "output_dimension": 4,
        "late_chunking": True,
    }
    fanout.embedding(MODEL, "a", **fields, extra_body={"dimension": 3}, **given)
    assert upstream.calls[-1].body.items() >= {**fields, "dimension": 3}.items()


@pytest.mark.parametrize("name", ["check", "attempts", "escalate", "vector_bucket_name"])
def test_an_option_that_embeddings_lack_is_rejected_by_name(upstream: Upstream, name: str) -> None:
    address: Any = {"api_base": f"{upstream.url}/v1", "api_key": "k"}
    address[name] = ["x"]
    with pytest.raises(fanout.RequestError, match=f"`{name}`"):
        fanout.embedding(MODEL, "a", **address)
    assert upstream.calls == []
