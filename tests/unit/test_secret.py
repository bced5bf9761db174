"""No key is ever shown: not by a repr, not by a format, not by rich, not by an encoder."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from rich.pretty import pretty_repr

from fanout.config.load import check
from fanout.config.resolve import resolve
from fanout.secret import Secret
from fanout.settings import Settings
from fanout.transport.engine import Outgoing
from fanout.wire.sigv4 import Credentials

KEY = "sk-very-secret-4711"

CONFIG: Mapping[str, Any] = {
    "model_list": [
        {"model_name": "a", "litellm_params": {"model": "gpt-4o", "api_key": KEY}},
        {"model_name": "b", "litellm_params": {"model": "gpt-4o", "api_key": [KEY, KEY]}},
        {"model_name": "c", "litellm_params": {"model": "gpt-4o", "api_key": "os.environ/K"}},
    ],
    "general_settings": {"master_key": KEY, "keys": [{"name": "n", "key": f"{KEY}-2"}]},
}
ENV = {"K": KEY, "OPENAI_API_KEY": KEY}
FILE = check(CONFIG, ENV)
CATALOG = resolve(FILE, ENV)

HOLDERS: Mapping[str, Any] = {
    "a literal secret": Secret("(literal)", KEY),
    "a secret of the environment": CATALOG.find("c")[0].keys[0],
    "a deployment": CATALOG.find("a")[0],
    "a deployment of several keys": CATALOG.find("b"),
    "a catalog": CATALOG,
    "a caller": CATALOG.client_keys,
    "a config": FILE,
    "a config's entries": FILE.model_list,
    "a config's settings": FILE.general_settings,
    "settings": Settings(None, ENV),
    "a request": Outgoing("POST", f"https://h/?key={KEY}", {"x-api-key": KEY}, KEY.encode()),
    "AWS credentials": Credentials("AKIA", KEY, KEY),
}
every_holder = pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS.keys())


@every_holder
def test_a_key_is_in_no_repr_and_in_no_text(holder: Any) -> None:
    shown = [repr(holder), str(holder), f"{holder}", f"{holder!r:>200}", pretty_repr(holder)]
    shown.append(pretty_repr({"in": [holder]}, expand_all=True))
    assert [text for text in shown if KEY in text] == []


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
@pytest.mark.parametrize("name", ["a literal secret", "a deployment", "a caller"])
def test_a_secret_cannot_be_encoded(name: str, encode: Any) -> None:
    with pytest.raises((TypeError, NotImplementedError)):
        encode(HOLDERS[name])


def test_a_secret_is_shown_as_dots_and_its_repr_has_its_name() -> None:
    secret = Secret("OPENAI_API_KEY", KEY)
    assert (str(secret), f"{secret}") == ("••••", "••••")
    assert repr(secret) == "Secret('OPENAI_API_KEY')"


def test_only_reveal_returns_the_text() -> None:
    secret = Secret("N", KEY)
    assert (secret.reveal(), secret.is_known) == (KEY, True)
    assert (Secret("N").reveal(), Secret("N").is_known) == (None, False)
    assert Secret("N", "").is_known is False
    assert not hasattr(secret, "__dict__")


def test_secrets_are_equal_by_name_and_text() -> None:
    assert Secret("N", "t") == Secret("N", "t")
    assert len({Secret("N", "t"), Secret("N", "t"), Secret("N", "u"), Secret("M", "t")}) == 3
    assert Secret("N", "t") != "t"


def test_a_secret_may_be_copied() -> None:
    secret = Secret("N", KEY)
    assert copy.deepcopy(secret) == secret
    assert pickle.loads(pickle.dumps(secret)) == secret  # noqa: S301 -- it is our own
