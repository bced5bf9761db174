"""The files in `hosting`: what they name exists, and their limits fit those of the gateway."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

import yaml
from msgspec import json

from fanout.cli.main import make_parser
from fanout.config.catalog import DEFAULT_TIMEOUT
from fanout.config.load import load_text
from fanout.config.model import GeneralSettings
from fanout.config.resolve import resolve
from fanout.http.routes import ROUTES

ROOT = Path(__file__).parents[2]
HOSTING = ROOT / "hosting"
CONTAINER = (HOSTING / "Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((HOSTING / "compose.yaml").read_text())
UNIT = dict(re.findall(r"^(\w+)=(.*)$", (HOSTING / "fanout.service").read_text(), re.MULTILINE))
NGINX = (HOSTING / "nginx.conf").read_text()


def parsed(words: list[str]) -> argparse.Namespace:
    """The arguments of a command of `fanout`."""
    return make_parser().parse_args(words)


def number(text: str) -> float:
    """The number at the beginning of `40s` or `32m`."""
    found = re.match(r"\d+", text)
    assert found is not None
    return float(found[0])


def test_the_config_serves_other_machines_with_a_key_and_metrics() -> None:
    env = {"OPENAI_API_KEY": "k", "FANOUT_MASTER_KEY": "m"}
    catalog = resolve(load_text((HOSTING / "config.yaml").read_text(), env), env)
    assert [client.name for client in catalog.client_keys] == ["master"]
    assert catalog.general.metrics
    assert catalog.find("openai/gpt-4o")
    given = COMPOSE["services"]["fanout"]["environment"]
    assert set(given) == env.keys()


def test_the_image_is_built_of_files_that_are_there_and_sent_to_the_builder() -> None:
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", CONTAINER, re.MULTILINE)
        for word in line.split()[:-1]
    ]
    sent = (ROOT / ".dockerignore").read_text().split()
    for name in copied:
        assert (ROOT / name).exists(), name
        shown = f"!{'requirements/*.txt' if name.startswith('requirements/') else name}"
        assert shown in sent, name
    named = re.findall(r"requirements/\w+\.txt", CONTAINER)
    assert set(named) <= set(copied)


def test_every_package_of_the_image_is_locked() -> None:
    installs = re.findall(r"^RUN (?:uv )?pip install (.*)$", CONTAINER, re.MULTILINE)
    assert len(installs) == 3
    for words in installs:
        given = words.split()
        assert "--require-hashes" in given or given[-2:] == ["--no-deps", "dist/*.whl"], words
    (build,) = re.findall(r"^RUN uv build (.*)$", CONTAINER, re.MULTILINE)
    assert "--build-constraints requirements/build.txt --require-hashes" in build
    for name in re.findall(r"-r (\S+)", " ".join(installs)):
        versions = re.findall(r"^[\w.-]+(==)?", (ROOT / name).read_text(), re.MULTILINE)
        assert versions
        assert set(versions) == {"=="}, name


def test_the_image_serves_with_its_config_and_keeps_its_state_in_the_volume() -> None:
    command = json.decode(re.findall(r"^CMD (\[.*\])$", CONTAINER, re.MULTILINE)[0])
    arguments = parsed(command)
    assert (arguments.host, arguments.port) == ("0.0.0.0", 4000)  # noqa: S104 -- in a container
    volume = re.findall(r"^VOLUME (.*)$", CONTAINER, re.MULTILINE)[0]
    assert f"FANOUT_HOME={volume}" in CONTAINER
    assert "EXPOSE 4000" in CONTAINER
    probe = re.findall(r"http://127\.0\.0\.1:4000(/[\w/]+)", CONTAINER)[0]
    assert [route.is_public for route in ROUTES if route.path == probe] == [True]
    service = COMPOSE["services"]["fanout"]
    mounts = {one.split(":")[1] for one in service["volumes"]}
    assert mounts == {volume, re.findall(r"FANOUT_CONFIG=(\S+)", CONTAINER)[0]}
    assert (HOSTING / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert number(service["stop_grace_period"]) > arguments.grace


def test_the_unit_stops_after_the_grace_and_may_write_its_state_only() -> None:
    program, *words = shlex.split(UNIT["ExecStart"])
    arguments = parsed(words)
    assert program.endswith("/fanout")
    assert number(UNIT["TimeoutStopSec"]) > arguments.grace
    assert UNIT["Environment"] == f"FANOUT_HOME=/var/lib/{UNIT['StateDirectory']}"
    assert UNIT["ProtectSystem"] == "strict"


def test_the_proxies_pass_streams_at_once_and_have_the_gateways_limits() -> None:
    general = GeneralSettings()
    settings = dict(re.findall(r"^\s*(\w+) ([^;{}\n]+);", NGINX, re.MULTILINE))
    assert settings["proxy_buffering"] == "off"
    assert number(settings["client_max_body_size"]) == general.max_request_size_mb
    assert number(settings["proxy_read_timeout"]) > DEFAULT_TIMEOUT
    assert number(settings["keepalive_timeout"]) < general.keepalive_timeout
    assert settings["proxy_pass"] == "http://fanout"
    caddy = (HOSTING / "Caddyfile").read_text()
    assert f"max_size {general.max_request_size_mb:g}MB" in caddy
    assert "flush_interval -1" in caddy
    assert "reverse_proxy fanout:4000" in caddy
    assert {"fanout", "caddy"} == COMPOSE["services"].keys()
