"""The wire formats of embeddings, provider by provider, and how inputs are divided."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from fanout.endpoints.embeddings.division import Most, distinct, divide
from fanout.errors import Unsupported
from fanout.providers.base import BadWire, Target
from fanout.providers.embeddings import fit
from fanout.providers.registry import embeddings_of
from fanout.schema.embeddings import EmbeddingPart
from fanout.wire.http import WireResponse
from fanout.wire.vectors import NotAVector, as_base64, as_list, checked, width

AZURE = {"api_version": "2024-10-21"}
VERTEX = {"vertex_project": "p", "vertex_location": "europe-west1"}
EU = "/v1/projects/p/locations/europe-west1/publishers/google/models"

# provider, model, options | the part's fields | the path and the body | the limits
GOLDEN: list[tuple[str, str, dict[str, str], dict[str, Any], str, dict[str, Any], int]] = [
    ("openai", "text-embedding-3-small", {}, {"dimensions": 8, "encoding": "base64", "user": "u"},
     "/embeddings", {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8,
                     "user": "u", "encoding_format": "base64"}, 2_048),
    ("openai", "text-embedding-3-small", {}, {"inputs": [[1, 2]]},
     "/embeddings", {"model": "text-embedding-3-small", "input": [[1, 2]]}, 2_048),
    ("azure", "d 1", AZURE, {"encoding": "base64"},
     "/openai/deployments/d%201/embeddings?api-version=2024-10-21",
     {"model": "d 1", "input": ["a", "b"], "encoding_format": "base64"}, 2_048),
    ("azure", "d", {}, {}, "/openai/v1/embeddings", {"model": "d", "input": ["a", "b"]}, 2_048),
    ("cohere", "embed-v4.0", {}, {"dimensions": 512, "encoding": "base64"},
     "/v2/embed", {"model": "embed-v4.0", "texts": ["a", "b"], "input_type": "search_document",
                   "embedding_types": ["float"], "output_dimension": 512}, 96),
    ("cohere", "embed-v4.0", {}, {"input_type": "query", "body": {"truncate": "END"}},
     "/v2/embed", {"model": "embed-v4.0", "texts": ["a", "b"], "input_type": "search_query",
                   "embedding_types": ["float"], "truncate": "END"}, 96),
    ("gemini", "gemini-embedding-001", {}, {"dimensions": 8, "input_type": "query"},
     "/v1beta/models/gemini-embedding-001:batchEmbedContents",
     {"requests": [{"model": "models/gemini-embedding-001", "taskType": "RETRIEVAL_QUERY",
                    "outputDimensionality": 8, "content": {"parts": [{"text": text}]}}
                   for text in ("a", "b")]}, 100),
    ("vertex_ai", "text-embedding-005", VERTEX, {"dimensions": 8, "input_type": "document"},
     f"{EU}/text-embedding-005:predict",
     {"instances": [{"content": text, "task_type": "RETRIEVAL_DOCUMENT"} for text in ("a", "b")],
      "parameters": {"outputDimensionality": 8}}, 250),
    ("vertex_ai", "gemini-embedding-001", VERTEX, {"inputs": ["a"]},
     f"{EU}/gemini-embedding-001:predict", {"instances": [{"content": "a"}]}, 1),
    ("bedrock", "amazon.titan-embed-text-v2:0", {},
     {"inputs": ["a"], "dimensions": 256, "body": {"normalize": False}},
     "/model/amazon.titan-embed-text-v2%3A0/invoke",
     {"inputText": "a", "dimensions": 256, "normalize": False}, 1),
    ("bedrock", "us-east-1/cohere.embed-english-v3", {}, {"input_type": "clustering"},
     "/model/cohere.embed-english-v3/invoke",
     {"texts": ["a", "b"], "input_type": "clustering"}, 96),
    ("bedrock", "us.cohere.embed-v4:0", {}, {"dimensions": 256},
     "/model/us.cohere.embed-v4%3A0/invoke",
     {"texts": ["a", "b"], "input_type": "search_document", "output_dimension": 256}, 96),
    ("mistral", "mistral-embed", {}, {"dimensions": 8, "encoding": "base64"},
     "/embeddings", {"model": "mistral-embed", "input": ["a", "b"], "output_dimension": 8,
                     "encoding_format": "base64"}, 256),
    ("voyage", "voyage-3.5", {}, {"dimensions": 8, "input_type": "search_query"},
     "/embeddings", {"model": "voyage-3.5", "input": ["a", "b"], "output_dimension": 8,
                     "input_type": "query"}, 1_000),
    ("hosted_vllm", "bge", {}, {"dimensions": 8, "inputs": [[1], [2]], "encoding": "base64"},
     "/embeddings", {"model": "bge", "input": [[1], [2]], "dimensions": 8}, 256),
    ("ollama", "nomic-embed-text", {}, {"user": "u", "encoding": "base64"},
     "/embeddings", {"model": "nomic-embed-text", "input": ["a", "b"]}, 256),
    ("nvidia_nim", "nv-embed", {}, {"input_type": "query"},
     "/embeddings", {"model": "nv-embed", "input": ["a", "b"], "input_type": "query"}, 128),
    ("nvidia_nim", "nv-embed", {}, {},
     "/embeddings", {"model": "nv-embed", "input": ["a", "b"], "input_type": "passage"}, 128),
    ("together_ai", "bge", {}, {"body": {"own": 1}},
     "/embeddings", {"model": "bge", "input": ["a", "b"], "own": 1}, 512),
    ("openai_like", "x", {}, {"inputs": [[1]]}, "/embeddings", {"model": "x", "input": [[1]]}, 256),
]  # fmt: skip

FLOATS = "[[0.5,-0.25],[1e-3,2]]"
RESPONSES = [
    (
        "openai",
        "m",
        """{"data": [{"index": 1, "embedding": [1e-3,2]}, {"index": 0, "embedding": [0.5,-0.25]}],
        "usage": {"prompt_tokens": 5, "total_tokens": 5}}""",
        5,
    ),
    ("openai", "m", """{"data":[{"embedding":[0.5,-0.25]},{"embedding":[1e-3,2]}]}""", None),
    (
        "cohere",
        "m",
        f"""{{"embeddings": {{"float": {FLOATS}}},
        "meta": {{"billed_units": {{"input_tokens": 5}}}}}}""",
        5,
    ),
    ("gemini", "m", """{"embeddings":[{"values":[0.5,-0.25]},{"values":[1e-3,2]}]}""", None),
    (
        "gemini",
        "m",
        """{"embeddings": [{"values": [0.5,-0.25]}, {"values": [1e-3,2]}],
        "usageMetadata": {"promptTokenCount": 5}}""",
        5,
    ),
    (
        "vertex_ai",
        "text-embedding-005",
        """{"predictions": [
        {"embeddings": {"values": [0.5,-0.25], "statistics": {"token_count": 2}}},
        {"embeddings": {"values": [1e-3,2], "statistics": {"token_count": 3}}}]}""",
        5,
    ),
    ("bedrock", "cohere.embed-english-v3", f"""{{"embeddings":{FLOATS}}}""", 7),
    ("bedrock", "cohere.embed-v4:0", f"""{{"embeddings":{{"float":{FLOATS}}}}}""", 7),
]

MALFORMED = [
    '{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}',
    '{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}]}',
    '{"data":[{"embedding":[1]},{"embedding":[1,2]}]}',
    '{"data":[{"embedding":[1,null]}]}',
    '{"data":[{"embedding":[[1]]}]}',
    '{"data":[{"embedding":[]}]}',
    '{"data":[{"embedding":null}]}',
    '{"data":[{"embedding":"AAA="}]}',
    '{"data":[{"embedding":"?"}]}',
]


def test_each_provider_gets_its_own_format_and_has_its_own_limit() -> None:
    problems = []
    for provider, model, options, fields, path, body, most in GOLDEN:
        target = Target("n", model, options=options)
        api = embeddings_of(provider, target)
        assert api is not None
        given = EmbeddingPart(**{"inputs": ["a", "b"], **fields})
        part, _ = fit(api, given, target, provider)
        wire = api.encode(part, target)
        if (wire.path, json.loads(wire.body), api.limits.inputs) != (path, body, most):
            problems.append(f"{provider} {fields}: {wire.path} {wire.body!r} {api.limits}")
        assert "'a'" not in repr(part)
    assert problems == []


def test_each_providers_response_becomes_vectors_and_tokens() -> None:
    problems = []
    for provider, model, text, tokens in RESPONSES:
        target = Target("n", model)
        api = embeddings_of(provider, target)
        assert api is not None
        headers = {"x-amzn-bedrock-input-token-count": "7"}
        found = api.decode(WireResponse(200, headers, text.encode()), target)
        if (found.items, found.tokens) != ([b"[0.5,-0.25]", b"[1e-3,2]"], tokens):
            problems.append(f"{provider}: {found.items} {found.tokens}")
    assert problems == []


def test_a_response_without_a_vector_for_each_index_is_malformed() -> None:
    target = Target("n", "m")
    api = embeddings_of("openai", target)
    assert api is not None
    for text in MALFORMED:
        with pytest.raises(BadWire):
            api.decode(WireResponse(200, {}, text.encode()), target)


def test_what_a_provider_lacks_is_an_error_or_left_out_with_drop_params() -> None:
    cases: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
        ("openai", "text-embedding-3-small", {"input_type": "query"}, ("input_type",)),
        ("bedrock", "amazon.titan-embed-text-v1", {"dimensions": 8}, ("dimensions",)),
        ("cohere", "embed-v4.0", {"body": {"task": 1}}, ("task",)),
        ("voyage", "voyage-3", {"body": {"output_dtype": "int8"}}, ("output_dtype",)),
    ]
    for provider, model, fields, dropped in cases:
        target = Target("n", model)
        api = embeddings_of(provider, target)
        assert api is not None
        part = EmbeddingPart(inputs=["a"], **fields)
        with pytest.raises(Unsupported, match=dropped[0]):
            fit(api, part, target, provider)
        _, found = fit(api, part, replace(target, drop_params=True), provider)
        assert found == dropped
    for provider, model in (("groq", "m"), ("anthropic", "m"), ("bedrock", "amazon.nova-pro-v1:0")):
        assert embeddings_of(provider, Target("n", model)) is None


def test_vectors_are_the_same_in_both_forms() -> None:
    listed = b"[0.1,-0.25,3e-05,1.17549435e-38]"
    encoded = as_base64(listed)
    assert as_list(encoded) == b"[0.100000001,-0.25,2.99999992e-05,1.17549435e-38]"
    assert as_base64(as_list(encoded)) == encoded
    assert (width(listed), width(encoded)) == (4, 4)
    whole = as_base64(b"[-0.0,1.0,1e-06,0.5,3e20]")
    assert as_list(whole) == b"[-0.0,1.0,9.99999997e-07,0.5,3.00000006e+20]"
    assert checked(rb'"\/\/\/\/\/w=="') == b'"/////w=="'
    with pytest.raises(NotAVector):
        as_list(b'"AADAfw=="')  # not a number


def test_inputs_are_divided_by_count_tokens_and_bytes() -> None:
    cases: list[tuple[list[Any], Most, list[int]]] = [
        (["a"] * 7, Most(3), [3, 3, 1]),
        (["a" * 30] * 4, Most(9, tokens=25), [2, 2]),
        (["\u4e2d" * 10] * 4, Most(9, tokens=25), [2, 2]),
        (["a" * 300, "b", "c"], Most(9, tokens=25), [1, 2]),
        (["b", "a" * 300], Most(9, bytes=200), [1, 1]),
        ([[1, 2, 3]] * 4, Most(9, tokens=6), [2, 2]),
    ]
    for inputs, most, sizes in cases:
        assert [len(part) for part in divide(inputs, most)] == sizes
    found = distinct(["a", "b", "a", "c", "b", "a"])
    assert (found.inputs, found.places) == (["a", "b", "c"], [0, 1, 0, 2, 1, 0])
    assert found.uses == {0: 2, 1: 1}
    assert distinct([[1], [1]]).places is None
