"""A first config, made from the keys in the environment. Pure: an environment in, a text out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from ..providers import registry
from .resolve import inspect_config

MASTER_KEY = "FANOUT_MASTER_KEY"

HEAD = """\
# Written by `fanout init`. Any value can be `os.environ/NAME`, so no key is in this file.
# `fanout check FILE` shows what it means.

model_list:
"""
ENTRY = """\
  # Clients write `{name}/MODEL`, for any model of the provider.
  - model_name: {name}/*
    litellm_params:
      model: {name}/*
      api_key: os.environ/{key}
"""
NO_KEY = """
# With a key for clients, Fanout serves other machines, too (`fanout serve --host 0.0.0.0`):
# general_settings:
#   master_key: os.environ/FANOUT_MASTER_KEY
"""
WITH_KEY = """
general_settings:
  master_key: os.environ/FANOUT_MASTER_KEY # what clients send as their API key
"""


class StarterConfig(Struct, frozen=True):
    """
    The text of a config, and the providers that it has, with the variables of their keys.

    `left_out` are the providers whose key is set but which need more, and what that is.
    """

    text: str
    providers: Mapping[str, str]
    left_out: Mapping[str, str]


def starter_config(env: Mapping[str, str]) -> StarterConfig:
    """A config with every model of each provider whose key is in the environment."""
    found = registry.with_key(env)
    left_out = dict(_incomplete(found, env))
    providers = {name: key for name, key in found.items() if name not in left_out}
    entries = (ENTRY.format(name=name, key=key) for name, key in providers.items())
    end = WITH_KEY if env.get(MASTER_KEY) else NO_KEY
    return StarterConfig(HEAD + "".join(entries) + end, providers, left_out)


def _incomplete(providers: Mapping[str, str], env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The providers that need more than a key, such as an address, and what is missing."""
    for name, key in providers.items():
        _, _, problems = inspect_config(HEAD + ENTRY.format(name=name, key=key), env, "")
        if problems:
            yield name, problems[0].message
