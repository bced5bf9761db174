"""The validator of responses: what it accepts, its reasons, and schemas that would do harm."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanout.errors import RequestError
from fanout.schema.json_schema import validator_for
from fanout.schema.schema_words import MAX_REASON
from fanout.schema.schema_work import SchemaWork

KEYWORDS: list[tuple[dict[str, Any], Any, Any]] = [
    ({"type": "integer"}, 1.0, 1.5),
    ({"type": ["string", "null"]}, None, 1),
    ({"enum": [1, "a"]}, "a", "b"),
    ({"const": {"a": 1}}, {"a": 1}, {"a": 2}),
    ({"minimum": 1, "exclusiveMaximum": 3}, 1, 3),
    ({"multipleOf": 0.1}, 0.3, 0.35),
    ({"minLength": 1, "maxLength": 2}, "é", "abc"),
    ({"pattern": "^a+$"}, "aa", "ab"),
    ({"format": "date"}, "2026-11-30", "2026-13-30"),
    ({"format": "email"}, "a@b.example", "a"),
    ({"items": {"type": "integer"}}, [1, 2], [1, "2"]),
    ({"prefixItems": [{"type": "integer"}], "items": False}, [1], [1, 2]),
    ({"contains": {"const": 1}, "minContains": 2}, [1, 1], [1]),
    ({"uniqueItems": True}, [1, 2], [1, 1]),
    ({"minItems": 1, "maxItems": 2}, [1], []),
    ({"required": ["a"]}, {"a": 1}, {}),
    ({"properties": {"a": {"type": "integer"}}, "additionalProperties": False}, {"a": 1}, {"b": 1}),
    ({"patternProperties": {"^n": {"type": "integer"}}}, {"n": 1}, {"n": "1"}),
    ({"propertyNames": {"maxLength": 1}}, {"a": 1}, {"ab": 1}),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
    ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1, "b": 1}, {"a": 1}),
    ({"if": {"const": 1}, "then": {"const": 2}, "else": {"type": "string"}}, "a", 1),
    ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, 1, 3),
    ({"oneOf": [{"minimum": 1}, {"maximum": 2}]}, 3, 1.5),
    ({"not": {"type": "string"}}, 1, "a"),
    (
        {"allOf": [{"properties": {"a": True}}], "unevaluatedProperties": False},
        {"a": 1},
        {"b": 1},
    ),
    ({"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}, [1], ["1"]),
    ({"$defs": {"n": {"$anchor": "x", "type": "integer"}}, "items": {"$ref": "#x"}}, [1], ["1"]),
    ({"properties": {"$id": {"type": "string"}, "pattern": {"type": "string"}}}, {}, {"$id": 1}),
]


@pytest.mark.parametrize(("schema", "good", "bad"), KEYWORDS, ids=lambda one: str(one)[:30])
def test_each_keyword_of_draft_2020_12_is_checked(
    schema: dict[str, Any], good: object, bad: object
) -> None:
    validator = validator_for(schema, "s")
    assert validator.problem(json.dumps(good)) is None
    assert validator.problem(json.dumps(bad)) is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not JSON: it is empty"),
        ("Sure: {}", "it is not JSON: it begins with other text"),
        ("Sure:\n```json\n{}\n```", "it is not JSON: it has a code fence and other text"),
        ('{"a": 1} and more', "it is not JSON: other text follows it"),
        ('{"a": 1', "it is not JSON: it ends too early"),
        ('{"a": NaN}', "it is not JSON: "),
        ('{"a": 1e999}', "it is not JSON: "),
        ('{"a": 1, "a": 2}', "the key `a` appears twice"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("\ud800", "it has half of a surrogate pair"),
        ('{"a": "\\ud83d"}', "it has half of a surrogate pair"),
        ('{"a": "\\ud83d\\u0041"}', "it has half of a surrogate pair"),
        ('{"a": "\\udc00"}', "it has half of a surrogate pair"),
    ],
)
def test_a_text_that_is_no_json_is_no_response(text: str, reason: str) -> None:
    found = validator_for({}, "s").problem(text)
    assert found is not None
    assert reason in found


def test_the_reason_names_each_place_and_quotes_no_value() -> None:
    schema = {
        "properties": {
            "a": {"enum": ["x", "y", "z", "u", "v"]},
            "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["c"],
    }
    reason = validator_for(schema, "s").problem('{"a": "a secret", "b": "another"}')
    assert reason is not None
    assert '`/a`: the value is not one of ["x","y","z","u","v"]' in reason
    assert 'not of type "integer"' in reason
    assert 'not of type "null"' in reason
    assert "the property `c` is missing" in reason
    assert "secret" not in reason
    assert "another" not in reason


DRAFT_7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
WORDS: list[tuple[dict[str, Any], Any, str]] = [
    ({"const": {"a": 1}}, 2, 'the value is not {"a":1}'),
    ({"not": {"type": "integer"}}, 2, 'the value must not fit {"type":"integer"}'),
    ({"oneOf": [{}, {}]}, 2, "the value fits more than one of the alternatives of `oneOf`"),
    ({"format": "date"}, "x", 'the value does not have the format "date"'),
    ({"exclusiveMinimum": 1}, 1, "the value is not more than 1"),
    ({"exclusiveMaximum": 1}, 1, "the value is not less than 1"),
    ({"minimum": 1}, 0, "the value is less than 1"),
    ({"maximum": 1}, 2, "the value is more than 1"),
    ({"contains": {"const": 1}}, [], "the value has too few or too many elements that fit"),
    ({"uniqueItems": True}, [1, 1], "the value has equal elements"),
    ({"prefixItems": [{}], "items": False}, [1, 2], "`/1`: the value is not allowed here"),
    ({"prefixItems": [{}], "unevaluatedItems": False}, [1, 2], "has more elements than are"),
    ({"items": [{}], "additionalItems": False, **DRAFT_7}, [1, 2], "has more elements than are"),
    ({"contentEncoding": "base64", **DRAFT_7}, "%", "does not have the content"),
    (
        {"properties": {"a": {}}, "additionalProperties": False},
        {"b": 1, "c": 2},
        "the value has properties that are not allowed: `b`, `c`",
    ),
    ({"unevaluatedProperties": False}, {"b": 1}, "properties that are not allowed: `b`"),
    ({"propertyNames": {"pattern": "^a"}}, {"b": 1}, "the name of a property is not valid: the"),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "the property `b` is missing"),
]


def test_a_reason_is_in_the_words_of_json_schema() -> None:
    wrong = []
    for schema, bad, words in WORDS:
        reason = validator_for(schema, "s").problem(json.dumps(bad)) or ""
        if words not in reason:
            wrong.append((words, reason))
    assert wrong == []


def test_a_reason_is_short() -> None:
    text = json.dumps({"x" * 100_000: 1})
    schema = {"properties": {"a": {}}, "additionalProperties": False}
    reason = validator_for(schema, "s").problem(text)
    assert reason is not None
    assert len(reason) == MAX_REASON


def test_an_equal_schema_is_compiled_once() -> None:
    first = validator_for({"type": "integer", "title": "once"}, "s")
    assert validator_for({"type": "integer", "title": "once"}, "s") is first


# ---- schemas that would do harm ----


def doubled(levels: int, keyword: str = "anyOf") -> dict[str, Any]:
    """A schema that checks a value 2 to the power of `levels` times."""
    named: dict[str, Any] = {
        f"a{i}": {keyword: [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(levels)
    }
    return {"$defs": {**named, f"a{levels}": {"type": "integer"}}, "$ref": "#/$defs/a0"}


BAD: list[tuple[dict[str, Any], str]] = [
    (doubled(40), "repeats its references too often"),
    (doubled(40, "allOf"), "repeats its references too often"),
    (doubled(400), "references; at most"),
    ({"$ref": "#"}, "leads back to itself"),
    ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}, "back to itself"),
    ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
    ({"$ref": "other.json#/a"}, "nothing is fetched"),
    ({"properties": {"a": {"$id": "http://x/y", "type": "integer"}}}, "`$id`"),
    ({"$schema": "http://127.0.0.1/s"}, "`$schema` names a draft that is not known"),
    ({"$id": "http://a b/"}, "its `$id` is not a URI"),
    ({"pattern": "(a)\\1"}, 'the pattern "(a)\\\\1" has a backreference'),
    ({"pattern": "(?<!a)b"}, "has a lookaround"),
    ({"pattern": "(\\w{1000}){1000}"}, "is too large, or not a regular expression"),
    ({"properties": {"a": {"pattern": "?."}}}, 'at `properties/a/pattern`: the pattern "?." is'),
    ({"pattern": 5}, "at `pattern`: the value is not a text"),
    ({"patternProperties": {"(?=a)": {}}}, "lookaround"),
    ({"anyOf": [{"pattern": f"^a{i}"} for i in range(51)]}, "51 patterns; at most 50"),
    ({"enum": ["x" * 200_000]}, "at most 131072"),
    ({"type": "text"}, "`type`"),
    ({"properties": []}, "not a valid JSON schema"),
    ({"enum": 5}, "not a valid JSON schema"),
    ({"$ref": 5}, "not a valid JSON schema"),
    ({"patternProperties": 5}, "not a valid JSON schema"),
]


@pytest.mark.parametrize(("schema", "words"), BAD, ids=lambda one: str(one)[:40])
def test_a_schema_that_cannot_be_used_is_rejected_by_its_field(
    schema: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError) as raised:
        validator_for(schema, "fanout.schema")
    assert raised.value.param == "fanout.schema"
    assert words in str(raised.value)
    assert str(raised.value).startswith("`fanout.schema` ")


def test_a_schema_never_causes_a_request(tmp_path: Path) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    (tmp_path / "s.json").write_text("{}")
    url = f"http://127.0.0.1:{server.server_port}"
    for schema in (
        {"$ref": f"{url}/s"},
        {"$schema": f"{url}/s"},
        {"$id": f"{url}/s", "$ref": "t"},
        {"$dynamicRef": f"{url}/s"},
        {"properties": {"a": {"$ref": f"{url}/s#/a"}}},
        {"$ref": f"file://{tmp_path}/s.json"},
    ):
        with pytest.raises(RequestError):
            validator_for(schema, "s")
    server.shutdown()
    thread.join()
    server.server_close()
    assert asked == []


def test_json_that_would_be_checked_for_ages_is_not_checked() -> None:
    inner = {"properties": {"a": {"$ref": "#/$defs/n"}}}
    schema = {"$defs": {"n": {"anyOf": [inner, inner | {"required": ["q"]}]}}, "$ref": "#/$defs/n"}
    validator = validator_for(schema, "s")
    assert validator.problem('{"a":{"a":1}}') is None
    reason = validator.problem('{"a":' * 60 + "1" + "}" * 60)
    assert reason == "it is too large, or nested too deeply, to be checked by this schema"


def test_a_recursive_schema_of_a_tree_is_no_danger() -> None:
    node = {
        "type": "object",
        "properties": {"left": {"$ref": "#/$defs/n"}, "right": {"$ref": "#/$defs/n"}},
        "additionalProperties": False,
    }
    validator = validator_for({"$defs": {"n": node}, "$ref": "#/$defs/n"}, "s")
    assert validator.problem('{"left":' * 90 + "{}" + "}" * 90) is None


def test_many_wrong_values_are_not_all_listed() -> None:
    schema = {"items": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
    reason = validator_for(schema, "s").problem(json.dumps([1] * 100_000))
    assert reason is not None
    assert reason.count("the value is none of the alternatives") == 1


def in_place(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of nested alternatives, and the number of their leaves."""
    leaf = st.just({"type": "integer"})
    if not depth:
        return leaf
    inner = in_place(depth - 1)
    return leaf | st.builds(lambda found: {"anyOf": found}, st.lists(inner, min_size=1, max_size=3))


@given(in_place(4))
def test_the_bound_is_at_least_the_number_of_schemas_for_a_value(schema: dict[str, Any]) -> None:
    def count(node: dict[str, Any]) -> int:
        return 1 + sum(map(count, node.get("anyOf", ())))

    assert SchemaWork(schema).at_depth(0) >= count(schema)
    nested = {"properties": {"a": schema, "b": {"properties": {"c": schema}}}}
    assert SchemaWork(nested).at_depth(2) >= count(schema)
