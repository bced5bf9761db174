"""The engine's parameters, and the errors if it cannot start. Needs no engine."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fanout.local.engine import (
    EngineOptions,
    check_installed,
    default_threads,
    load_xllamacpp,
    start,
)
from fanout.local.models import LocalError

OPTIONS = EngineOptions(Path("/w/tiny.gguf"), "tiny", "a-key", threads=3, parallel=2, context=100)


class Recorder:
    """A stand-in for xllamacpp that keeps its parameters."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.given: Any = None

    def __call__(self, name: str) -> Any:
        assert name == "xllamacpp"
        pooling = SimpleNamespace(LLAMA_POOLING_TYPE_MEAN="mean")
        return SimpleNamespace(
            CommonParams=self.parameters, Server=self.server, llama_pooling_type=pooling
        )

    def parameters(self) -> Any:
        inner = {"model": SimpleNamespace(), "cpuparams": SimpleNamespace()}
        return SimpleNamespace(**inner, cpuparams_batch=SimpleNamespace())

    def server(self, parameters: Any) -> Any:
        self.given = parameters
        if self.fault:
            raise self.fault
        return SimpleNamespace(listening_address="http://127.0.0.1:1234")


def test_it_listens_on_this_machine_only_with_a_key_and_without_extras() -> None:
    module = Recorder()
    address, _ = start(OPTIONS, module)
    given = module.given
    assert address == "http://127.0.0.1:1234"
    assert (given.hostnames, given.port, given.api_keys) == (["127.0.0.1"], 0, ["a-key"])
    assert (given.ui, given.endpoint_slots, given.cors_origins) == (False, False, "")
    assert (given.embedding, given.pooling_type) == (True, "mean")
    assert (given.model.path, given.model_alias, given.offline) == ("/w/tiny.gguf", ["tiny"], True)


def test_its_limits_are_the_options() -> None:
    module = Recorder()
    start(OPTIONS, module)
    given = module.given
    assert (given.n_parallel, given.n_ctx, given.n_predict) == (2, 200, 512)
    assert (given.cpuparams.n_threads, given.cpuparams_batch.n_threads) == (3, 3)


def test_a_core_is_left_for_everybody_else() -> None:
    assert default_threads() >= 1


def test_an_engine_that_fails_raises_its_message() -> None:
    with pytest.raises(LocalError, match="the local engine did not start: no such file"):
        start(OPTIONS, Recorder(RuntimeError("no such file")))


def test_a_port_in_use_is_reported_before_the_weights_are_loaded() -> None:
    module = Recorder()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = EngineOptions(Path("/w"), "tiny", "k", port=port)
        with pytest.raises(LocalError, match=f"port {port} of 127.0.0.1 is in use"):
            start(options, module)
    assert module.given is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ModuleNotFoundError("no", name="xllamacpp"), r"pip install '\.\[local\]'"),
        (
            ImportError("libgomp.so.1: cannot open shared object file"),
            "apt-get install -y libgomp1",
        ),
        (ImportError("wrong ELF class"), "does not load: wrong ELF class"),
    ],
)
def test_a_reason_why_the_engine_does_not_load_is_reported(fault: Exception, words: str) -> None:
    def importer(_: str) -> Any:
        raise fault

    with pytest.raises(LocalError, match=words):
        load_xllamacpp(importer)


def test_a_module_that_the_engine_lacks_is_a_bug_and_not_hidden() -> None:
    def importer(_: str) -> Any:
        raise ModuleNotFoundError("no", name="numpy")

    with pytest.raises(ModuleNotFoundError):
        load_xllamacpp(importer)


def test_a_missing_engine_is_found_before_anything_is_downloaded() -> None:
    with pytest.raises(LocalError, match=r"not installed: run `pip install '\.\[local\]'`"):
        check_installed(lambda _: None)
    check_installed()
