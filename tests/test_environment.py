"""What tests see of the machine: nothing that the user of Fanout has set up on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fanout
from fanout.bulk.local.lazy_service import data_home
from fanout.local.models import cache_home
from fanout.providers import registry
from tests.support.clean_environment import (
    CERTIFICATES,
    SHARED,
    USER_ENVIRONMENT,
    certificates,
    clean_environment,
)

PROVIDER_KEYS = sorted({key for name in registry.names() for key in registry.find(name).keys})
USED = {
    "HOME": "/home/ada",
    "XDG_DATA_HOME": "/home/ada/data",
    "FANOUT_HOME": "/home/ada/fanout",
    "FANOUT_CONFIG": "/home/ada/fanout.yaml",
    "LOCAL_API_BASE": "http://127.0.0.1:4001/v1",
    "AWS_PROFILE": "work",
    "https_proxy": "http://proxy.test:3128",
    "FORCE_COLOR": "1",
    "LOG_LEVEL": "ERROR",
    "POWERTOOLS_DEV": "1",
    "PYTHONIOENCODING": "ascii",
    **dict.fromkeys(PROVIDER_KEYS, "sk-ada"),
}


def test_no_folder_of_fanout_is_the_users() -> None:
    users = Path(USER_ENVIRONMENT.get("HOME", "/root"))
    for folder in (Path.home(), cache_home(os.environ), data_home(os.environ)):
        assert not folder.is_relative_to(users) or users == Path("/")


def test_keys_settings_and_proxies_of_the_user_are_removed(tmp_path: Path) -> None:
    cleaned = clean_environment({**USED, "PATH": "/bin", "LANG": "tr_TR.UTF-8"}, tmp_path)
    assert not USED.keys() & cleaned.keys() - {"HOME", "XDG_DATA_HOME"}
    assert "/home/ada" not in "\n".join(v for k, v in cleaned.items() if k != "UV_CACHE_DIR")
    assert (cleaned["PATH"], cleaned["LANG"]) == ("/bin", "tr_TR.UTF-8")


ONE = "SSL_CERT_FILE"


def test_certificates_that_are_not_there_are_removed(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        for path, kept in ((tmp_path / "ca.pem", True), (tmp_path / "gone.pem", False)):
            assert (name in certificates({name: str(path)})) == kept
            assert clean_environment({name: str(path)}, tmp_path).keys() & CERTIFICATES == {ONE}


@pytest.mark.parametrize("given", ["shared", f"{SHARED}", ""])
def test_processes_that_tests_start_import_this_projects_fanout_from_any_folder(
    tmp_path: Path, given: str
) -> None:
    env = clean_environment({**os.environ, "PYTHONPATH": given}, tmp_path)
    command = [sys.executable, "-c", "import fanout; print(fanout.__file__)"]
    found = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, check=True)  # noqa: S603
    assert Path(found.stdout.decode().strip()) == SHARED / "fanout" / "__init__.py"
    assert Path(fanout.__file__) == SHARED / "fanout" / "__init__.py"
