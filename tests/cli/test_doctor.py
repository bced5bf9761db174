"""`fanout doctor` reports what is installed, what is missing, and what is wrong."""

from __future__ import annotations

import socket
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from fanout.cli import doctor
from fanout.cli.data_folder import check_data_folder
from fanout.cli.doctor import Finding, port_finding
from fanout.settings import EXTRAS, install_command
from tests.cli.commands import Command, CommandResult, write_config
from tests.support.gateway_server import serve
from tests.support.scripted_provider import Upstream


def findings(ran: CommandResult) -> dict[str, tuple[str, str]]:
    """Each check's state and words."""
    found: list[dict[str, Any]] = ran.json["findings"]
    return {finding["what"]: (finding["state"], finding["words"]) for finding in found}


def test_a_bare_machine_is_not_ill(fanout: Command) -> None:
    ran = fanout("doctor", "--json")
    found = findings(ran)
    assert (ran.code, ran.json["ok"]) == (0, True)
    assert found["installation"][0] == "ok"
    assert found["config"][0] == "absent"
    assert found["providers' keys"] == ("absent", "none in the environment")
    assert found["local model"][0] == "absent"
    assert "fanout local install" in found["local model"][1]
    assert found["running engine"][0] == "absent"


def test_keys_are_shown_by_name_only(fanout: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ran = fanout("doctor", "--json")
    assert findings(ran)["providers' keys"] == ("ok", "OPENAI_API_KEY")
    assert "sk-secret" not in ran.out


def test_a_config_is_reported_with_its_model_names_and_hosts(fanout: Command, config: Path) -> None:
    found = findings(fanout("doctor", "--config", config, "--json"))
    assert found["config"] == ("ok", f"`{config}`: 3 model names on 1 provider host")


def test_a_key_that_the_config_misses_is_wrong(fanout: Command, tmp_path: Path) -> None:
    entry = {"model_name": "x", "litellm_params": {"model": "groq/x"}}
    ran = fanout("doctor", "--config", write_config(tmp_path, {"model_list": [entry]}), "--json")
    assert ran.code == 1
    assert findings(ran)["config's keys"] == ("wrong", "missing: GROQ_API_KEY")


GOOGLE = {
    "model": "vertex_ai/gemini-2.5-pro",
    "vertex_project": "p",
    "vertex_location": "europe-west1",
}
PROFILE = {
    "model": "bedrock/amazon.nova-lite-v1:0",
    "aws_profile_name": "p",
    "aws_region_name": "us-east-1",
}


@pytest.mark.parametrize(
    ("extra", "config"),
    [
        ("vertex", {"model_list": [{"model_name": "x", "litellm_params": GOOGLE}]}),
        ("aws", {"model_list": [{"model_name": "x", "litellm_params": PROFILE}]}),
        ("otel", {"general_settings": {"traces": True}}),
    ],
)
def test_an_extra_that_the_config_needs_and_that_is_not_installed_is_named(
    fanout: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    extra: str,
    config: dict[str, Any],
) -> None:
    path = write_config(tmp_path, config)
    assert "config's extras" not in findings(fanout("doctor", "--config", path, "--json"))
    monkeypatch.setitem(EXTRAS, extra, "no-such-package-of-anyone")
    ran = fanout("doctor", "--config", path, "--json")
    state, words = findings(ran)["config's extras"]
    assert (ran.code, state) == (1, "wrong")
    assert f"the extra `{extra}` is not installed" in words
    assert f"pip install '.[{extra}]'" in words
    assert ran.json["next"] == "install the missing extra"
    checked = fanout("check", path)
    assert checked.code == 1
    assert words in checked.out.splitlines()


def test_several_missing_extras_are_one_command(
    fanout: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [{"model_name": name, "litellm_params": PROFILE} for name in ("x", "y")]
    path = write_config(tmp_path, {"model_list": listed, "general_settings": {"traces": True}})
    for extra in ("aws", "otel"):
        monkeypatch.setitem(EXTRAS, extra, "no-such-package-of-anyone")
    _, words = findings(fanout("doctor", "--config", path, "--json"))["config's extras"]
    assert words == (
        "the extras `aws` (which `x` needs for its profile), `otel` (which "
        "`general_settings.traces` needs) are not installed: run `pip install '.[aws,otel]'` in a "
        "clone of Fanout"
    )
    assert fanout("check", path).out.count("pip install") == 1


def test_the_data_folder_is_checked_for_its_place_size_and_room(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    env = {"FANOUT_HOME": str(home)}
    free = 2_340_000_000
    assert check_data_folder(env, lambda _: free) == (
        "absent",
        f"`{home}` is made with the first job; 2.3 GB free",
    )
    (home / "files").mkdir(parents=True)
    (home / "files" / "one").write_bytes(bytes(1_500))
    (home / "two").write_bytes(bytes(500))
    assert check_data_folder(env, lambda _: free) == ("ok", f"`{home}`: 2 kB used, 2.3 GB free")
    assert check_data_folder(env, lambda _: 99_000_000) == (
        "wrong",
        f"`{home}`: only 99 MB free",
    )
    file = home / "two"
    for path in (file, file / "below"):
        assert check_data_folder({"FANOUT_HOME": str(path)}) == ("wrong", f"`{file}` is no folder")
    assert check_data_folder({"FANOUT_HOME": "/proc/sys"})[0] == "wrong"  # for root, too


def test_a_wrong_data_folder_comes_first(
    fanout: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("FANOUT_HOME", str(file))
    ran = fanout("doctor", "--json")
    assert (ran.code, findings(ran)["data folder"][0]) == (1, "wrong")
    assert ran.json["next"].startswith("name another data folder with FANOUT_HOME")


def not_found(name: str) -> None:
    raise PackageNotFoundError(name)


@pytest.mark.parametrize(
    ("file", "installer"),
    [
        ("uv-receipt.toml", "uv tool install --force"),
        ("pipx_metadata.json", "pipx install --force"),
    ],
)
def test_the_command_to_install_an_extra_is_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, installer: str
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert install_command("aws") == "run `pip install '.[aws]'` in a clone of Fanout"
    (tmp_path / file).touch()
    everything = "aws,local,otel,parquet,postgres,vertex"  # is here, and would be replaced
    assert install_command("aws") == f"run `{installer} '.[{everything}]'` in a clone of Fanout"
    monkeypatch.setattr("importlib.metadata.distribution", not_found)
    assert install_command("aws") == f"run `{installer} '.[aws]'` in a clone of Fanout"


def test_many_problems_of_a_config_are_one_and_a_count(fanout: Command, tmp_path: Path) -> None:
    path = write_config(tmp_path, {"nonsense": 1, "rubbish": 2, "trash": 3})
    state, words = findings(fanout("doctor", "--config", path, "--json"))["config"]
    assert state == "wrong"
    assert words.endswith("; and 2 more")
    assert "\n" not in words


def test_a_wrong_config_is_reported_and_the_other_checks_still_run(
    fanout: Command, tmp_path: Path
) -> None:
    ran = fanout("doctor", "--config", write_config(tmp_path, {"nonsense": 1}), "--json")
    assert ran.code == 1
    assert findings(ran)["config"][0] == "wrong"
    assert "port" in findings(ran)


def test_weights_that_are_not_the_models_are_wrong(fanout: Command, tmp_path: Path) -> None:
    weights = tmp_path / "home" / "models" / "smollm2-135m.gguf"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"not these")
    ran = fanout("doctor", "--json")
    assert ran.code == 1
    assert findings(ran)["local model"][0] == "wrong"
    assert "fanout local install" in ran.json["next"]


def test_for_people_it_is_a_line_each(fanout: Command) -> None:
    *lines, last = fanout("doctor").out.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "absent", "busy", "wrong"}
    assert len(lines) == 8
    assert last.startswith("next: ")


def test_a_key_of_clients_that_is_missing_is_wrong(fanout: Command, tmp_path: Path) -> None:
    general = {"master_key": "os.environ/FANOUT_MASTER_KEY"}
    config = write_config(tmp_path, {"model_list": [], "general_settings": general})
    ran = fanout("doctor", "--config", config, "--json")
    assert findings(ran)["config's keys"] == ("wrong", "missing: FANOUT_MASTER_KEY")
    assert ran.json["next"] == "set the missing keys in the environment"


def test_it_names_the_next_step(
    fanout: Command, config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    states = iter(["ok", "ok", "busy", "ok", "ok", "ok"])
    monkeypatch.setattr(doctor, "port_finding", lambda: Finding("port", next(states), ""))
    assert "fanout local run" in fanout("doctor", "--json").json["next"]
    for suffix in ("", " --port 4001"):  # the port is free, then in use
        step = fanout("doctor", "--config", config, "--json").json["next"]
        assert step.endswith(f"fanout serve --config {config}{suffix}`")
    step = fanout("doctor", "--config", tmp_path / "none.yaml", "--json").json["next"]
    assert f"fanout init -o {tmp_path / 'none.yaml'}`" in step
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("nonsense: 1")
    step = fanout("doctor", "--config", wrong, "--json").json["next"]
    assert f"fanout check {wrong}`" in step
    assert f"fanout check --fix {wrong}`" in step
    monkeypatch.setenv("GROQ_API_KEY", "k")
    assert "fanout init`" in fanout("doctor", "--json").json["next"]


def test_a_port_that_is_in_use_is_busy_and_fanout_is_recognized(upstream: Upstream) -> None:
    other = int(upstream.url.rpartition(":")[2])
    assert port_finding(other) == Finding(
        "port", "busy", f"{other} of 127.0.0.1 is in use: choose another with --port"
    )
    with serve({}) as gateway:
        found = port_finding(gateway.port)
    assert (found.state, "Fanout is running" in found.words) == ("busy", True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert port_finding(port).state == "ok"
