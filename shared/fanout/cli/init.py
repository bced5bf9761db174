"""`fanout init`: writes a config, from the keys in the environment or from a config of LiteLLM."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .shared_arguments import Help, add_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction
    from collections.abc import Mapping
    from pathlib import Path

    from ..settings import Settings

OUTPUT = "fanout.yaml"


def add(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "init",
        help="write a config, from the keys in the environment or from a config of LiteLLM",
        description="Write a config with every model of each provider whose key is in the "
        "environment. With --from, write LiteLLM's config without what Fanout cannot do, as "
        "`fanout check --fix` does, and list what is changed. Keys of the environment are named, "
        "never written; keys that stand in LiteLLM's config stay in the new one.",
        formatter_class=Help,
    )
    parser.add_argument(
        "--from", dest="source", metavar="FILE", help="a config of LiteLLM to start from"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=OUTPUT, help=f"where to write ({OUTPUT})"
    )
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the config, and print what is in it and the next step."""
    from pathlib import Path

    from ..errors import ConfigError
    from ..settings import Settings

    output = Path(arguments.output)
    if output.exists() and not arguments.force:
        raise ConfigError(f"`{output}` is there already: write -o FILE, or --force to overwrite it")
    settings = Settings.read(arguments.source)
    if arguments.source is None:
        return _from_environment(output, settings.env, as_json=arguments.json)
    return _from_litellm(output, settings, as_json=arguments.json)


def _from_environment(output: Path, env: Mapping[str, str], *, as_json: bool) -> int:
    from ..config.starter import starter_config
    from ..errors import ConfigError
    from .config_problems import write_config
    from .printing import show, show_json

    made = starter_config(env)
    if not made.providers:
        more = "".join(f"; {name}: {why}" for name, why in made.left_out.items())
        raise ConfigError(
            f"no provider's key is in the environment{more}: set one, such as OPENAI_API_KEY, or "
            "start from LiteLLM's config with `fanout init --from FILE`. Without any key, "
            "`fanout local run` serves a small model"
        )
    write_config(output, made.text)
    if as_json:
        keys = {"providers": made.providers, "left_out": made.left_out}
        show_json({"written": str(output), "ok": True, **keys})
        return 0
    lines = [f"{name}/*: every model of {name}, by {key}" for name, key in made.providers.items()]
    lines += [f"left out {name}: {why}" for name, why in made.left_out.items()]
    show("\n".join([*lines, f"wrote {output}", next_step(output)]))
    return 0


def _from_litellm(output: Path, settings: Settings, *, as_json: bool) -> int:
    from ..config.document import parse
    from ..config.limits import lists_models
    from ..config.load import read_file
    from ..errors import ConfigError
    from .config_problems import fixed_json, fixed_text, write_fixed
    from .printing import show, show_json

    if settings.config and not lists_models(
        parse(read_file(settings.config), str(settings.config))
    ):
        raise ConfigError(
            f"`{settings.config}` has no `model_list`: it is no config of LiteLLM's proxy"
        )
    path, fixed = write_fixed(settings, str(output))
    if as_json:
        show_json(fixed_json(path, fixed))
    else:
        name = settings.config.name if settings.config else ""
        show(f"{fixed_text(name, path, fixed)}\n{next_step(output)}")
    return int(bool(fixed.remaining))


def next_step(config: Path) -> str:
    """What to type after a config is written."""
    from .printed_commands import command

    check, serve = command(["check", str(config)]), command(["serve", "--config", str(config)])
    return f"next: `{check}` shows what it means; `{serve}` serves it"
