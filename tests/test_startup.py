"""
Until the first response, nothing heavy is loaded, and no provider that is not named.

The real command, `fanout serve`, answers one request and is stopped; then it lists its modules.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream, open_upstream

SHARED = Path(__file__).parent.parent / "shared"
FOLDERS = {"anthropic", "azure", "bedrock", "cohere", "gemini", "openai", "vertex_ai"}

HEAVY = {
    "aiohttp", "annotated_types", "anyio", "aws_lambda_powertools", "boto3", "botocore",
    "cryptography", "genai_prices", "google", "httpx", "httpx2", "jinja2", "numpy", "openai",
    "pydantic", "requests", "rich", "starlette", "tokenizers", "websockets", "xllamacpp",
}  # fmt: skip

OURS, OTHERS, STANDARD = 116, 30, 190
"""
The most modules, by whose they are. Each costs a cold start some 0.1 to 1 ms.

A provider with TLS needs 35 others more: pyqwest and opentelemetry.
"""

CODE = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=open(sys.argv[1], "w")))
from fanout.cli.main import main
main(["serve", "--port", "0", "--quiet", "--config", sys.argv[2]])
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with open_upstream() as provider:
        provider.script("m", answers("Hi"))
        yield provider


def loaded(model: str, upstream: Upstream, folder: Path) -> set[str]:
    """The modules of a server of this one model, behind its first answer."""
    entry = {"model": model, "api_base": f"{upstream.url}/v1", "api_key": "k"}
    config = {"model_list": [{"model_name": "m", "litellm_params": entry}]}
    (folder / "config.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-c", CODE, str(folder / "modules"), str(folder / "config.yaml")]
    process = subprocess.Popen(  # noqa: S603 -- what it runs is written here
        command, stderr=subprocess.PIPE, text=True, env={"PYTHONPATH": str(SHARED), **usual()}
    )
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        port = next(found[1] for line in lines if (found := re.search(r"http://\S+:(\d+)", line)))
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE)
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        answer = json.load(connection.getresponse())
        assert answer["choices"][0]["message"]["content"] == "Hi"
        connection.close()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    return set((folder / "modules").read_text().split())


def usual() -> dict[str, str]:
    """The environment, without what measures coverage: it loads modules of its own."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("COV_", "PYTHONPATH"))}


@pytest.mark.parametrize(
    ("model", "folders"),
    [("groq/m", {"openai"}), ("openai/m", {"openai"}), ("anthropic/m", {"anthropic"})],
)
def test_the_first_response_loads_nothing_heavy_and_no_provider_that_is_not_named(
    upstream: Upstream, tmp_path: Path, model: str, folders: set[str]
) -> None:
    modules = loaded(model, upstream, tmp_path)
    assert {name.split(".")[0] for name in modules} & HEAVY == set()
    named = {name.split(".")[2] for name in modules if name.startswith("fanout.providers.")}
    assert named & FOLDERS == folders
    assert modules & {"fanout.transport.client_engine", "fanout.http.page_assets"} == set()
    standard = {name for name in modules if name.split(".")[0] in sys.stdlib_module_names}
    ours = {name for name in modules if name.split(".")[0] == "fanout"}
    assert len(ours) <= OURS
    assert len(modules - ours - standard) <= OTHERS
    assert len(standard) <= STANDARD


def test_importing_the_functions_builds_no_type() -> None:
    code = "import sys, fanout; from fanout import ChatCompletion; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    modules = set(done.stdout.split())
    assert "pydantic" in modules
    assert modules & {"pydantic.plugin._loader", "importlib.metadata"} == set()


RESPONSE = """
import sys
from fanout import batch_completion
conversation = [{"role": "user", "content": "Hi"}]
(response,) = batch_completion("openai/m", [conversation], api_base=sys.argv[1], api_key="k")
assert response.choices[0].message.content == "Hi"
print(*sys.modules)
"""


def test_the_first_response_of_a_function_builds_no_validator_and_loads_nothing_rare(
    upstream: Upstream,
) -> None:
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", RESPONSE, f"{upstream.url}/v1"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SHARED), **usual()},
    )
    modules = set(done.stdout.split())
    assert modules & {"pydantic.plugin._loader", "importlib.metadata"} == set()
    rare = {"library.checkpoint", "library.chunk_types", "schema.litellm_arguments"}
    assert modules & {"difflib", *(f"fanout.{name}" for name in rare)} == set()
