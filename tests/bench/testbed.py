"""Who is measured, and the stub provider that they all ask: commands, ports, one config for all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

from .load import KEY, Load, put, request
from .servers import BENCH, OURS, Server, free_port, running

Command: TypeAlias = Callable[[int, Path], list[str | Path]]

HELLO = [{"role": "user", "content": "Say hello."}]
ASKED = request({"model": "stub", "messages": HELLO})

# A model's name, and the stub's script for it: first word after, words, apart (milliseconds).
SCRIPTS = {"stub": "0/1/0", "fast": "200/10/5", "slow": "1000/10/5", "talker": "0/250/4"}


@dataclass(frozen=True)
class Plan:
    """How much is measured: rounds, and seconds of each."""

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
class Scene:
    """The stub, and a config that sends every model to it: LiteLLM's YAML, so it serves both."""

    stub: Server
    config: Path

    def url(self, model: str) -> str:
        """Where a model's script is."""
        return f"http://127.0.0.1:{self.stub.port}/{SCRIPTS[model]}/v1"


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """A running stub and the config for it, which is JSON and so YAML too."""
    port = free_port()
    with running("stub", [OURS / "python", "-m", "tests.bench.stub", str(port)], port, ASKED) as s:
        made = Scene(s, folder / "config.json")
        params = {m: {"model": f"openai/{m}", "api_base": made.url(m)} for m in SCRIPTS}
        models = [
            {"model_name": model, "litellm_params": {**address, "api_key": "sk-stub"}}
            for model, address in params.items()
        ]
        general = {"master_key": KEY}
        made.config.write_text(json.dumps({"model_list": models, "general_settings": general}))
        yield made


def ours(port: int, config: Path) -> list[str | Path]:
    """The gateway's command."""
    return [OURS / "fanout", "serve", "--quiet", "--config", config, "--port", str(port)]


def function(port: int, _config: Path) -> list[str | Path]:
    """The Lambda's command, which reads the config that the environment names."""
    return [OURS / "python", "-m", "functions.api", str(port)]


def theirs(port: int, config: Path) -> list[str | Path]:
    """LiteLLM's proxy's command."""
    where = ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    return [BENCH / "litellm", "--config", config, *where]


def floor(port: int, config: Path) -> list[str | Path]:
    """The bare ASGI function's command, that asks the stub."""
    return [*bare(port, config), config]


def bare(port: int, _config: Path) -> list[str | Path]:
    """The bare ASGI function's command, that answers by itself."""
    return [OURS / "python", "-m", "tests.bench.baseline", str(port)]


@contextmanager
def contestants(made: Scene, *, peers: bool = True) -> Iterator[dict[str, Server]]:
    """The floor, ours and LiteLLM's proxy, all of them up."""
    commands = {"floor": floor, "fanout": ours, **({"litellm": theirs} if peers else {})}
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(started(name, command, made))
            for name, command in commands.items()
        }


def started(
    name: str, command: Command, made: Scene, env: Mapping[str, str] = {}
) -> AbstractContextManager[Server]:
    """One of them, on a port of its own."""
    port = free_port()
    return running(name, command(port, made.config), port, ASKED, env=env)


@dataclass(frozen=True)
class Seen:
    """One contestant's loads, a round each, and the CPU that its process used in each."""

    loads: list[Load]
    cpus: list[float]

    @property
    def rate(self) -> float:
        """The median of answers a second."""
        return median(load.rate for load in self.loads)

    @property
    def whole(self) -> float:
        """The median of seconds to an answer."""
        return median(load.whole for load in self.loads)

    @property
    def cpu(self) -> float:
        """The median of milliseconds of CPU an answer."""
        pairs = zip(self.loads, self.cpus, strict=True)
        return median(cpu / len(load.wholes) * 1000 for load, cpu in pairs)


def rounds(
    servers: Sequence[Server], asked: bytes, *, count: int, clients: int, seconds: float
) -> dict[str, Seen]:
    """
    Load the servers in turn, A B C A B C …: the machine is not always equally busy.

    The stub takes the same request, as its script is the path's and its default is the stub's.
    """
    seen = {server.name: Seen([], []) for server in servers}
    for _ in range(count):
        for server in servers:
            cpu = server.cpu()
            load = put(server.port, asked, clients=clients, seconds=seconds)
            seen[server.name].loads.append(load)
            seen[server.name].cpus.append(server.cpu() - cpu)
    return seen


def ratio(top: Sequence[float], bottom: Sequence[float]) -> float:
    """The median of the rounds' own ratios."""
    return median(a / b for a, b in zip(top, bottom, strict=True))
