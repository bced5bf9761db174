"""`fanout check` and `fanout models` show what a config resolves to; they never show a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.cli.commands import Command, write_config

FULL: dict[str, Any] = {
    "model_list": [
        {
            "model_name": "best",
            "litellm_params": {
                "model": "openai/gpt-4o",
                "api_key": "os.environ/TEAM_KEY",
                "rpm": 500,
                "timeout": 30,
                "weight": 2,
            },
        },
        {"model_name": "best", "litellm_params": {"model": "anthropic/claude-sonnet-5"}},
        {
            "model_name": "own",
            "litellm_params": {"model": "ollama/llama3", "api_key": "sk-written-out"},
        },
        {"model_name": "cloud", "litellm_params": {"model": "bedrock/x", "region": "eu-west-1"}},
    ],
    "router_settings": {"fallbacks": [{"best": ["own"]}]},
    "general_settings": {"master_key": "os.environ/GATEWAY_KEY"},
}


@pytest.fixture
def full(tmp_path: Path) -> Path:
    return write_config(tmp_path, FULL)


def test_each_deployment_is_a_row_with_what_it_resolves_to(
    fanout: Command, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_KEY", "sk-team-secret")
    ran = fanout("check", full)
    rows = [line.split("  ") for line in ran.out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0][:3] == ["MODEL NAME", "PROVIDER", "PROVIDER'S MODEL"]
    assert cells[1] == [
        "best",
        "openai",
        "gpt-4o",
        "https://api.openai.com/v1/chat/completions",
        "TEAM_KEY",
        "rpm 500, timeout 30, weight 2",
        "own",
    ]
    assert cells[2][:2] == ["best", "anthropic"]
    assert "ANTHROPIC_API_KEY MISSING" in cells[2]
    assert "in the config" in cells[3]
    assert "AWS credentials" in cells[4]


GOOGLE: dict[str, Any] = {"vertex_project": "our-project", "vertex_location": "eu"}


def google(tmp_path: Path, **params: Any) -> Path:
    """A config with one model on Google Cloud."""
    given = {"model": "vertex_ai/gemini-2.5-pro", **GOOGLE, **params}
    return write_config(tmp_path, {"model_list": [{"model_name": "g", "litellm_params": given}]})


def test_a_model_on_google_cloud_has_its_project_location_and_credentials(
    fanout: Command, tmp_path: Path
) -> None:
    ran = fanout("check", google(tmp_path))
    assert ran.code == 0
    assert ":generateContent (project our-project, location eu)" in ran.out
    assert "Google's default credentials" in ran.out
    row = fanout("check", google(tmp_path), "--json").json["models"][0]
    assert (row["auth"], row["keys"]) == ("google", [])
    assert row["place"] == {"project": "our-project", "location": "eu"}


def test_googles_credentials_are_shown_by_name_and_a_file_must_be_there(
    fanout: Command, tmp_path: Path
) -> None:
    path = tmp_path / "key.json"
    ran = fanout("check", google(tmp_path, vertex_credentials=str(path)))
    assert ran.code == 1
    assert ran.out.endswith("missing: vertex_credentials\n")
    path.write_text("{}")
    assert fanout("check", google(tmp_path, vertex_credentials=str(path))).code == 0
    ran = fanout("check", google(tmp_path, vertex_credentials="os.environ/GOOGLE_KEY"))
    assert (ran.code, "GOOGLE_KEY MISSING" in ran.out) == (1, True)
    ran = fanout("check", google(tmp_path, vertex_credentials={"private_key": "marker"}))
    assert (ran.code, "in the config" in ran.out, "marker" in ran.out) == (0, True, False)


def test_what_is_missing_is_listed_and_the_code_is_1(fanout: Command, full: Path) -> None:
    ran = fanout("check", full)
    assert ran.code == 1
    assert "keys of clients: GATEWAY_KEY MISSING" in ran.out
    assert ran.out.endswith("missing: ANTHROPIC_API_KEY, GATEWAY_KEY, TEAM_KEY\n")


def test_with_all_keys_there_the_code_is_0_and_no_key_is_shown(
    fanout: Command, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "GATEWAY_KEY", "TEAM_KEY"):
        monkeypatch.setenv(name, f"sk-secret-{name}")
    for words in ((), ("--json",)):
        ran = fanout("check", full, *words)
        assert ran.code == 0
        assert "sk-" not in ran.out + ran.err


def test_with_json_it_is_one_object(fanout: Command, full: Path) -> None:
    result = fanout("check", full, "--json").json
    assert (result["ok"], result["config"]) == (False, str(full))
    assert result["missing"] == ["ANTHROPIC_API_KEY", "GATEWAY_KEY", "TEAM_KEY"]
    assert result["callers"] == {"GATEWAY_KEY": False}
    assert result["models"][0] == {
        "name": "best",
        "provider": "openai",
        "model": "gpt-4o",
        "api_base": "https://api.openai.com/v1",
        "url": "https://api.openai.com/v1/chat/completions",
        "keys": [{"name": "TEAM_KEY", "present": False}],
        "auth": "key",
        "limits": {"rpm": 500, "timeout": 30, "weight": 2},
        "defaults": {},
        "fallbacks": ["own"],
    }


def test_a_model_for_embeddings_has_the_address_of_embeddings(
    fanout: Command, tmp_path: Path
) -> None:
    names = ("openai/text-embedding-3-small", "cohere/embed-v4.0", "ollama/nomic-embed-text")
    models: list[dict[str, Any]]
    models = [{"model_name": name, "litellm_params": {"model": name}} for name in names]
    azure = {"model": "azure/mine", "api_base": "https://x.openai.azure.com"}
    based = {**azure, "base_model": "text-embedding-3-small"}
    models.append({"model_name": "based", "litellm_params": based})
    mode = {"mode": "embedding"}
    models.append({"model_name": "mode", "litellm_params": azure, "model_info": mode})
    result = fanout("check", write_config(tmp_path, {"model_list": models}), "--json").json
    assert [one["url"] for one in result["models"]] == [
        "https://api.openai.com/v1/embeddings",
        "https://api.cohere.com/v2/embed",
        "http://127.0.0.1:11434/v1/embeddings",
        *["https://x.openai.azure.com/openai/v1/embeddings"] * 2,
    ]
    assert "is not for chat" not in str(result)


def test_a_provider_that_needs_no_key_misses_none(fanout: Command, tmp_path: Path) -> None:
    own = {"model_name": "own", "litellm_params": {"model": "ollama/llama3"}}
    named = {"model": "ollama/llama3", "api_key": "os.environ/SPARE_KEY"}
    models = [own, {"model_name": "named", "litellm_params": named}]
    ran = fanout("check", write_config(tmp_path, {"model_list": models}))
    assert ran.code == 0
    assert "none needed" in ran.out.splitlines()[1]
    assert "SPARE_KEY (not set, not needed)" in ran.out.splitlines()[2]
    assert ran.out.endswith("ok: 2 deployments, no missing keys\n")
    one = fanout("check", write_config(tmp_path, {"model_list": [own]}))
    assert one.out.endswith("ok: 1 deployment, no missing keys\n")
    assert "none, so the gateway serves this machine only" in ran.out


def test_a_wrong_config_is_exit_code_2_and_names_the_place(fanout: Command, tmp_path: Path) -> None:
    wrong = write_config(tmp_path, {"model_lst": []})
    ran = fanout("check", wrong, "--json")
    assert ran.code == 2
    assert "did you mean `model_list`" in ran.json["error"]["message"]
    assert "`model_lst`" in ran.err


def test_what_serve_refuses_is_refused_here(fanout: Command, tmp_path: Path) -> None:
    """Every web page could use a gateway without a key."""
    models = [{"model_name": "a", "litellm_params": {"model": "ollama/a"}}]
    general: dict[str, object] = {"cors_origins": ["*"]}
    config = {"model_list": models, "general_settings": general}
    for key, code in ({}, 2), ({"master_key": "sk-1"}, 0):
        ran = fanout("check", write_config(tmp_path, config | {"general_settings": general | key}))
        assert (ran.code, "`general_settings.cors_origins` is `*`" in ran.err) == (code, code == 2)


def test_check_needs_a_config(fanout: Command) -> None:
    ran = fanout("check")
    assert (ran.code, ran.out) == (2, "")
    assert "fanout check FILE" in ran.err


# ---- the HTTP client ----


def over_httpx(tmp_path: Path, **general: object) -> Path:
    model = {"model_name": "m", "litellm_params": {"model": "ollama/m"}}
    settings = {"http_client": "httpx", **general}
    return write_config(tmp_path, {"model_list": [model], "general_settings": settings})


def test_the_certificates_of_httpx_are_shown(fanout: Command, tmp_path: Path) -> None:
    bundle, own = tmp_path / "ca.pem", tmp_path / "client.pem"
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(bundle))
    ca.issue_cert("team@example.org").private_key_and_cert_chain_pem.write_to_path(str(own))
    config = over_httpx(tmp_path, ssl_verify=str(bundle), ssl_certificate=str(own))
    expected = f"httpx, which trusts the certificates in `{bundle}`; its own certificate is `{own}`"
    assert f"HTTP client: {expected}\n" in fanout("check", config).out
    assert fanout("check", config, "--json").json["http_client"] == {
        "name": "httpx",
        "ssl_verify": str(bundle),
        "ssl_certificate": str(own),
    }


@pytest.mark.parametrize(
    ("value", "trusts"),
    [(True, "the system's certificates"), ("False", "EVERY certificate"), (False, "EVERY")],
)
def test_what_httpx_trusts_without_a_file_is_shown(
    fanout: Command, tmp_path: Path, value: object, trusts: str
) -> None:
    config = over_httpx(tmp_path, ssl_verify=value)
    assert f"HTTP client: httpx, which trusts {trusts}" in fanout("check", config).out


def test_a_certificate_that_cannot_be_read_is_misuse(fanout: Command, tmp_path: Path) -> None:
    ran = fanout("check", over_httpx(tmp_path, ssl_certificate=str(tmp_path / "nowhere.pem")))
    assert ran.code == 2
    assert "`general_settings.ssl_certificate`: " in ran.err


def test_a_gateway_with_such_a_certificate_does_not_start_and_prints_one_line(
    fanout: Command, tmp_path: Path
) -> None:
    config = over_httpx(tmp_path, ssl_certificate=str(tmp_path / "nowhere.pem"))
    ran = fanout("serve", "--config", config, "--port", "0", "--quiet")
    assert ran.code == 2
    assert [line for line in ran.err.splitlines() if "no key is set" not in line] == [
        line for line in ran.err.splitlines() if line.startswith("fanout: `general_settings.ssl_c")
    ]


def test_the_default_client_is_not_worth_a_line(fanout: Command, full: Path) -> None:
    assert "HTTP client" not in fanout("check", full).out
    assert fanout("check", full, "--json").json["http_client"] == {"name": "default"}


# ---- models ----


def test_models_lists_each_name_once_and_which_cannot_be_used(
    fanout: Command, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = fanout("models", "--config", full)
    assert [line.split("  ")[0] for line in ran.out.splitlines()] == ["best", "own", "cloud"]
    assert "openai/gpt-4o, anthropic/claude-sonnet-5  its key is missing" in ran.out
    monkeypatch.setenv("TEAM_KEY", "sk-team")
    result = fanout("models", "--config", full, "--json").json
    assert result["prefixes"] == []
    assert result["models"][0] == {
        "name": "best",
        "usable": True,
        "asks": ["openai/gpt-4o", "anthropic/claude-sonnet-5"],
        "chat": True,
    }


def test_without_a_config_the_providers_whose_keys_are_there_are_listed(
    fanout: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no provider's key in the environment" in fanout("models").out
    monkeypatch.setenv("GROQ_API_KEY", "gsk-secret")
    ran = fanout("models")
    assert ran.out == "groq/…  any model of groq  GROQ_API_KEY\n"
    assert fanout("models", "--json").json == {
        "models": [],
        "prefixes": [{"provider": "groq", "key": "GROQ_API_KEY"}],
    }


def test_other_names_and_notes_are_shown(fanout: Command, tmp_path: Path) -> None:
    models = [
        {"model_name": "a", "litellm_params": {"model": "ollama/llama3", "num_ctx": 8192}},
        {"model_name": "b", "litellm_params": {"model": "ollama/whisper-1"}},
        {"model_name": "any/*", "litellm_params": {"model": "ollama/*"}},
        {"model_name": "*", "litellm_params": {"model": "*"}},
    ]
    aliases = {"gpt-4": "a", "fast": {"models": ["a", "b"], "mode": "race"}}
    config = {"model_list": models, "router_settings": {"model_group_alias": aliases}}
    path = write_config(tmp_path, config)
    lines = fanout("check", path).out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["a", "b", "any/*"]
    assert lines[5:10] == [
        "other name: gpt-4: a",
        "other name: fast: race of a, b",
        "other name: *: every model of the provider that the name begins with",
        "note: `a`: `ollama` ignores `num_ctx`; set it at the server",
        "note: `b`: `whisper-1` is not for chat, and there is no other API here",
    ]
    output = fanout("check", path, "--json").json
    assert output["names"] == {"gpt-4": "a", "fast": {"mode": "race", "models": ["a", "b"]}}
    assert len(output["notes"]) == 2


# ---- a config with problems ----

WRONG = """\
model_list:
  - model_name: a
    litellm_params:
      model: openai/gpt-4o  # kept
      temprature: 1
  - model_name: b
    litellm_params: {model: nobody/x}
litellm_settings:
  cache: true
"""


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    return path


@pytest.mark.parametrize("command", [("check",), ("serve", "--port", "0", "--config")])
def test_every_problem_is_a_line_with_its_number_and_the_code_is_2(
    fanout: Command, wrong: Path, command: tuple[str, ...]
) -> None:
    ran = fanout(*command, wrong)
    assert (ran.code, ran.out) == (2, "")
    lines = ran.err.splitlines()
    assert [line.split(":")[:2] for line in lines[:-1]] == [
        ["wrong.yaml", "5"],
        ["wrong.yaml", "7"],
        ["wrong.yaml", "9"],
    ]
    assert lines[-1].startswith("fanout: 3 problems; `fanout check --fix FILE`")


def test_the_problems_are_json_for_programs(fanout: Command, wrong: Path) -> None:
    ran = fanout("check", wrong, "--json")
    assert ran.code == 2
    assert ran.json["error"]["code"] == "invalid_config"
    assert [(one["line"], one["path"]) for one in ran.json["problems"]] == [
        (5, ["model_list", 0, "litellm_params", "temprature"]),
        (7, ["model_list", 1, "litellm_params", "model"]),
        (9, ["litellm_settings", "cache"]),
    ]


def test_fix_writes_a_config_that_passes_and_lists_what_it_left_out(
    fanout: Command, wrong: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    ran = fanout("check", "--fix", wrong)
    written = wrong.with_name("wrong.fanout.yaml")
    assert ran.code == 0
    assert wrong.read_text() == WRONG
    assert written.read_text() == (
        "model_list:\n  - model_name: a\n    litellm_params:\n"
        "      model: openai/gpt-4o  # kept\n      temperature: 1\n"
    )
    lines = ran.out.splitlines()
    assert lines[0].startswith("wrong.yaml:5: wrote `temperature`: ")
    assert lines[1].startswith("wrong.yaml:7: left out: model_list[1] (`b`): `nobody/x` has no")
    assert lines[2].startswith("wrong.yaml:9: left out: `litellm_settings.cache` ")
    assert lines[3] == f"wrote {written}: 3 changes"
    assert fanout("check", written).code == 0


def test_fix_overwrites_a_file_only_if_it_is_named(fanout: Command, wrong: Path) -> None:
    written = wrong.with_name("wrong.fanout.yaml")
    written.write_text("mine")
    ran = fanout("check", "--fix", wrong)
    assert (ran.code, written.read_text()) == (2, "mine")
    assert "write `-o FILE` to overwrite" in ran.err
    ran = fanout("check", "--fix", wrong, "-o", written, "--json")
    assert (ran.code, ran.json["written"], ran.json["ok"]) == (0, str(written), True)
    assert [one["line"] for one in ran.json["changed"]] == [5, 7, 9]


def test_fix_says_what_it_cannot_fix(fanout: Command, tmp_path: Path) -> None:
    path = tmp_path / "unset.yaml"
    path.write_text("router_settings: {timeout: os.environ/NOT_SET_ANYWHERE}\n")
    ran = fanout("check", "--fix", path)
    assert ran.code == 1
    assert (
        "unset.yaml:1: kept, but incomplete on this machine: `router_settings.timeout`" in ran.out
    )
