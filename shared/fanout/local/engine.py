"""
Runs llama.cpp as an OpenAI-compatible server on 127.0.0.1. The only importer of `xllamacpp`.

The server runs in C++ threads of this process and stops only when the process ends, so it should
have a process of its own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msgspec import Struct

from ..server.listener import claim_address
from ..settings import install_command
from .models import LocalError

HOST = "127.0.0.1"
MAX_TOKENS = 512
"""The engine's own default is no limit, and a small model may never end its response."""

LOG_ERRORS, LOG_INFO = 1, 3


class EngineOptions(Struct, frozen=True):
    """
    How to run the engine.

    `port` 0 picks a free port. `threads` should be at most the number of cores minus one: with all
    cores, any other busy process delays each token, up to a hundredfold. `context` is the tokens of
    each of the `parallel` requests.
    """

    weights: Path
    name: str
    key: str
    port: int = 0
    threads: int = 1
    parallel: int = 4
    context: int = 2048
    verbose: bool = False


def default_threads() -> int:
    """The number of cores minus one, and at least one."""
    return max(1, (os.cpu_count() or 2) - 1)


def check_installed(find: Callable[[str], object] = find_spec) -> None:
    """Raise `LocalError` if the engine's package is missing; loads nothing."""
    if find("xllamacpp") is None:
        raise LocalError(f"the local engine is not installed: {install_command('local')}")


def load_xllamacpp(importer: Callable[[str], Any] = import_module) -> Any:
    """The engine's module; raises `LocalError` that says what is missing."""
    try:
        return importer("xllamacpp")
    except ModuleNotFoundError as error:
        if error.name != "xllamacpp":
            raise
        raise LocalError(f"the local engine is not installed: {install_command('local')}") from None
    except ImportError as error:
        if "libgomp" not in str(error):
            raise LocalError(f"the local engine does not load: {error}") from None
        raise LocalError(
            "the local engine needs the OpenMP library libgomp, which slim container images lack: "
            "apt-get install -y libgomp1 (or your system's package of that name)"
        ) from None


def start(
    options: EngineOptions, importer: Callable[[str], Any] = import_module
) -> tuple[str, Any]:
    """Load the weights and listen. Returns the address, and the server, which must be kept."""
    module = load_xllamacpp(importer)
    if options.port:
        _check_free(options.port)
    try:
        server = module.Server(_parameters(module, options))
    except RuntimeError as error:
        raise LocalError(f"the local engine did not start: {error}") from None
    return server.listening_address, server


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        claim_address(probe)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise LocalError(
                f"port {port} of {HOST} is in use: stop the process that uses it, or choose "
                "another --port"
            ) from None


def _parameters(module: Any, options: EngineOptions) -> Any:
    """
    llama.cpp's parameters: this machine only, with a key, without its web page.

    With `embedding`, the engine has `/v1/embeddings` beside all the others: the mean of the model's
    states after its last layer. A text may have as many tokens as it works on at a time, 512.
    """
    params = module.CommonParams()
    params.model.path = str(options.weights)
    params.model_alias = [options.name]
    params.offline = True
    params.hostnames = [HOST]
    params.port = options.port
    params.api_keys = [options.key]
    params.cors_origins = ""  # by default any web page could call it
    params.ui = False
    params.endpoint_slots = False  # would show prompts
    params.endpoint_metrics = True
    params.embedding = True
    params.pooling_type = module.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.n_parallel = options.parallel
    params.n_ctx = options.context * options.parallel
    params.n_predict = MAX_TOKENS
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.verbosity = LOG_INFO if options.verbose else LOG_ERRORS
    return params
