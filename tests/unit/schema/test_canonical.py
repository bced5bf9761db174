"""Equal answers have equal keys, and different ones have not."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.schema.agreement import Agree
from fanout.schema.canonical import MISSING, field_of, json_key
from fanout.schema.free_text import compared_part
from fanout.schema.text_keys import text_key, unfenced
from fanout.schema.votes import NoVote, Vote, vote_of

SCHEMA = {
    "properties": {
        "label": {"enum": ["Good", "Bad"]},
        "day": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"},
        "count": {"type": "integer"},
        "tags": {"type": "array", "uniqueItems": True, "items": {"type": "string"}},
        "note": {"type": ["string", "null"]},
        "name": {"type": "string"},
        "unit": {"enum": ["M", "m"]},
    }
}

EQUAL: list[tuple[Any, Any]] = [
    ({"a": 1, "b": 2}, {"b": 2.0, "a": 1.0}),
    ({"name": "New  York "}, {"name": "New York"}),
    ({"name": "ﬁne"}, {"name": "fine"}),
    ({"label": "GOOD"}, {"label": "good"}),
    ({"count": "3"}, {"count": 3}),
    ({"count": 1e2}, {"count": 100}),
    ({"at": "2026-11-30T12:00:00Z"}, {"at": "2026-11-30T13:00:00+01:00"}),
    ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
    ({"note": None}, {}),
    (0, -0.0),
]

DIFFERENT: list[tuple[Any, Any]] = [
    ({"name": "1"}, {"name": 1}),
    ({"name": "york"}, {"name": "York"}),
    ({"name": None}, {}),
    ([1, 2], [2, 1]),
    ({"a": True}, {"a": 1}),
    ({"a": "true"}, {"a": True}),
    ({"count": 1}, {"count": 1.0000001}),
    ({"at": "2026-11-30T12:00:00"}, {"at": "2026-11-30T12:00:00Z"}),
    ([], {}),
    (["number", "1"], 1),
    (10**30, 10**30 + 1),
    ({"name": "10\u2075"}, {"name": "105"}),
    ({"at": "2026-11-30T12:00:00.1234567Z"}, {"at": "2026-11-30T12:00:00.1234568Z"}),
    ({"at": "9999-12-31T23:59:59-05:00"}, {"at": "9999-12-31T23:59:59Z"}),
    ({"unit": "M"}, {"unit": "m"}),
    ({"a": ["object"]}, {"a": {}}),
]


def test_values_are_equal_by_what_they_mean() -> None:
    wrong = [pair for pair in EQUAL if json_key(pair[0], SCHEMA) != json_key(pair[1], SCHEMA)]
    assert not wrong
    wrong = [pair for pair in DIFFERENT if json_key(pair[0], SCHEMA) == json_key(pair[1], SCHEMA)]
    assert not wrong


LABEL = {"enum": ["Good", "Bad"], "type": "string"}
MOMENT = {"type": "string", "format": "date-time"}
COMBINED: dict[str, Any] = {
    "$defs": {
        "Label": LABEL,
        "Same": {"$ref": "#/$defs/Label"},
        "Loop": {"$ref": "#/$defs/Loop"},
        "Named": {"$anchor": "label", "enum": ["Good", "Bad"]},
        "Inner": {"type": "object", "properties": {"label": {"$ref": "#/$defs/Label"}}},
        "Cat": {"properties": {"kind": {"const": "cat"}, "name": {"type": "string"}}},
        "Dog": {"properties": {"kind": {"const": "dog"}, "name": {"$ref": "#/$defs/Label"}}},
        "Review": {
            "type": "object",
            "properties": {
                "label": {"$ref": "#/$defs/Same"},
                "all": {"allOf": [{"$ref": "#/$defs/Label"}], "description": "how it is"},
                "maybe": {"anyOf": [{"$ref": "#/$defs/Label"}, {"type": "null"}]},
                "one": {"oneOf": [LABEL, {"type": "null"}]},
                "many": {"type": "array", "items": {"$ref": "#/$defs/Label"}},
                "inner": {"$ref": "#/$defs/Inner"},
                "by_name": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Label"}},
                "at": {"anyOf": [MOMENT, {"type": "null"}]},
                "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
                "set": {"anyOf": [{"type": "array", "uniqueItems": True}, {"type": "null"}]},
                "pet": {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]},
                "open": {"anyOf": [{"$ref": "#/$defs/Label"}, {"type": "string"}]},
                "loop": {"$ref": "#/$defs/Loop"},
                "anchored": {"$ref": "#label"},
                "by_pattern": {
                    "type": "object",
                    "patternProperties": {"^x": {"type": "string"}},
                    "additionalProperties": LABEL,
                },
            },
        },
    },
    "$ref": "#/$defs/Review",
}
COMBINED_EQUAL: list[tuple[Any, Any]] = [
    ({"label": "Good"}, {"label": "good"}),
    ({"all": "Good"}, {"all": "good"}),
    ({"anchored": "Good"}, {"anchored": "good"}),
    ({"maybe": "Good"}, {"maybe": "good"}),
    ({"maybe": None}, {}),
    ({"one": "Good"}, {"one": "good"}),
    ({"many": ["Good", "Bad"]}, {"many": ["good", "bad"]}),
    ({"inner": {"label": "Good"}}, {"inner": {"label": "good"}}),
    ({"by_name": {"x": "Good"}}, {"by_name": {"x": "good"}}),
    ({"at": "2026-11-30T12:00:00Z"}, {"at": "2026-11-30T13:00:00+01:00"}),
    ({"count": "3"}, {"count": 3}),
    ({"set": ["a", "b"]}, {"set": ["b", "a"]}),
    ({"pet": {"kind": "dog", "name": "Good"}}, {"pet": {"kind": "dog", "name": "good"}}),
]
COMBINED_DIFFERENT: list[tuple[Any, Any]] = [
    ({"label": "Good"}, {"label": "Bad"}),
    ({"many": ["Good", "Bad"]}, {"many": ["Bad", "Good"]}),
    ({"pet": {"kind": "cat", "name": "Good"}}, {"pet": {"kind": "cat", "name": "good"}}),
    ({"open": "Good"}, {"open": "good"}),
    ({"label": None}, {}),
    ({"by_pattern": {"x": "Good"}}, {"by_pattern": {"x": "good"}}),
    ({"loop": "A"}, {"loop": "a"}),
]


def test_references_and_combined_keywords_of_a_schema_count_as_if_written_out() -> None:
    def keys(pair: tuple[Any, Any]) -> tuple[str, str]:
        return json_key(pair[0], COMBINED), json_key(pair[1], COMBINED)

    assert [pair for pair in COMBINED_EQUAL if len({*keys(pair)}) > 1] == []
    assert [pair for pair in COMBINED_DIFFERENT if len({*keys(pair)}) == 1] == []
    agree = Agree(2, ("inner.label", "many.0"), 2, (0, 1), (0.8, 0.8))
    completions = [
        _completion(f'{{"inner": {{"label": "{label}"}}, "many": ["{label}"]}}')
        for label in ("Good", "good")
    ]
    found = [vote_of(one, agree, COMBINED) for one in completions]
    assert all(isinstance(vote, Vote) for vote in found)
    assert len({vote.key for vote in found if isinstance(vote, Vote)}) == 1


def test_a_schema_that_grows_without_bound_is_not_followed() -> None:
    """Each definition refers to the next one twice: 2^40 parts."""
    parts = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
        for n in range(40)
    }
    schema = {"$defs": {**parts, "d40": LABEL}, "properties": {"a": {"$ref": "#/$defs/d0"}}}
    assert json_key({"a": "Good"}, schema) != json_key({"a": "Bad"}, schema)


def test_numbers_of_many_digits_are_compared_without_a_loss() -> None:
    for on in ("json", ("n",)):
        agree = Agree(2, on, 2, (0, 1), (0.8, 0.8))
        texts = ('{"n": 9007199254740992.0}', '{"n": 9007199254740993.0}', "[1.0, 1e0, 0.1]")
        votes = [vote_of(_completion(text), agree, None) for text in texts]
        keys = [vote.key for vote in votes if isinstance(vote, Vote)]
        assert len({*keys}) == len(keys) >= 2


def _completion(text: str) -> Any:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


EMPHASISED = [
    "**Answer: B**",
    "**Answer: B.**",
    "**Answer: B**.",
    "*Answer: B*",
    "_Answer: B_",
    "__Answer: B__",
    "***Answer: B***",
    "***Answer:** B*",
    "**_Answer: B_**",
    "`Answer: B`",
    "`Answer:` B",
    "- **Final answer: B**",
    "> **The answer = B**",
    "### **Answer**: B",
    "**Answer:** **B**",
    "**Answer: *B***",
    "Answer:**B**",
    "Answer: `B`",
    "**Answer:\nB**",
    "Hm.\n**Answer: B**\n",
    "_**B**_",
    "***B***",
    "__B__",
    "**Answer: B",
    "Answer: B**",
    "Answer**: B",
]
LABELLED = EMPHASISED.index("__B__")
"""From here on, only an option or a number is without its marks."""


PARTLY = [
    "B) Paris",
    "**B)** Paris",
    "**B**) Paris",
    "*B)* Paris",
    "B) **Paris**",
    "Answer: **B)** Paris",
    "**Answer:** **B)** Paris",
    "**Answer: B)** Paris",
    "**Answer: B)** Paris.",
    "**Final answer: B) Paris**",
]
"""Emphasis of a part of the answer."""


@pytest.mark.parametrize(
    ("key", "texts"),
    [
        ("paris", ["Paris", " paris. ", "**Paris**", "The capital is known.\nAnswer: Paris"]),
        ("b", ["B", "(B)", "b.", "B)", "Option B", "So\n**Answer:** B", '"B"']),
        ("b", [*EMPHASISED, *(text.replace("B", "(B)") for text in EMPHASISED)]),
        ("new york", [text.replace("B", "New York") for text in EMPHASISED[:LABELLED]]),
        ("b) paris", PARTLY),
        ("a*", ["a*", "Answer: a*", "**Answer: a***", "* Answer: a*", "`Answer: a*`"]),
        ("__init__", ["__init__", "Answer: __init__", "`__init__`", "**Answer:** `__init__`"]),
        ("", ["", "Answer: ", "**Answer:** ", r"\boxed{}"]),
        ("1234.5", ["1,234.50", "1234.5", r"so \boxed{1234.5}", "Final answer: 1234.50"]),
        ("5 %", ["5%", "5 %", "5.0 %"]),
        ("$ 3", ["$3", "$3.00"]),
        ("42 km", ["42 km", "42km."]),
        ("42", ["Answer:\n\n42", "Answer: 42\nI hope this answer is helpful!", "42.0"]),
        (r"\frac{\sqrt{2}}{3}", [r"first \boxed{2}, then \boxed{\frac{\sqrt{2}}{3}}"]),
        (None, ["x " * 40, "Answer: " + "x" * 65, r"\boxed{" + "1" * 19_000 + " x y}"]),
    ],
)
def test_texts_are_equal_by_their_answer(key: str | None, texts: list[str]) -> None:
    assert {text: text_key(text) for text in texts} == dict.fromkeys(texts, key)


APART = [
    [".5", "5", "5!", "50", "5'", '5"', "-5", "05"],
    ["A: Paris", "A: London", "(A) and (C)", "(A) and (B)", "A", "A) is wrong"],
    ["1.10.2024", "1.1.2024", "10.10.0.1", "10.1.0.1", "1.10.0", "1.1.0"],
    ["01234", "1234"],
    ["**p", "p", "p**", "__p"],
    ["**2", "2"],
    ["2**3**4", "2*3*4", "234"],
    ["f(*a, *b)", "f(a, b)"],
    ["*.py, *.md", ".py, .md"],
    ["a *b", "a b", "a b*"],
    ["10\u2075", "105", "10\u2085"],
    ["1267650600228229401496703205376", "1267650600228229401496703205399"],
    ["5 mW", "5 MW"],
    ["a", "!a"],
    ["J. Smith", "J. Doe"],
    ["Answer: A\nI hope this answer is helpful!", "Answer: B\nI hope this answer is helpful!"],
    ["The answer is as follows:\n\n42", "The answer is as follows:\n\n43"],
    [r"\boxed{2}", r"first \boxed{2}, then \boxed{\frac{\sqrt{2}}{3}}"],
]


def test_different_texts_have_different_keys() -> None:
    keys = [[text_key(text) for text in texts] for texts in APART]
    assert [
        texts for texts, found in zip(APART, keys, strict=True) if len({*found}) < len(texts)
    ] == []


def test_free_text_is_not_compared_at_any_depth_unless_there_is_nothing_else() -> None:
    long = {"type": "string", "maxLength": 500}
    items = {"type": "array", "items": {"properties": {"quote": long}}}
    schema = {"properties": {"quote": long, "items": items, "quotes": {"items": long}}}
    enum = {"properties": {"reason": {"enum": ["price", "size"]}}}
    cases: list[tuple[Any, Any, Any, list[str]]] = [
        ({"label": 1, "reasoning": "…"}, None, {"label": 1}, ["label"]),
        ({"reasoning": "…"}, None, {"reasoning": "…"}, ["reasoning"]),
        ({"label": 1, "quote": "…"}, schema, {"label": 1}, ["label"]),
        ({"label": 1, "reason": "price"}, enum, ..., ["label", "reason"]),
        (
            {"notes": ["C"], "reason": 3, "summary": "x"},
            None,
            {"notes": ["C"], "reason": 3},
            ["notes", "reason"],
        ),
        (
            {"a": {"label": 1, "reason": "…"}, "b": {"c": 2}},
            None,
            {"a": {"label": 1}, "b": {"c": 2}},
            ["a.label", "b"],
        ),
        ({"a": {"reason": "…"}, "b": 1}, None, {"b": 1}, ["b"]),
        ({"a": {"reason": "…"}}, None, ..., ["a"]),
        (
            {"items": [{"quote": "…", "n": 1}, {"quote": "…"}]},
            schema,
            {"items": [{"n": 1}, None]},
            ["items.n"],
        ),
        ({"label": 1, "quotes": ["…"]}, schema, {"label": 1}, ["label"]),
        ([{"label": 1, "reason": "…"}], None, [{"label": 1}], ["label"]),
        ({"a": {}, "b": []}, None, ..., ["a", "b"]),
    ]
    wrong = []
    for value, given, expected, fields in cases:
        found = compared_part(value, given)
        whole = value if expected is ... else expected
        if found.value != whole or list(found.fields) != fields:
            wrong.append((value, found))
    assert wrong == []


def test_a_named_field_that_may_be_null_may_be_missing() -> None:
    agree = Agree(2, ("note", "name"), 2, (0, 1), (0.8, 0.8))

    def vote(text: str, schema: Any = SCHEMA) -> Any:
        return vote_of(_completion(text), agree, schema)

    named = '{"name": "x"}'
    assert vote('{"name": "x", "note": null}').key == vote(named).key
    assert vote('{"name": "x", "note": null}', None).key != vote(named, None).key
    assert vote('{"note": null, "name": null}').key != vote("{}").key
    assert vote("{}").key == vote('{"note": null}').key
    assert isinstance(vote("{}", None), NoVote)


def test_a_path_leads_into_objects_and_lists() -> None:
    value = {"a": [{"b": 1}]}
    assert field_of(value, "a.0.b") == 1
    for path in ("a.1.b", "a.\u00b2", "a." + "1" * 5_000, "b"):
        assert field_of(value, path) is MISSING


def test_a_code_fence_around_all_of_a_text_does_not_count() -> None:
    assert unfenced('```json\n{"a": 1}\n```') == '{"a": 1}'
    assert unfenced("see ```x```") == "see ```x```"
