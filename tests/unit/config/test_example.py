"""The example config loads, has every key, and its numbers are the defaults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fanout.config.catalog import DEFAULT_TIMEOUT
from fanout.config.deployment import (
    DEFAULT_ALLOWED_FAILS,
    DEFAULT_COOLDOWN,
    DEFAULT_RETRIES,
    DEFAULT_STREAM_TIMEOUT,
)
from fanout.config.load import load_file
from fanout.config.model import (
    ConfigFile,
    GeneralSettings,
    KeyEntry,
    ModelEntry,
    ModelParams,
    RouterSettings,
    ServiceSettings,
)
from fanout.config.resolve import resolve

EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"


def written(*path: str) -> Iterator[str]:
    """The keys of the example at `path`; of a list, those of all items."""
    nodes: list[Any] = [yaml.safe_load(EXAMPLE.read_text())]
    for name in path:
        found = [node[name] for node in nodes if name in node]
        nodes = [inner for node in found for inner in (node if isinstance(node, list) else [node])]
    for node in nodes:
        yield from node


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (ConfigFile, ()),
        (ModelEntry, ("model_list",)),
        (ModelParams, ("model_list", "litellm_params")),
        (RouterSettings, ("router_settings",)),
        (ServiceSettings, ("litellm_settings",)),
        (GeneralSettings, ("general_settings",)),
        (KeyEntry, ("general_settings", "keys")),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else ".".join(value),
)
def test_every_key_is_in_the_example(kind: type[msgspec.Struct], path: tuple[str, ...]) -> None:
    assert set(kind.__struct_fields__) - set(written(*path)) == set()


def test_the_example_resolves_without_an_environment() -> None:
    catalog = resolve(load_file(EXAMPLE, {}), {})
    found = {name: [d.provider.name for d in group] for name, group in catalog.groups.items()}
    assert found == {
        "gpt-4o": ["openai", "azure"],
        "claude": ["anthropic"],
        "nova": ["bedrock"],
        "oss": ["bedrock"],
        "gemini": ["vertex_ai"],
        "groq-llama": ["groq"],
        "ours": ["openai"],
    }
    assert catalog.find("claude")[0].defaults == {"max_tokens": 2048, "temperature": 0.7}
    assert [client.name for client in catalog.client_keys] == ["master", "search-team"]


def test_the_numbers_of_the_examples_settings_are_the_defaults() -> None:
    config = load_file(EXAMPLE, {})
    router, service, general = (
        config.router_settings,
        config.litellm_settings,
        config.general_settings,
    )
    assert (router.timeout, service.request_timeout) == (DEFAULT_TIMEOUT, DEFAULT_TIMEOUT)
    assert (router.num_retries, service.num_retries) == (DEFAULT_RETRIES, DEFAULT_RETRIES)
    assert router.stream_timeout == DEFAULT_STREAM_TIMEOUT
    usual = (DEFAULT_ALLOWED_FAILS, DEFAULT_COOLDOWN)
    assert (router.allowed_fails, router.cooldown_time) == usual
    assert (service.allowed_fails, service.cooldown_time) == usual
    assert service.drop_params == ServiceSettings().drop_params
    changed: dict[str, Any] = {"master_key": None, "keys": [], "page": None}
    assert msgspec.structs.replace(general, **changed) == GeneralSettings()
