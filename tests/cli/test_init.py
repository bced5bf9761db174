"""`fanout init` writes a config from the keys in the environment, or from a config of LiteLLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import Command, write_config


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, in which the config is written."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_it_writes_a_provider_for_each_key_and_no_key(
    fanout: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-marker")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-marker")
    ran = fanout("init")
    assert (ran.code, ran.err) == (0, "")
    assert "marker" not in ran.out + Path("fanout.yaml").read_text()
    assert "groq/*: every model of groq, by GROQ_API_KEY" in ran.out
    assert "fanout serve --config fanout.yaml" in ran.out
    checked = fanout("check", "fanout.yaml", "--json")
    assert checked.code == 0
    assert [model["name"] for model in checked.json["models"]] == ["anthropic/*", "groq/*"]
    assert checked.json["callers"] == {}


def test_a_key_for_clients_is_used_if_it_is_set(
    fanout: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-marker")
    monkeypatch.setenv("FANOUT_MASTER_KEY", "sk-master-marker")
    assert fanout("init", "--json").json == {
        "written": "fanout.yaml",
        "ok": True,
        "providers": {"openai": "OPENAI_API_KEY"},
        "left_out": {},
    }
    assert fanout("check", "fanout.yaml", "--json").json["callers"] == {"FANOUT_MASTER_KEY": True}


def test_a_provider_that_needs_more_than_a_key_is_left_out_with_the_reason(
    fanout: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_API_KEY", "k")
    ran = fanout("init")
    assert ran.code == 2
    assert "azure: " in ran.err
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    ran = fanout("init")
    assert ran.code == 0
    assert "left out azure: " in ran.out
    assert "azure/*" not in Path("fanout.yaml").read_text()
    monkeypatch.setenv("AZURE_API_BASE", "https://ours.openai.azure.com")
    assert "azure/*: every model" in fanout("init", "--force").out


def test_without_a_key_it_says_how_to_go_on(fanout: Command) -> None:
    ran = fanout("init")
    assert ran.code == 2
    assert not Path("fanout.yaml").exists()
    for words in ("OPENAI_API_KEY", "fanout init --from FILE", "fanout local run"):
        assert words in ran.err


def test_it_overwrites_no_file_unless_it_is_asked_to(
    fanout: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    Path("fanout.yaml").write_text("mine")
    ran = fanout("init")
    assert (ran.code, Path("fanout.yaml").read_text()) == (2, "mine")
    assert "--force" in ran.err
    assert fanout("init", "--force").code == 0
    assert "openai/*" in Path("fanout.yaml").read_text()
    assert fanout("init", "-o", "no/such/folder.yaml").code == 2


def test_a_config_of_litellm_is_made_right(fanout: Command, tmp_path: Path) -> None:
    source = write_config(
        tmp_path,
        {
            "model_list": [
                {"model_name": "x", "litellm_params": {"model": "openai/x", "api_key": "sk-1"}}
            ],
            "litellm_settings": {"set_verbose": True},
        },
    )
    ran = fanout("init", "--from", source, "-o", "mine.yaml")
    assert ran.code == 0
    assert "set_verbose" in ran.out
    assert "fanout serve --config mine.yaml" in ran.out
    assert fanout("check", "mine.yaml").code == 0
    assert fanout("init", "--from", tmp_path / "none.yaml", "-o", "other.yaml").code == 2


@pytest.mark.parametrize(
    "text",
    ["", "{}", "services:\n  web:\n    image: x\n", "general_settings: {}\n", "[]", "a: [\n"],
)
def test_a_file_without_models_is_no_config_of_litellm(fanout: Command, text: str) -> None:
    Path("other.yaml").write_text(text)
    ran = fanout("init", "--from", "other.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert "other.yaml" in ran.err
    assert not Path("fanout.yaml").exists()


def test_the_copy_of_a_private_config_is_private(fanout: Command) -> None:
    entry = {"model_name": "a", "litellm_params": {"model": "openai/gpt-4o", "api_key": "sk-1"}}
    source = write_config(Path(), {"model_list": [entry]}).rename("litellm.yaml")
    source.chmod(0o600)
    assert fanout("init", "--from", "litellm.yaml").code == 0
    assert Path("fanout.yaml").stat().st_mode & 0o777 == 0o600
