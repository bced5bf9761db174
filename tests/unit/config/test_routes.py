"""LiteLLM's names in a config: fallbacks by kind of error, aliases, several models, wildcards."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.config.routes import ModelSet
from fanout.errors import UnknownModel
from tests.unit.config.sections import catalog, entry, names, refusal

ABC = [entry("openai/gpt-4o", name) for name in "abc"]


# ---- fallbacks ----


@pytest.mark.parametrize("section", ["router_settings", "litellm_settings"])
def test_fallbacks_are_read_in_both_of_litellms_sections(section: str) -> None:
    kinds: dict[str, Any] = {
        "fallbacks": [{"a": ["b"]}],
        "default_fallbacks": ["c"],
        "context_window_fallbacks": [{"a": ["c"]}],
        "content_policy_fallbacks": [{"b": ["a", "c"]}],
        "allowed_fails": 7,
        "cooldown_time": 60,
    }
    found = catalog(model_list=ABC, **{section: kinds})
    assert found.routes.fallbacks_of("a") == ("b",)
    assert found.routes.fallbacks_of("b") == ("c",)
    assert found.routes.fallbacks_of("c") == ()
    assert found.routes.special_fallbacks("a", "context_length_exceeded") == ("c",)
    assert found.routes.special_fallbacks("b", "context_length_exceeded") == ()
    assert found.routes.special_fallbacks("b", "content_filter") == ("a", "c")
    assert found.routes.special_fallbacks("b", "rate_limit_exceeded") == ()
    assert (found.balancing.allowed_fails, found.balancing.cooldown_time) == (7, 60)


def test_router_settings_count_before_litellm_settings() -> None:
    found = catalog(
        model_list=ABC,
        router_settings={"fallbacks": [{"a": ["b"]}], "allowed_fails": 0},
        litellm_settings={"fallbacks": [{"a": ["c"]}], "allowed_fails": 9},
    )
    assert found.routes.fallbacks_of("a") == ("b",)
    assert found.balancing.allowed_fails == 0


def test_a_star_in_fallbacks_stands_for_every_model() -> None:
    found = catalog(model_list=ABC, router_settings={"fallbacks": [{"*": ["c"]}]})
    assert [found.routes.fallbacks_of(name) for name in "abc"] == [("c",), ("c",), ()]


STARS = [entry("anthropic/*", "anthropic/*"), entry("openai/*", "openai/*"), *ABC]


@pytest.mark.parametrize("kind", ["fallbacks", "context_window_fallbacks"])
def test_fallbacks_may_be_those_of_a_pattern_or_of_a_name_without_its_provider(kind: str) -> None:
    """The second is LiteLLM's, for models of a wildcard."""
    listed = [
        {"anthropic/*": ["a"]},
        {"anthropic/claude-*": ["b", "anthropic/claude-x"]},
        {"anthropic/claude-y": ["c"]},
        {"gpt-4o": ["a", "c"]},
    ]
    aliases = {"model_group_alias": {"quick": "anthropic/claude-z"}}
    routes = catalog(model_list=STARS, router_settings={kind: listed, **aliases}).routes

    def found(name: str) -> tuple[str, ...]:
        if kind == "fallbacks":
            return routes.fallbacks_of(name)
        return routes.special_fallbacks(name, "context_length_exceeded")

    assert found("anthropic/other") == ("a",)
    assert found("anthropic/claude-z") == found("quick") == ("b", "anthropic/claude-x")
    assert found("anthropic/claude-y") == ("c",)
    assert found("openai/gpt-4o") == ("a", "c")
    assert found("openai/gpt-5") == found("a") == ()


def test_no_model_is_its_own_fallback_and_none_is_one_twice() -> None:
    listed = [{"anthropic/*": ["anthropic/x", "a"]}, {"*": ["a", "b"]}]
    settings = {"fallbacks": listed, "default_fallbacks": ["b", "c"]}
    routes = catalog(model_list=STARS, router_settings=settings).routes
    assert routes.fallbacks_of("anthropic/x") == ("a",)
    assert routes.fallbacks_of("openai/x") == ("a", "b", "c")


@pytest.mark.parametrize(
    ("fallbacks", "why"),
    [
        ([{"mistral/*": ["a"]}], "names `mistral/*`, which is not in `model_list`"),
        ([{"a": ["openai/*"]}], "names `openai/*`, which is a pattern: name a model"),
    ],
)
def test_a_pattern_in_fallbacks_must_be_of_models_and_is_no_fallback(
    fallbacks: Any, why: str
) -> None:
    assert why in refusal(model_list=STARS, router_settings={"fallbacks": fallbacks})


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"default_fallbacks": ["x"]}, "router_settings.default_fallbacks"),
        ({"context_window_fallbacks": [{"a": ["x"]}]}, "context_window_fallbacks[0]"),
        ({"content_policy_fallbacks": [{"x": ["a"]}]}, "content_policy_fallbacks[0]"),
        ({"model_group_alias": {"y": "x"}}, "router_settings.model_group_alias.y"),
        ({"model_group_alias": {"y": {"models": ["a", "x"]}}}, "model_group_alias.y.models"),
    ],
)
def test_a_name_that_does_not_exist_is_a_problem_with_its_place(settings: Any, place: str) -> None:
    message = refusal(model_list=ABC, router_settings=settings)
    assert place in message
    assert "names `x`, which is not in `model_list`" in message


# ---- aliases ----


@pytest.mark.parametrize("value", ["a", {"model": "a"}, {"model": "a", "hidden": True}])
def test_an_alias_is_another_name_for_a_model(value: Any) -> None:
    found = catalog(
        model_list=ABC,
        router_settings={"model_group_alias": {"gpt": value}, "fallbacks": [{"a": ["b"]}]},
    )
    assert found.find("gpt") == found.find("a")
    assert found.routes.fallbacks_of("gpt") == ("b",)
    is_hidden = isinstance(value, dict) and value.get("hidden", False)
    assert ("gpt" in found.listed) is not is_hidden


def test_an_alias_may_stand_for_several_models_in_a_mode() -> None:
    aliases = {
        "fast": {"models": ["a", "b"]},
        "hedged": {"models": ["a", "b"], "mode": "hedge"},
        "late": {"models": ["a", "b"], "mode": "race", "stagger": 2},
        "safe": {"models": ["a", "b"], "mode": "fallback"},
        "every": {"models": ["a", "b"], "mode": "all"},
    }
    found = catalog(model_list=ABC, router_settings={"model_group_alias": aliases})
    assert found.routes.sets == {
        "fast": ModelSet(("a", "b"), "race"),
        "hedged": ModelSet(("a", "b"), "hedge", 0.5),
        "late": ModelSet(("a", "b"), "race", 2.0),
        "safe": ModelSet(("a", "b"), "fallback"),
        "every": ModelSet(("a", "b"), "all"),
    }
    assert found.listed == ["a", "b", "c", *aliases]
    with pytest.raises(UnknownModel, match="stands for several models: `a`, `b`"):
        found.find("fast")


@pytest.mark.parametrize(
    ("alias", "why"),
    [
        ({"y": {}}, "needs either `model` or `models`"),
        ({"y": {"model": "a", "models": ["a"]}}, "needs either `model` or `models`"),
        ({"a": "b"}, "is also a `model_name`"),
        ({"x, y": "a"}, "cannot contain a comma"),
        ({"x/*": "a"}, "an alias is one name; write an entry of `model_list` with `model_name: x"),
        ({"y": {"models": ["a"], "mode": "all", "stagger": 1}}, "works only in a race or hedge"),
        ({"y": {"models": ["a"], "mode": "best"}}, "cannot be 'best'"),
        ({"y": {"models": ["a"], "mdoe": "all"}}, "mdoe"),
        ({"y": {"models": []}}, "must not be empty"),
    ],
)
def test_a_wrong_alias_says_what_is_wrong(alias: Any, why: str) -> None:
    assert why in refusal(model_list=ABC, router_settings={"model_group_alias": alias})


# ---- wildcards ----


@pytest.mark.parametrize(
    ("pattern", "model", "asked", "provider", "sent"),
    [
        ("openai/*", "openai/*", "openai/gpt-4o", "openai", "gpt-4o"),
        ("*", "*", "groq/llama-3.3-70b", "groq", "llama-3.3-70b"),
        ("*", "*", "claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"),
        ("*", "openrouter/*", "meta/llama", "openrouter", "meta/llama"),
        ("claude-*", "anthropic/claude-*", "claude-opus-5", "anthropic", "claude-opus-5"),
        ("my-*", "openai/gpt-4o", "my-anything", "openai", "gpt-4o"),
        ("*-eu/*", "openrouter/*/*", "a-eu/b", "openrouter", "a/b"),
    ],
)
def test_a_wildcard_takes_every_name_that_fits(
    pattern: str, model: str, asked: str, provider: str, sent: str
) -> None:
    found = catalog(model_list=[entry(model, pattern, rpm=5)])
    (deployment,) = found.find(asked)
    assert (deployment.name, deployment.rpm) == (asked, 5)
    assert (deployment.provider.name, deployment.target.model) == (provider, sent)


def test_a_name_of_its_own_counts_before_a_wildcard_and_the_longer_one_before_the_shorter() -> None:
    models = [
        entry("openai/*", "*"),
        entry("openrouter/*", "gpt-*"),
        entry("openrouter/other/*", "gpt-*"),
        entry("groq/llama", "gpt-4o"),
    ]
    found = catalog(model_list=models)
    assert [d.provider.name for d in found.find("gpt-4o")] == ["groq"]
    assert [d.target.model for d in found.find("gpt-5")] == ["5", "other/5"]
    assert [d.provider.name for d in found.find("o3")] == ["openai"]


def test_a_wildcard_needs_its_providers_key_like_any_entry() -> None:
    found = catalog(model_list=[entry("openai/*", "openai/*"), entry("*", "*")])
    assert found.secret_names == ["OPENAI_API_KEY"]
    assert names(found.find("openai/x")[0]) == ["OPENAI_API_KEY"]


def test_a_name_that_no_wildcard_can_resolve_is_unknown() -> None:
    found = catalog(model_list=[entry("*", "*")])
    with pytest.raises(UnknownModel, match="there is no model `nobody/x`"):
        found.find("nobody/x")
    with pytest.raises(UnknownModel):
        catalog(model_list=[entry("openai/*", "openai/*")]).find("groq/x")


@pytest.mark.parametrize(
    ("name", "model", "why"),
    [
        ("all", "openai/*", "needs a `model_name` with a `*`"),
        ("nobody/*", "nobody/*", "has no known provider"),
    ],
)
def test_a_wildcard_that_cannot_work_is_a_problem(name: str, model: str, why: str) -> None:
    assert why in refusal(model_list=[entry(model, name)])


def test_fallbacks_and_keys_may_name_what_a_wildcard_takes() -> None:
    keys = [{"name": "n", "key": "k", "models": ["openai/*", "a"]}]
    found = catalog(
        model_list=[*ABC, entry("openai/*", "openai/*")],
        router_settings={"fallbacks": [{"openai/gpt-5": ["openai/gpt-4o"]}]},
        general_settings={"keys": keys},
    )
    assert found.routes.fallbacks_of("openai/gpt-5") == ("openai/gpt-4o",)
    (client,) = found.client_keys
    allowed = [client.may_use(name) for name in ("a", "openai/gpt-5", "b", "groq/x")]
    assert allowed == [True, True, False, False]
