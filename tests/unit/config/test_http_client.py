"""`general_settings.http_client`, and the certificates that only httpx can use."""

from __future__ import annotations

import pytest

from fanout.config.fix import fix
from fanout.config.resolve import inspect_config
from tests.unit.config.sections import catalog, entry, refusal


def test_the_default_client_checks_the_systems_certificates() -> None:
    general = catalog().general
    assert (general.http_client, general.ssl_verify, general.ssl_certificate) == (
        "default",
        True,
        None,
    )


def test_httpx_may_use_its_own_certificates() -> None:
    files = {"ssl_verify": "ca.pem", "ssl_certificate": "os.environ/CERTIFICATE"}
    env = {"CERTIFICATE": "client.pem"}
    general = catalog(env, general_settings={"http_client": "httpx", **files}).general
    assert (general.http_client, general.ssl_verify, general.ssl_certificate) == (
        "httpx",
        "ca.pem",
        "client.pem",
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("ssl_verify", False), ("ssl_verify", "ca.pem"), ("ssl_certificate", "client.pem")],
)
@pytest.mark.parametrize("client", [{}, {"http_client": "default"}])
def test_certificates_need_httpx(client: dict[str, str], key: str, value: object) -> None:
    expected = f"`{key}` needs `http_client: httpx`"
    assert expected in refusal(general_settings={**client, key: value})


@pytest.mark.parametrize("client", ["", ", http_client: httpx"])
@pytest.mark.parametrize("word", ["no", "yes", "Off", "none"])
def test_a_word_that_is_no_path_is_an_error_at_its_line_and_is_left_out(
    word: str, client: str
) -> None:
    text = f'general_settings: {{page: true,\n  ssl_verify: "{word}"{client}}}\n'
    (problem,) = inspect_config(text, {}, "x.yaml")[2]
    assert (problem.line, problem.path[-1]) == (2, "ssl_verify")
    wanted = "must be true, false, or the path of the certificates to trust"
    assert f"{wanted}, not the text `{word}`" in problem.message
    fixed = fix(text, {}, "x.yaml")
    assert (fixed.remaining, len(fixed.changed)) == ((), 1)
    assert not inspect_config(fixed.text, {}, "x.yaml")[2]
    assert inspect_config(fixed.text, {}, "x.yaml")[0].general.ssl_verify is True


@pytest.mark.parametrize("value", [True, "true", "True", "os.environ/VERIFY"])
def test_checking_certificates_needs_nothing(value: object) -> None:
    assert catalog({"VERIFY": "true"}, general_settings={"ssl_verify": value}).general


def test_another_client_is_an_error() -> None:
    error = refusal(general_settings={"http_client": "aiohttp"})
    assert "`general_settings.http_client` cannot be 'aiohttp'" in error


@pytest.mark.parametrize("key", ["ssl_verify", "ssl_certificate"])
def test_litellms_place_of_a_certificate_names_fanouts(key: str) -> None:
    advice = "has no effect here (it belongs in `general_settings`, with `http_client: httpx`)"
    assert f"`litellm_settings.{key}` {advice}" in refusal(litellm_settings={key: "x.pem"})
    models = [entry("openai/m", **{key: "x.pem"})]
    assert f"`model_list[0].litellm_params.{key}` {advice}" in refusal(model_list=models)
