"""An address may have a password or a token: no error repeats a part of one that is given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fanout.aws.errors import from_boto3
from fanout.config.load import read_file
from fanout.errors import ConfigError, FanoutError
from fanout.gateway.factory import load_catalog
from fanout.settings import Settings
from tests.cli.commands import Command, write_config

MARKER = "s3cr3tM"
LISTED = Path(__file__).parents[2] / "docs/litellm.md"

ADDRESSES = [
    f"bob:{MARKER}@h/db",
    f"host=h user=bob password={MARKER}",
    f"password={MARKER}",
    f"postgres:/bob:{MARKER}@h/db",
    f"postgresql:bob:{MARKER}@h/db",
    f"postgres//bob:{MARKER}@h",
    f"POSTGRES://bob:{MARKER}@h/db",
    f"mysql://bob:{MARKER}@h/db",
    f"rediss://:{MARKER}@h:6379/0",
    f"https://h/services/{MARKER}",
    f"s3://KEY:{MARKER}@bucket/keys.csv",
    MARKER,
    f"{MARKER}\0",
]

AROUND = st.text("ab:/@?#[]%=&.\\ '\"\n", max_size=10)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_import_repeats_no_part_of_its_source(fanout: Command, address: str) -> None:
    ran = fanout("key", "import", address)
    assert ran.code == 2
    assert MARKER not in ran.out + ran.err


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(before=AROUND, after=AROUND)
def test_whatever_the_source_of_an_import_is(fanout: Command, before: str, after: str) -> None:
    ran = fanout("key", "import", "--", f"x{before}{MARKER}{after}")
    assert ran.code == 2
    assert MARKER not in ran.out + ran.err


@pytest.mark.parametrize(
    "words",
    [
        ("host=h", f"password={MARKER}"),
        ("keys.csv", f"postgres://bob:{MARKER}@h"),
        ("keys.csv", f"--password={MARKER}"),
        ("keys.csv", f"bob:{MARKER}@h"),
        ("keys.csv", f"sk-{MARKER}-{MARKER}"),
    ],
)
def test_a_setting_that_the_shell_has_cut_off_is_not_repeated(
    fanout: Command, words: tuple[str, ...]
) -> None:
    ran = fanout("key", "import", *words)
    assert "unrecognized arguments" in ran.err
    assert MARKER not in ran.err


@given(before=AROUND, after=AROUND)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@pytest.mark.parametrize("start", ["", "http:/", "https://u:", "http://h/?key="])
def test_no_error_of_the_config_has_a_part_of_an_address(
    tmp_path: Path, start: str, before: str, after: str
) -> None:
    params = {"model": "openai/x", "api_key": "k", "api_base": f"{start}{before}{MARKER}{after}"}
    path = write_config(tmp_path, {"model_list": [{"model_name": "m", "litellm_params": params}]})
    said = ""
    try:
        load_catalog(Settings.read(str(path)))
    except FanoutError as error:
        said = f"{error} {error!r}"
    assert MARKER not in said


def litellms_keys(section: str) -> list[str]:
    """The keys of a section that docs/litellm.md lists, but those whose value is a known name."""
    text = LISTED.read_text(encoding="utf-8")
    rows = text[text.index(f"### {section}") :].split("\n### ")[0].split("\n")
    cells = [row.split("|")[1] for row in rows if row.startswith("|")]
    found = re.findall(r"`(\w+)`", " ".join(cells))
    return sorted(set(found) - {"model", "mode", "routing_strategy"})


@pytest.mark.parametrize("value", [f"redis://u:{MARKER}@h/0", f"https://h/services/{MARKER}"])
@pytest.mark.parametrize(
    "section", ["router_settings", "litellm_settings", "general_settings", "litellm_params"]
)
def test_no_error_of_a_key_of_litellm_has_its_value(
    fanout: Command, tmp_path: Path, section: str, value: str
) -> None:
    given = dict.fromkeys(litellms_keys(f"`{section}`"), value)
    assert len(given) > 30
    params = {"model": "openai/x", "api_key": "k"}
    others = {} if section == "litellm_params" else {section: given}
    params |= given if section == "litellm_params" else {}
    models = [{"model_name": "m", "litellm_params": params}]
    ran = fanout("check", write_config(tmp_path, {"model_list": models, **others}))
    assert ran.code == 2
    assert MARKER not in ran.out + ran.err


@pytest.mark.parametrize(
    "url", [f"ftp://me:{MARKER}@x", f"h/?key={MARKER}", f"me:{MARKER}", MARKER]
)
def test_a_wrong_address_of_a_gateway_is_not_repeated(fanout: Command, url: str) -> None:
    ran = fanout("ask", "Hi", "-m", "a", "--gateway", url)
    assert ran.code == 2
    assert "--gateway must be a URL" in ran.err
    assert MARKER not in ran.err


@pytest.mark.parametrize("path", [f"https://me:{MARKER}@h/c.yaml", f"me:{MARKER}@h/c.yaml"])
def test_an_address_in_the_place_of_a_config_is_not_repeated(path: str) -> None:
    with pytest.raises(ConfigError, match="must be a file, not an address") as caught:
        read_file(path)
    assert MARKER not in str(caught.value)


def test_aws_errors_have_no_login_of_a_proxy() -> None:
    text = f'Failed to connect to proxy URL: "http://me:{MARKER}@proxy:8080"'
    assert str(from_boto3(OSError(text))) == (
        'AWS: Failed to connect to proxy URL: "http://proxy:8080"'
    )
