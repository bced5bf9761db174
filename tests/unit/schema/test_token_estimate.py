"""The estimated tokens of texts in many scripts, next to those that a tokenizer counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random

from fanout.schema.token_estimate import TOLERANCE, USUAL_ERROR, estimate_prompt, estimate_tokens

CORPUS = json.loads((Path(__file__).parent / "token_corpus.json").read_text())
"""Texts with the tokens of `o200k_base` (GPT-4o and later), as tiktoken 0.14 counts them."""


def test_the_estimate_of_each_text_is_within_the_stated_error() -> None:
    """The stated range of costs has the tokens of each text, too."""
    unusual, wrong = {}, {}
    for name, (text, tokens) in CORPUS.items():
        estimate = estimate_tokens(text)
        error = estimate / tokens - 1
        if abs(error) > USUAL_ERROR / 100:
            unusual[name] = round(error, 2)
        if abs(error) > TOLERANCE / 100 or abs(tokens / estimate - 1) > TOLERANCE / 100:
            wrong[name] = round(error, 2)
    assert len(CORPUS) == 70
    assert wrong == {}
    assert len(unusual) <= len(CORPUS) / 10, unusual


def test_a_word_with_a_capital_is_about_a_token() -> None:
    assert 80 <= estimate_tokens("Hello " * 100) <= 120


def test_bytes_divided_by_four_are_not() -> None:
    errors = [len(text.encode()) / 4 / tokens - 1 for text, tokens in CORPUS.values()]
    assert (min(errors) < -0.6, max(errors) > 1) == (True, True)


def test_a_prompt_counts_its_texts_its_calls_and_what_is_no_text() -> None:
    text = "Is it good?"
    one = estimate_tokens(text)
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    call = {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    assert estimate_prompt([{"role": "user", "content": text}]) == one + 4
    assert (
        estimate_prompt([{"role": "user", "content": [{"type": "text", "text": text}]}]) == one + 4
    )
    assert estimate_prompt([{"role": "user", "content": [image]}]) > 4
    assert estimate_prompt([{"role": "assistant", "content": None, **call}]) > 4
    assert estimate_prompt(["half \ud800 a pair", 3]) > 8


GOLDEN = json.loads((Path(__file__).parent / "token_estimates.json").read_text())
"""The estimates of the corpus, and a digest of those of generated texts, by counts of each pair."""

SIGNS = "aAb z0 9.,!\n\t\r\\é中文й日\u3000😀ሀက“”÷ÀαЖ\ud800"


def generated() -> Iterator[str]:
    """Odd texts: of random signs, and parts of the corpus."""
    yield from ("", " ", "a", "\n", "a.a.a.a", "   a", "word" * 5, "é" * 20 + " internationally  x")
    chance = Random(17)  # noqa: S311 -- no secret
    texts = [text for text, _ in CORPUS.values()]
    for _ in range(3_000):
        yield "".join(chance.choices(SIGNS, k=chance.randrange(60)))
    for _ in range(1_000):
        text = chance.choice(texts)
        start = chance.randrange(len(text))
        yield text[start : start + chance.randrange(1, 400)]


def test_the_estimates_are_those_of_counts_of_each_pair() -> None:
    found = {name: estimate_tokens(text) for name, (text, _) in CORPUS.items()}
    assert found == GOLDEN["corpus"]
    data = ",".join(str(estimate_tokens(text)) for text in generated())
    assert sha256(data.encode()).hexdigest() == GOLDEN["generated"]
