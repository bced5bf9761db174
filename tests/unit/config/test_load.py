from __future__ import annotations

import re
from pathlib import Path

import pytest

from fanout.config.load import load_file, load_text
from fanout.config.model import ConfigFile
from fanout.errors import ConfigError
from fanout.secret import Secret


def entry(params: str) -> str:
    """A config of one model with these `litellm_params`, one per line."""
    lines = "".join(f"\n      {line}" for line in params.splitlines())
    return f"model_list:\n  - model_name: a\n    litellm_params:{lines}\n"


def refusal(text: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        load_text(text, env or {}, "x.yaml")
    return str(raised.value)


# ---- the file ----


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nope.yaml"
    with pytest.raises(ConfigError, match=r"there is no config file at `.*nope\.yaml`"):
        load_file(missing, {})


@pytest.mark.parametrize("content", [b"\xff\xfe\x00model", None], ids=["not UTF-8", "a folder"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "odd.yaml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"odd\.yaml` cannot be read"):
        load_file(path, {})


def test_invalid_yaml_is_reported_with_its_line_and_column() -> None:
    assert refusal("model_list:\n  - a: [1, 2\n").startswith("`x.yaml` at line 3, column 1: ")
    assert refusal("model_list:\n\t- a").startswith("`x.yaml` at line 2, column 1: ")


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "42"])
def test_the_top_level_must_be_a_mapping(text: str) -> None:
    assert refusal(text) == "`x.yaml`: the top level must be a mapping, such as `model_list:`"


def test_a_time_zone_that_there_is_not_is_an_error_that_names_it() -> None:
    for zone in ("Mars/Base", "../etc", "Europe"):
        found = refusal(f"general_settings:\n  budget_timezone: {zone}\n")
        assert f"`general_settings.budget_timezone`: there is no time zone `{zone}`" in found
    known = load_text("general_settings: {budget_timezone: Europe/Berlin}", {})
    assert known.general_settings.budget_timezone == "Europe/Berlin"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "model_list:\nrouter_settings:\n"])
def test_an_empty_config_or_an_empty_section_is_a_config(text: str) -> None:
    assert load_text(text, {}) == ConfigFile()


def test_a_duplicate_key_is_rejected_because_one_value_would_be_lost() -> None:
    text = "router_settings:\n  timeout: 5\nlitellm_settings: {}\nrouter_settings: {}\n"
    assert refusal(text) == "x.yaml:4: the key `router_settings` is given twice"
    nested = entry("model: openai/x\nrpm: 1\nrpm: 2")
    assert refusal(nested) == "x.yaml:6: the key `rpm` is given twice"


def test_json_is_yaml_too_and_is_as_strict() -> None:
    assert load_text('{"router_settings": {"timeout": 5}}', {}).router_settings.timeout == 5.0
    assert load_text("{router_settings: {timeout: 5}}", {}).router_settings.timeout == 5.0
    assert "`timeout` is given twice" in refusal(
        '{"router_settings": {"timeout": 5, "timeout": 6}}'
    )


def test_anchors_and_merges_are_yaml_too() -> None:
    text = (
        "model_list:\n"
        "  - model_name: a\n    litellm_params: &same {model: openai/x, rpm: 5}\n"
        "  - model_name: b\n    litellm_params: {<<: *same, rpm: 9}\n"
    )
    first, second = load_text(text, {}).model_list
    assert (first.litellm_params["rpm"], second.litellm_params["rpm"]) == (5, 9)
    assert second.litellm_params["model"] == "openai/x"


def test_a_version_that_yaml_takes_for_a_date_stays_what_was_written() -> None:
    (model,) = load_text(entry("model: azure/x\napi_version: 2024-10-21"), {}).model_list
    assert model.litellm_params["api_version"] == "2024-10-21"


# ---- unknown keys ----


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle_list: []", "`modle_list` is unknown; did you mean `model_list`?"),
        ("xyz: 1", "`xyz` is unknown"),
        (
            "router_settings: {num_retry: 1}",
            "`router_settings.num_retry` is unknown; did you mean `num_retries`?",
        ),
        (
            "litellm_settings: {drop_param: true}",
            "`litellm_settings.drop_param` is unknown; did you mean `drop_params`?",
        ),
        (
            "general_settings: {masterkey: x}",
            "`general_settings.masterkey` is unknown; did you mean `master_key`?",
        ),
        (
            "general_settings: {keys: [{name: n, key: k, model: [a]}]}",
            "`general_settings.keys[0].model` is unknown; did you mean `models`?",
        ),
        (
            "model_list: [{model_nam: a, litellm_params: {model: openai/x}}]",
            "`model_list[0].model_nam` is unknown; did you mean `model_name`?",
        ),
        (
            entry("model: openai/x\napibase: http://h"),
            "`model_list[0].litellm_params.apibase` is unknown; did you mean `api_base`?",
        ),
        (
            entry("model: openai/x\ntemprature: 1"),
            "`model_list[0].litellm_params.temprature` is unknown; did you mean `temperature`?",
        ),
        (entry("model: openai/x\n7: 1"), "`model_list[0].litellm_params.7` is unknown"),
    ],
)
def test_an_unknown_key_is_reported_with_its_path_and_the_closest_known_key(
    text: str, message: str
) -> None:
    assert re.sub(r"^x\.yaml:\d+: ", "", refusal(text)) == message


def test_all_unknown_keys_are_reported_at_once() -> None:
    message = refusal("foo: 1\nrouter_settings: {bar: 1}\ngeneral_settings: {baz: 1}")
    places = ("`foo`", "`router_settings.bar`", "`general_settings.baz`")
    assert [place for place in places if f"{place} is unknown" in message] == list(places)


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        ("litellm_settings: {set_verbose: true}", "litellm_settings.set_verbose", "JSON"),
        ("router_settings: {weights: {a: 1}}", "router_settings.weights", "weight"),
        (
            "general_settings: {cancel_on_disconnect: true}",
            "general_settings.cancel_on_disconnect",
            "always on",
        ),
        ("general_settings: {cache: true}", "general_settings.cache", "does not cache"),
        ("router_settings: {database_url: x}", "router_settings.database_url", "no database"),
        (
            entry("model: openai/x\nmax_retries: 0"),
            "model_list[0].litellm_params.max_retries",
            "write `num_retries`",
        ),
        (
            entry("model: openai/x\nn: 2"),
            "model_list[0].litellm_params.n",
            "set it in the request",
        ),
    ],
)
def test_a_key_of_litellms_that_does_nothing_here_says_why(text: str, path: str, why: str) -> None:
    message = refusal(text)
    assert re.match(rf"x\.yaml:\d+: `{re.escape(path)}` has no effect here \(", message)
    assert why in message


# ---- wrong values ----


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("model_list: 5", "model_list"),
        ("model_list: [5]", "model_list[0]"),
        ("model_list: [{model_name: a}]", "model_list[0].litellm_params"),
        ("model_list: [{litellm_params: {}}]", "model_list[0].model_name"),
        ("model_list: [{model_name: '', litellm_params: {}}]", "model_list[0].model_name"),
        ("router_settings: {timeout: 0}", "router_settings.timeout"),
        ("router_settings: {timeout: soon}", "router_settings.timeout"),
        ("router_settings: {num_retries: -1}", "router_settings.num_retries"),
        ("router_settings: {fallbacks: {a: [b]}}", "router_settings.fallbacks"),
        ("router_settings: []", "router_settings"),
        ("general_settings: {keys: [{name: n}]}", "general_settings.keys[0].key"),
        ("general_settings: {max_request_size_mb: 0}", "general_settings.max_request_size_mb"),
        ("general_settings: {master_key: [1]}", "general_settings.master_key"),
    ],
)
def test_a_wrong_value_is_reported_with_its_path(text: str, path: str) -> None:
    message = refusal(text)
    assert re.match(r"x\.yaml:\d+: ", message)
    assert f"`{path}`" in message


# ---- os.environ/NAME ----


def test_a_name_of_the_environment_is_replaced_anywhere_also_where_a_number_is_meant() -> None:
    env = {"N": "a", "BASE": "http://h/v1", "SECONDS": "2.5", "TIMES": "4", "DROP": "true"}
    text = (
        "model_list:\n  - model_name: os.environ/N\n    litellm_params:\n"
        "      model: openai/x\n      api_base: os.environ/BASE\n"
        "router_settings:\n  timeout: os.environ/SECONDS\n  num_retries: os.environ/TIMES\n"
        "  fallbacks: [{a: [os.environ/N]}]\n"
        "litellm_settings:\n  drop_params: os.environ/DROP\n"
    )
    config = load_text(text, env)
    assert config.model_list[0].model_name == "a"
    assert config.model_list[0].litellm_params["api_base"] == "http://h/v1"
    assert config.router_settings.timeout == 2.5
    assert config.router_settings.num_retries == 4
    assert config.router_settings.fallbacks == [{"a": ["a"]}]
    assert config.litellm_settings.drop_params is True


def test_an_environment_variable_that_is_not_set_is_reported_with_its_place_in_the_config() -> None:
    text = entry("model: openai/x\napi_base: os.environ/NOT_THERE")
    assert refusal(text) == (
        "x.yaml:5: `model_list[0].litellm_params.api_base`: "
        "the environment variable `NOT_THERE` is not set"
    )


def test_an_environment_variable_that_is_not_a_number_is_reported_with_its_path() -> None:
    message = refusal("router_settings: {timeout: os.environ/T}", {"T": "soon"})
    assert "`router_settings.timeout`" in message


@pytest.mark.parametrize("there", [True, False])
def test_a_key_stays_a_reference_whether_it_is_there_or_not(*, there: bool) -> None:
    env = {"K": "sk-very-secret"} if there else {}
    text = entry("model: openai/x\napi_key: os.environ/K") + (
        "general_settings:\n  master_key: os.environ/K\n  keys: [{name: n, key: os.environ/K}]\n"
    )
    config = load_text(text, env)
    assert config.model_list[0].litellm_params["api_key"] == "os.environ/K"
    assert config.general_settings.master_key == "os.environ/K"
    assert config.general_settings.keys[0].key == "os.environ/K"
    assert "sk-very-secret" not in repr(config)


@pytest.mark.parametrize("text", ["os.environ/", "os.environ/A B", "my os.environ/A", "os.environ"])
def test_what_only_resembles_a_reference_is_plain_text(text: str) -> None:
    (model,) = load_text(entry(f"model: openai/x\nuser: '{text}'"), {}).model_list
    assert model.litellm_params["user"] == text


def test_no_error_shows_a_key() -> None:
    text = entry("model: openai/x\napi_key: sk-very-secret\nrpm: x\nn: 1")
    assert "sk-very-secret" not in refusal(text)
    assert "sk-very-secret" not in str(Secret("(literal)", "sk-very-secret"))


NESTED = "\n".join(
    ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 7)]
)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("model_list: &a\n  - *a\n", "`config` at line 1: it has an alias that stands for itself"),
        (
            "a: 1\nb: &b\n  c: {d: *b}\n",
            "`config` at line 2: it has an alias that stands for itself",
        ),
        (NESTED, "it has more than 200,000 values, with what aliases stand for"),
        ("a: " + "[" * 5_000, "`config`"),
        ("a: " + "[" * 5_000 + "]" * 5_000, "its lists and mappings are nested too deeply"),
    ],
    ids=["list", "mapping", "many", "open", "deep"],
)
def test_aliases_and_nesting_without_end_are_errors(text: str, error: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_text(text, {})
    assert error in str(raised.value)


def test_an_alias_may_be_used_often() -> None:
    text = "x: &x {model: openai/gpt-4o, api_key: k}\nmodel_list:\n"
    text += "".join(f"  - {{model_name: m{n}, litellm_params: *x}}\n" for n in range(500))
    with pytest.raises(ConfigError, match="`x`"):  # the only problem
        load_text(text, {})
