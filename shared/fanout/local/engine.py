"""
llama.cpp as an OpenAI-compatible server on 127.0.0.1. The only importer of `xllamacpp`.

The server runs in C++ threads inside this process, which ought to be a child of its own: it is
stopped by ending the process.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from msgspec import Struct

from .models import LocalError

HOST = "127.0.0.1"
MAX_TOKENS = 512
"""Tokens; the engine's own default is none, and a small model may ramble on for ever."""

LOG_ERRORS, LOG_INFO = 1, 3


class EngineOptions(Struct, frozen=True):
    """
    How to run the engine.

    `port` 0 takes a free one. `threads` is best left one under the number of cores: with as many
    as cores, any other busy process makes each token wait for it, up to a hundred times as long.
    `context` is the tokens of one of the `parallel` conversations.
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
    """One thread under the number of cores, and at least one."""
    return max(1, (os.cpu_count() or 2) - 1)


def load_xllamacpp(importer: Callable[[str], Any] = import_module) -> Any:
    """The engine's module; `LocalError` says what is missing."""
    try:
        return importer("xllamacpp")
    except ModuleNotFoundError as error:
        if error.name != "xllamacpp":
            raise
        raise LocalError(
            "the local engine is not installed: pip install 'fanout-gateway[local]'"
        ) from None
    except ImportError as error:
        if "libgomp" not in str(error):
            raise LocalError(f"the local engine does not load: {error}") from None
        raise LocalError(
            "the local engine needs the system's OpenMP library, libgomp, which slim images leave "
            "out: apt-get install -y libgomp1 (or your system's package of that name)"
        ) from None


def start(
    options: EngineOptions, importer: Callable[[str], Any] = import_module
) -> tuple[str, Any]:
    """Load the weights and listen; the server's address, and the server, which must be held."""
    module = load_xllamacpp(importer)
    if options.port:
        _check_free(options.port)
    try:
        server = module.Server(_parameters(module.CommonParams(), options))
    except RuntimeError as error:
        raise LocalError(f"the local engine did not start: {error}") from None
    return server.listening_address, server


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise LocalError(
                f"port {port} of {HOST} is taken: stop what is there, or give another --port"
            ) from None


def _parameters(params: Any, options: EngineOptions) -> Any:
    """llama.cpp's parameters: this machine only, a key, and none of its extras."""
    params.model.path = str(options.weights)
    params.model_alias = [options.name]
    params.offline = True
    params.hostnames = [HOST]
    params.port = options.port
    params.api_keys = [options.key]
    params.cors_origins = ""  # its defaults are no key and any origin: every web page could ask
    params.ui = False
    params.endpoint_slots = False  # would show the prompts
    params.endpoint_metrics = True
    params.n_parallel = options.parallel
    params.n_ctx = options.context * options.parallel
    params.n_predict = MAX_TOKENS
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.verbosity = LOG_INFO if options.verbose else LOG_ERRORS
    return params
