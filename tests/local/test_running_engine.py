"""Other commands find the running engine by one file, which only the user may read."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanout.local.running_engine import RunningEngine, engine_file, find_running, read_engine_file
from tests.support.provider_steps import reply
from tests.support.scripted_provider import Upstream, open_upstream


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with open_upstream() as upstream:
        yield upstream


def an_engine(server: Upstream, pid: int = 1) -> RunningEngine:
    return RunningEngine(f"{server.url}/v1", "a-secret-key", "tiny", pid)


def healthy(server: Upstream, status: int = 200) -> None:
    server.reset()
    server.script("", [reply(status, b"{}", {"content-length": "2"})])


def test_an_engine_that_responds_is_found_by_a_health_check_without_its_key(
    server: Upstream, tmp_path: Path
) -> None:
    healthy(server)
    with engine_file(an_engine(server), tmp_path):
        assert find_running(tmp_path) == an_engine(server)
    assert [call.path for call in server.calls] == ["/health"]
    assert "authorization" not in server.calls[0].headers


def test_one_that_does_not_respond_well_is_not(server: Upstream, tmp_path: Path) -> None:
    healthy(server, 503)
    with engine_file(an_engine(server), tmp_path):
        assert find_running(tmp_path) is None


def test_one_that_is_gone_is_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gone = RunningEngine(f"http://127.0.0.1:{port}/v1", "k", "tiny", 1)
    with engine_file(gone, tmp_path):
        assert read_engine_file(tmp_path) == gone
        assert find_running(tmp_path) is None


def test_only_the_user_may_read_the_file_because_it_contains_the_key(
    server: Upstream, tmp_path: Path
) -> None:
    with engine_file(an_engine(server), tmp_path):
        (file,) = tmp_path.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"a-secret-key" in file.read_bytes()


def test_the_file_is_deleted_with_the_engine(server: Upstream, tmp_path: Path) -> None:
    with engine_file(an_engine(server), tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []
    assert find_running(tmp_path) is None


def test_an_engine_started_later_keeps_its_place(server: Upstream, tmp_path: Path) -> None:
    later = an_engine(server, pid=2)
    with engine_file(later, tmp_path):
        with engine_file(an_engine(server), tmp_path):
            with engine_file(later, tmp_path):
                pass
            assert list(tmp_path.iterdir()) == []
        assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_ours_is_no_engine(tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text("{not json")
    assert find_running(tmp_path) is None


def test_its_key_does_not_show(server: Upstream) -> None:
    assert "a-secret-key" not in repr(an_engine(server))
