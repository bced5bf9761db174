"""The servers to be measured, and their stub provider: commands, ports and a shared config."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

from .load import KEY, LoadResult, request, run_load
from .servers import BENCH, OURS, Server, free_port, run_server

Command: TypeAlias = Callable[[int, Path], list[str | Path]]

HELLO = [{"role": "user", "content": "Say hello."}]
STUB_REQUEST = request({"model": "stub", "messages": HELLO})

# The stub's script for each model: time to the first word, number of words, interval (in ms).
SCRIPTS = {
    "stub": "0/1/0",
    "fast": "200/10/5",
    "slow": "1000/10/5",
    "talker": "0/250/4",
    "steady": "1000/1/0",
    "second": "0/11/100",
}


@dataclass(frozen=True)
class Plan:
    """How much is measured: numbers of rounds and requests, seconds a round."""

    prompts: int = 1000
    repeats: int = 5
    rounds: int = 7
    seconds: float = 1.5
    races: int = 15
    starts: int = 11
    requests: int = 10_000
    lines: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    peers: bool = True


QUICK = Plan(
    repeats=1,
    rounds=2,
    seconds=0.5,
    races=3,
    starts=3,
    requests=1000,
    lines=(2_000, 10_000),
    peers=False,
)


@dataclass(frozen=True)
class Testbed:
    """The stub, and a config in LiteLLM's format that sends every model to it."""

    stub: Server
    config: Path

    def url(self, model: str) -> str:
        """The base URL of a model's script."""
        return f"http://127.0.0.1:{self.stub.port}/{SCRIPTS[model]}/v1"


@contextmanager
def open_testbed(folder: Path) -> Iterator[Testbed]:
    """Start the stub and write the config, as JSON, which is also YAML."""
    port = free_port()
    with run_server(
        "stub", [OURS / "python", "-m", "tests.bench.stub", str(port)], port, STUB_REQUEST
    ) as s:
        bed = Testbed(s, folder / "config.json")
        params = {m: {"model": f"openai/{m}", "api_base": bed.url(m)} for m in SCRIPTS}
        models = [
            {"model_name": model, "litellm_params": {**address, "api_key": "sk-stub"}}
            for model, address in params.items()
        ]
        general = {"master_key": KEY}
        bed.config.write_text(json.dumps({"model_list": models, "general_settings": general}))
        yield bed


def fanout_command(port: int, config: Path) -> list[str | Path]:
    """The command of the gateway."""
    return [OURS / "fanout", "serve", "--quiet", "--config", config, "--port", str(port)]


def lambda_command(port: int, _config: Path) -> list[str | Path]:
    """The Lambda function's app over HTTP; the environment names its config."""
    return [OURS / "python", "-m", "functions.api.web_adapter", str(port)]


def litellm_command(port: int, config: Path) -> list[str | Path]:
    """The command of LiteLLM's proxy."""
    where = ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    return [BENCH / "litellm", "--config", config, *where]


def forwarding_command(port: int, config: Path) -> list[str | Path]:
    """The command of the bare ASGI function that forwards to the stub."""
    return [*instant_command(port, config), config]


def instant_command(port: int, _config: Path) -> list[str | Path]:
    """The command of the bare ASGI function that responds by itself."""
    return [OURS / "python", "-m", "tests.bench.baseline", str(port)]


@contextmanager
def start_servers(bed: Testbed, *, peers: bool = True) -> Iterator[dict[str, Server]]:
    """Run the forwarding ASGI function, the gateway and LiteLLM's proxy."""
    commands: dict[str, Command] = {"forwarding": forwarding_command, "fanout": fanout_command}
    if peers:
        commands["litellm"] = litellm_command
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(start_server(name, command, bed))
            for name, command in commands.items()
        }


def start_server(
    name: str, command: Command, bed: Testbed, env: Mapping[str, str] = {}
) -> AbstractContextManager[Server]:
    """Run one server on a free port."""
    port = free_port()
    return run_server(name, command(port, bed.config), port, STUB_REQUEST, env=env)


@dataclass(frozen=True)
class LoadSeries:
    """A server's load results, one for each round, and the CPU that it used in each."""

    loads: list[LoadResult]
    cpus: list[float]

    @property
    def rate(self) -> float:
        """The median of responses a second."""
        return median(load.rate for load in self.loads)

    @property
    def response_time(self) -> float:
        """The median of seconds to a response."""
        return median(load.response_time for load in self.loads)

    @property
    def cpu(self) -> float:
        """The median of milliseconds of CPU for a response."""
        pairs = zip(self.loads, self.cpus, strict=True)
        return median(cpu / len(load.response_times) * 1000 for load, cpu in pairs)


def run_rounds(
    servers: Sequence[Server], data: bytes, *, count: int, clients: int, seconds: float
) -> dict[str, LoadSeries]:
    """
    Load the servers in turn, A B C A B C …, because the machine is not always equally busy.

    The stub serves the same request: without a script in the path, it uses the one of `stub`.
    """
    seen = {server.name: LoadSeries([], []) for server in servers}
    for _ in range(count):
        for server in servers:
            cpu = server.cpu()
            load = run_load(server.port, data, clients=clients, seconds=seconds)
            seen[server.name].loads.append(load)
            seen[server.name].cpus.append(server.cpu() - cpu)
    return seen


def median_ratio(top: Sequence[float], bottom: Sequence[float]) -> float:
    """The median of the ratios within each round."""
    return median(a / b for a, b in zip(top, bottom, strict=True))
