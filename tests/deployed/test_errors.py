"""Errors in OpenAI's shape, wherever they arise."""

from __future__ import annotations

import json
import time

import pytest

from .deployed_stack import Deployed, asking
from .scripted_provider import Provider


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/embeddings", 404, "not_found"),
        ("GET", "/chat/completions", 405, "method_not_allowed"),
        ("GET", "/models/no-such-model", 404, "model_not_found"),
    ],
)
def test_what_is_not_there_is_told(
    stack: Deployed, method: str, path: str, status: int, code: str
) -> None:
    heard = stack.ask(method, path)
    assert (heard.status, heard.error["code"]) == (status, code)
    assert heard.headers["x-request-id"]


def test_a_model_that_is_not_there_is_told_by_name(stack: Deployed) -> None:
    heard = stack.chat("no-such-model")
    assert heard.status == 404
    assert heard.error["param"] == "model"
    assert "`no-such-model`" in heard.error["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "quick"}', b""])
def test_a_body_that_is_no_request_is_a_400(stack: Deployed, body: bytes) -> None:
    heard = stack.ask("POST", "/chat/completions", body)
    assert heard.status == 400
    assert heard.error["type"] == "invalid_request_error"


def test_a_body_over_six_megabytes_is_a_413(stack: Deployed) -> None:
    heard = stack.ask("POST", "/chat/completions", b'{"x": "' + b"x" * 6_100_000 + b'"}')
    assert heard.status == 413
    assert heard.error["code"] == "request_too_large"


def test_a_provider_that_fails_is_a_5xx_that_names_the_model(own: Deployed) -> None:
    heard = own.chat("broken")
    assert heard.status in {502, 503}
    assert "broken" in heard.error["message"]


def test_a_provider_that_is_down_is_a_502(own: Deployed) -> None:
    heard = own.chat("nowhere")
    assert (heard.status, heard.error["code"]) == (502, "provider_unreachable")
    assert "127.0.0.1:9" not in heard.error["message"]


def test_when_all_fail_every_cause_is_told(own: Deployed) -> None:
    heard = own.chat("broken, nowhere", fastest_response=True)
    assert heard.status in {502, 503}
    assert [cause["model"] for cause in heard.error["causes"]] == ["broken", "nowhere"]


def test_the_callers_own_deadline_is_a_504(own: Deployed, provider: Provider) -> None:
    heard = own.chat("stuck", timeout=1)
    assert heard.status == 504
    assert provider.was_hung_up_on("stuck")


def test_the_functions_time_limit_is_a_504_before_aws_ends_it(
    own: Deployed, provider: Provider
) -> None:
    """Of eight seconds two are kept for saying so; AWS would say nothing that a caller can read."""
    with own.variant(timeout=8) as version:
        begun = time.monotonic()
        heard = own.invoke("POST", "/chat/completions", asking("stuck"), version=version)
        assert time.monotonic() - begun < 30
    assert heard.status == 504
    assert heard.error["type"]
    assert provider.was_hung_up_on("stuck")


def test_a_request_is_called_what_api_gateway_calls_it(stack: Deployed) -> None:
    first, second = (stack.ask("GET", "/models").headers["x-request-id"] for _ in range(2))
    assert first != second
    assert not first.startswith("req_")


def test_a_request_may_be_named_by_its_caller(stack: Deployed) -> None:
    headers = {"authorization": f"Bearer {stack.key}", "x-request-id": "mine-1"}
    assert stack.ask("GET", "/models", headers=headers).headers["x-request-id"] == "mine-1"


def test_api_gateways_own_errors_are_deployed_as_openais(own: Deployed) -> None:
    """What makes it say one (throttling, its own limits) no emulator does."""
    client, api = own.aws("apigateway"), own.resource("AWS::ApiGateway::RestApi")
    for kind, status in (
        ("THROTTLED", "429"),
        ("REQUEST_TOO_LARGE", "413"),
        ("WAF_FILTERED", "403"),
    ):
        response = client.get_gateway_response(restApiId=api, responseType=kind)
        assert response["statusCode"] == status
        (error,) = json.loads(response["responseTemplates"]["application/json"]).values()
        assert list(error) == ["message", "type", "param", "code"]
