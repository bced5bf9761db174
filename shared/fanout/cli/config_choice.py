"""Selects a command's config: the given one, or the running local model's."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ..config.catalog import MAX_LISTED, Catalog
from ..errors import RequestError
from ..gateway.factory import load_catalog
from ..local.models import MODELS, cache_home, weights_path
from ..local.running_engine import RunningEngine, find_running
from ..settings import Settings
from ..wire.terminal_text import one_line

LOCAL_CONFIG = Path(__file__).parent.parent / "local" / "smol.yaml"


class SelectedConfig(msgspec.Struct, frozen=True):
    """Settings and their catalog; `engine` is the running local model, if there is one."""

    settings: Settings
    catalog: Catalog
    engine: RunningEngine | None = None

    @property
    def is_local(self) -> bool:
        """Whether no config is given and the models are the running local model's."""
        return self.settings.config == LOCAL_CONFIG

    @property
    def path(self) -> str | None:
        """
        The config's absolute path, as a job's record has it; `None` if no config is given.

        Raises `RequestError` for one that is no text.
        """
        config = self.settings.config
        if config is None or self.is_local:
            return None
        path = os.path.abspath(config)  # noqa: PTH100 -- links stay
        if not is_unicode(path):
            raise RequestError(
                f"the config's path `{one_line(path)}` is not UTF-8, and the record of a job"
                " cannot have that: rename it",
                "config",
            )
        return path


def select_config(config: str | None) -> SelectedConfig:
    """
    The config of `--config` or `FANOUT_CONFIG`; without one, the running local model's.

    Without a config, `provider/model` is a model name too. A config may refer to the running local
    model by `os.environ/LOCAL_API_BASE` and `os.environ/FANOUT_LOCAL_KEY`.
    """
    settings = Settings.read(config)
    engine = find_running(cache_home(settings.env))
    if engine is not None:
        settings = Settings(settings.config or LOCAL_CONFIG, {**settings.env, **engine.env})
    catalog = load_catalog(settings)
    selected = SelectedConfig(settings, catalog, engine)
    if selected.is_local:
        return msgspec.structs.replace(
            selected, catalog=msgspec.structs.replace(catalog, is_open=True)
        )
    return selected


def pick_models(selected: SelectedConfig, named: list[str], *, several: bool) -> list[str]:
    """The models of `-m`; without it the config's only one for chat, or the local model's names."""
    if models := split_names(named):
        return models
    from ..telemetry.known_names import is_for_chat  # few commands name no model

    have = [name for name in selected.catalog.groups if is_for_chat(selected.catalog, name)]
    if selected.is_local:
        return have if several else have[:1]
    if len(have) == 1 and not several:
        return have
    if have:
        raise RequestError(f"name a model: -m NAME; the config has {_join_names(have)}", "model")
    raise RequestError(
        "name a model: -m provider/model, such as `-m openai/gpt-4o` with OPENAI_API_KEY set; "
        f"or use the small local model: {_how_to_run(selected.settings)}",
        "model",
    )


def split_names(named: list[str]) -> list[str]:
    """The models of `-m`, each of which may name several."""
    return [name.strip() for names in named for name in names.split(",")]


def _how_to_run(settings: Settings) -> str:
    folder = cache_home(settings.env)
    is_installed = any(weights_path(model, folder).is_file() for model in MODELS.values())
    serve = "run `fanout local serve` in another terminal, and try again"
    return serve if is_installed else f"run `fanout local install`, then {serve}"


def _join_names(names: list[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names[:MAX_LISTED])
    more = len(names) - MAX_LISTED
    return f"{listed} and {more} more: `fanout models` lists them" if more > 0 else listed


def is_unicode(path: str) -> bool:
    """Whether a path is text: it may have any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
