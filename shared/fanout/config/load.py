"""Reads a config file and checks it. The only importer of `yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ConfigError
from ..schema.validation import as_request_error
from ..wire import json
from .model import ConfigFile
from .unknown_keys import unknown_keys

REFERENCE = re.compile(r"^os\.environ/([A-Za-z_][A-Za-z0-9_]*)$")


# Keys stay references until a call needs them: on AWS they are in Secrets Manager.
SECRET_KEYS = frozenset({"api_key", "master_key", "key"})


def load_file(path: Path, env: Mapping[str, str]) -> ConfigFile:
    """Read and check the YAML file at `path`; raises `ConfigError` that names every wrong key."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"there is no config file at `{path}`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config file `{path}` cannot be read: {error}") from None
    return load_text(text, env, path.name)


def load_text(text: str, env: Mapping[str, str], name: str = "config") -> ConfigFile:
    """Check a config in YAML or JSON; errors call it `name`."""
    if text.startswith("{"):
        try:
            return check(json.decode_strict(text.encode()), env, name)
        except json.BadJSON:
            pass  # YAML's own flow style: `{model_list: []}`
    import yaml

    try:
        value = _read_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise ConfigError(f"`{name}`{place}: {problem}") from None
    return check(value if value is not None else {}, env, name)


def _read_yaml(text: str) -> Any:
    """The value of a YAML text. Dates stay text, because Azure's `api_version` looks like one."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        pass

    Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_yaml_str)
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _reject_duplicate_keys(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _reject_duplicate_keys(root: Any) -> None:
    """Reject a mapping with a duplicate key, whose first value YAML would silently drop."""
    from yaml.constructor import ConstructorError

    todo, done = [root], set()
    while todo:
        node = todo.pop()
        if id(node) in done or node.id == "scalar":
            continue
        done.add(id(node))
        if node.id == "sequence":
            todo += node.value
            continue
        seen = set()
        for key, value in node.value:
            if (key.tag, str(key.value)) in seen:
                duplicate = f"the key `{key.value}` is given twice"
                raise ConstructorError(None, None, duplicate, key.start_mark)
            seen.add((key.tag, str(key.value)))
            todo.append(value)


def check(value: object, env: Mapping[str, str], name: str = "config") -> ConfigFile:
    """Check a parsed config and replace `os.environ/NAME`, except in keys."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"`{name}`: the top level must be a mapping, such as `model_list:`")
    if wrong := [f"`{path}` {advice}" for path, advice in unknown_keys(value)]:
        raise ConfigError(f"`{name}`: " + "; ".join(wrong))
    sections = {key: section for key, section in value.items() if section is not None}
    try:
        # Not strict: environment variables are text, also where the config needs a number.
        return msgspec.convert(_substitute(sections, env, ""), ConfigFile, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"`{name}`: {as_request_error(str(error))}") from None
    except ConfigError as missing:
        raise ConfigError(f"`{name}`: {missing}") from None


def reference(value: object) -> str | None:
    """The `NAME` of an `os.environ/NAME`, or `None` for anything else."""
    found = REFERENCE.match(value) if isinstance(value, str) else None
    return found[1] if found else None


def _substitute(value: Any, env: Mapping[str, str], place: str) -> Any:
    if isinstance(value, Mapping):
        return {
            key: inner if key in SECRET_KEYS else _substitute(inner, env, f"{place}.{key}")
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_substitute(inner, env, f"{place}[{i}]") for i, inner in enumerate(value)]
    if (name := reference(value)) is None:
        return value
    if name not in env:
        raise ConfigError(f"`{place[1:]}`: the environment variable `{name}` is not set")
    return env[name]
