from __future__ import annotations

import ast
import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fanout
from fanout import errors
from tests.support.module_imports import nodes

SHARED = Path(__file__).parent.parent / "shared"


def test_the_public_names_are_sorted_and_each_is_there() -> None:
    assert fanout.__all__ == sorted(fanout.__all__)
    assert [name for name in fanout.__all__ if not hasattr(fanout, name)] == []
    assert dir(fanout) == fanout.__all__


def test_each_function_has_its_async_twin_with_the_same_parameters() -> None:
    plain = {name for name in fanout.__all__ if f"a{name}" in fanout.__all__}
    assert plain == {
        "batch_completion",
        "batch_completion_models",
        "batch_completion_models_all_responses",
        "completion",
        "embedding",
        "open_request",
    }
    for name in plain:
        own = inspect.signature(getattr(fanout, name)).parameters
        twins = inspect.signature(getattr(fanout, f"a{name}")).parameters
        assert list(own) == list(twins)
        assert [one.default for one in own.values()] == [one.default for one in twins.values()]


def test_what_may_be_raised_can_be_caught_by_name() -> None:
    errors = {"AllFailed", "FanoutError", "ProviderError", "RequestError"}
    assert errors <= set(fanout.__all__)
    assert all(issubclass(getattr(fanout, name), fanout.FanoutError) for name in errors)


def test_the_signature_names_each_option() -> None:
    known = [*fanout.ChatOptions.__annotations__]
    for name in (name for name in fanout.__all__ if re.match("a?(batch_)?completion", name)):
        function = getattr(fanout, name)
        parameters = inspect.signature(function).parameters
        names = list(parameters)
        assert names[names.index("stream") :] == ["stream", "response_format", *known, "options"]
        assert parameters["temperature"].annotation == "float | None"
        assert "stream: 'bool | None' = None" in pydoc.render_doc(function)
    for function in (fanout.embedding, fanout.aembedding):
        names = list(inspect.signature(function).parameters)
        assert names[-1] == "options"
        assert {*fanout.EmbeddingOptions.__annotations__, "dimensions", "api_base"} <= {*names}


def test_each_exception_that_the_functions_may_raise_is_exported() -> None:
    """`Busy` needs a gateway with `patience`, which the Python functions do not give."""
    others = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, fanout.FanoutError)
    }
    others -= {*fanout.__all__, "Busy"}
    assert "ShuttingDown" in others
    package = SHARED / "fanout"
    found = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.Name) and node.id in others
    }
    assert found <= {"bulk", "cli", "errors", "http", "keys", "server"}


def test_a_name_that_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="module `fanout` has no `nope`"):
        getattr(fanout, "nope")  # noqa: B009


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys, fanout; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SHARED)},
    )
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("fanout")} == {"fanout"}
    beyond = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names
    assert beyond == {"__main__", "fanout"}
    assert loaded & {"asyncio", "dataclasses", "inspect", "ssl", "socket"} == set()
