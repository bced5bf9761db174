"""Fanout's exceptions are OpenAI's, too, once OpenAI's SDK is loaded."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

import fanout
from fanout.errors import DeploymentName
from fanout.library.openai_errors import as_openai
from tests.library.ways import HI, Way, at, kind_of
from tests.support.provider_steps import answers, cut, head, piece, refuse, role, say
from tests.support.scripted_provider import Upstream

SHARED = Path(__file__).parent.parent.parent / "shared"

BY_STATUS = [
    (400, fanout.Rejected, openai.BadRequestError),
    (401, fanout.Refused, openai.AuthenticationError),
    (403, fanout.Refused, openai.PermissionDeniedError),
    (404, fanout.Rejected, openai.NotFoundError),
    (418, fanout.Rejected, openai.APIStatusError),
    (422, fanout.Rejected, openai.UnprocessableEntityError),
    (429, fanout.RateLimited, openai.RateLimitError),
    (500, fanout.Overloaded, openai.InternalServerError),
    (503, fanout.Overloaded, openai.InternalServerError),
]


@pytest.mark.parametrize(("status", "ours", "theirs"), BY_STATUS)
def test_a_providers_error_is_the_one_that_openais_sdk_raises(
    upstream: Upstream, call: Way, status: int, ours: type[Exception], theirs: type[Exception]
) -> None:
    upstream.script("m", [refuse(status, "no", {"retry-after": "7"}, param="p")])
    with pytest.raises(theirs) as raised:
        call("completion", "openai/m", HI, num_retries=0, **at(upstream))
    error: Any = raised.value
    assert kind_of(error) is ours
    assert (error.status_code, error.response.status_code) == (status, status)
    assert error.message == str(error)
    assert isinstance(error.body, dict)
    assert error.body["code"] == error.code
    assert error.response.headers["retry-after"] == "7"


PAGE = (Path(__file__).parent.parent.parent / "docs" / "python.md").read_text()
CLASSES = re.findall(r"^\| (?:&nbsp;)+`(\w+)` \| .* \| (.*) \|$", PAGE, re.MULTILINE)
STATUSES = dict(re.findall(r"(\d\d\d)\s`(\w+)`", PAGE.partition('"By its status"')[2]))


@pytest.mark.parametrize(
    ("name", "shown"),
    [row for row in CLASSES if issubclass(getattr(fanout, row[0]), fanout.ProviderError)],
)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 418, 422, 429, 451, 500, 503, 529])
def test_the_page_shows_the_class_for_every_status(name: str, shown: str, status: int) -> None:
    made = getattr(fanout, name)(DeploymentName("d"), fanout.ErrorDetail("no"), upstream=status)
    if shown == "by its status":
        other = "InternalServerError" if status >= 500 else "APIStatusError"
        expected = STATUSES.get(str(status), other)
    elif status == 403 and (found := re.search(r"of a 403, `(\w+)`", shown)):
        expected = found[1]
    else:
        expected = shown.split("`")[1]
    assert type(as_openai(made)).__bases__[1] is getattr(openai, expected)


def test_the_errors_in_a_batch_are_openais_too(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [refuse(429, "slow down")])
    (found,) = call("batch_completion", "openai/m", [HI], num_retries=0, **at(upstream))
    assert isinstance(found, fanout.RateLimited)
    assert isinstance(found, openai.RateLimitError)


@pytest.mark.parametrize(
    ("script", "ours", "theirs"),
    [
        pytest.param([cut], fanout.Broken, openai.APIConnectionError, id="broken"),
        pytest.param(
            [head, piece(b"<html>")], fanout.Malformed, openai.APIResponseValidationError, id="html"
        ),
    ],
)
def test_a_broken_call_is_openais_connection_error(
    upstream: Upstream, call: Way, script: Any, ours: type[Exception], theirs: type[Exception]
) -> None:
    upstream.script("m", script)
    with pytest.raises(theirs) as raised:
        call("completion", "openai/m", HI, num_retries=0, **at(upstream))
    assert kind_of(raised.value) is ours


def test_each_models_error_in_a_failed_race_is_openais(upstream: Upstream, call: Way) -> None:
    upstream.script("a", [refuse(429, "slow down")])
    upstream.script("b", [refuse(500, "no")])
    with pytest.raises(openai.APIStatusError) as raised:
        call("batch_completion_models", ["openai/a", "openai/b"], HI, num_retries=0, **at(upstream))
    error = raised.value
    assert isinstance(error, fanout.AllFailed)
    kinds = {cause.model: type(cause.error) for cause in error.failures}
    assert issubclass(kinds["openai/a"], openai.RateLimitError)
    assert issubclass(kinds["openai/b"], openai.InternalServerError)


def test_a_stream_that_breaks_raises_openais_error(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [role, say("half"), cut])
    with pytest.raises(openai.APIConnectionError) as raised:
        call.read("completion", "openai/m", HI, **at(upstream))
    assert kind_of(raised.value) is fanout.Broken


def test_a_deadline_is_openais_timeout(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("late", after=5))
    with pytest.raises(openai.APITimeoutError):
        call("completion", "openai/m", HI, timeout=0.1, num_retries=0, **at(upstream))


def test_a_wrong_option_is_openais_bad_request(call: Way) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        call("completion", "openai/m", HI, temperature="hot")
    assert (raised.value.status_code, raised.value.param) == (400, "temperature")


def test_a_missing_key_is_openais_authentication_error(
    call: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with pytest.raises(openai.AuthenticationError, match="GROQ_API_KEY"):
        call("completion", "groq/x", HI)


def test_a_race_that_all_models_lose_is_their_error_if_they_agree(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("a", [refuse(429, "slow")])
    upstream.script("b", [refuse(429, "slow")])
    upstream.script("c", [refuse(400, "no")])
    options = {"num_retries": 0, **at(upstream)}
    with pytest.raises(openai.RateLimitError) as raised:
        call("batch_completion_models", ["openai/a", "openai/b"], HI, **options)
    assert kind_of(raised.value) is fanout.AllFailed
    with pytest.raises(openai.InternalServerError):
        call("batch_completion_models", ["openai/a", "openai/c"], HI, **options)


def test_without_openais_sdk_the_errors_are_fanouts_alone() -> None:
    code = """
import sys, fanout
try:
    fanout.completion("openai/m", [], temperature="hot")
except fanout.FanoutError as error:
    print(type(error) is fanout.RequestError, "openai" in sys.modules)
"""
    done = subprocess.run(  # noqa: S603 -- what it runs is written here
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SHARED)},
    )
    assert done.stdout.split() == ["True", "False"]


def test_every_exception_can_be_imported_from_fanout() -> None:
    of_the_server = {
        "BudgetExceeded",
        "BudgetHeld",
        "Busy",
        "CrossSite",
        "DamagedRecord",
        "HeadersTooLarge",
        "KeyInUse",
        "KeyRateLimited",
        "KeyReused",
        "LeaseExpired",
        "MalformedRequest",
        "NoWebSocket",
        "RequestCancelled",
        "RequestTimeout",
        "ResponseLost",
        "ShuttingDown",
        "StorageBusy",
        "TooManyConnections",
        "UnknownHost",
        "UnsupportedEncoding",
        "WrongMethod",
    }
    kinds = {
        name
        for name, kind in vars(fanout.errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
        if kind.__module__.startswith("fanout.errors.")
    }
    assert kinds - of_the_server <= set(fanout.__all__)


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_an_error_can_be_copied_and_pickled_without_its_deployments_key(
    upstream: Upstream, call: Way, status: int
) -> None:
    upstream.script("m", [refuse(status, "no")])
    (error,) = call("batch_completion", "openai/m", [HI], num_retries=0, **at(upstream))
    with pytest.raises(fanout.AllFailed) as raised:
        call("batch_completion_models", ["openai/m"], HI, num_retries=0, **at(upstream))
    failed: list[Any] = [error, raised.value]
    for one in failed:
        pickled = pickle.dumps(one)
        assert b"sk-test" not in pickled
        for twin in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickled)):  # noqa: S301
            assert kind_of(twin) is kind_of(one)
            theirs = [kind for kind in type(one).__mro__ if kind.__module__.startswith("openai")]
            assert theirs
            assert all(isinstance(twin, kind) for kind in theirs)
            assert twin.response.status_code == one.response.status_code
            assert (str(twin), twin.status, twin.detail) == (str(one), one.status, one.detail)
