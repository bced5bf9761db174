"""The examples of docs/python.md run as printed, against a scripted provider."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Any

import pytest

import fanout
from tests.support.embedding_provider import embeds
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

PAGE = Path(__file__).parent.parent.parent / "docs" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)

PATHS = {"/v1/chat/completions", "/v1/embeddings"}


def test_the_page_has_an_example_of_every_function() -> None:
    functions = {name for name in fanout.__all__ if f"a{name}" in fanout.__all__}
    assert [name for name in functions if f"{name}(" not in "".join(EXAMPLES)] == []


def test_the_page_names_everything_that_can_be_imported() -> None:
    text = PAGE.read_text()
    assert [
        name for name in fanout.__all__ if f"`{name}" not in text and f" `{name}`" not in text
    ] == []


def test_every_type_that_the_page_shows_can_be_imported() -> None:
    """A name in a signature or in a column of types is Fanout's, Python's or pydantic's."""
    text = PAGE.read_text()
    shown = re.findall(r"^```\n(\w+\(\n.*?)^```$", text, re.DOTALL | re.MULTILINE)
    shown += re.findall(r"^\| `\w+` \| `(.*?)` \|", text, re.MULTILINE)
    named = {
        name
        for code in shown
        for name in re.findall(r"\b[A-Z]\w+", re.sub(r"'[^']*'|Literal\[[^]]*\]", "", code))
    }
    others = {"BaseModel", "SerializeAsAny", "ParsedT", "PathLike", "None", "True", "False"}
    others |= set(typing.__all__)
    assert named - others - set(fanout.__all__) == set()


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs_as_printed(
    upstream: Upstream, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_API_BASE", f"{upstream.url}/v1")
    monkeypatch.setenv("FANOUT_BASE_URL", f"{upstream.url}/v1")
    monkeypatch.setenv("FANOUT_API_KEY", "sk-gateway")
    monkeypatch.chdir(tmp_path)
    for model in ("gpt-4o", "gpt-4o-mini"):
        upstream.script(model, answers('{"name": "Ada Lovelace", "age": 36}'))
    upstream.script("text-embedding-3-small", [embeds("openai")])
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 -- the page's own words
    assert upstream.calls
    assert [one for one in upstream.calls if one.path not in PATHS] == []
    if "person" in names:
        assert (names["person"].name, names["person"].age) == ("Ada Lovelace", 36)
    for response in names.get("responses", []):
        assert isinstance(response, fanout.ChatCompletion)
