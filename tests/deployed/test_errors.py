"""Every error has OpenAI's format, wherever it comes from."""

from __future__ import annotations

import json
import time

import pytest

from .deployed_stack import DeployedStack, chat_body
from .scripted_provider import ScriptedProvider


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/images/generations", 404, "not_found"),
        ("GET", "/chat/completions", 405, "method_not_allowed"),
        ("GET", "/models/no-such-model", 404, "model_not_found"),
    ],
)
def test_an_unknown_path_method_or_model_is_an_error(
    stack: DeployedStack, method: str, path: str, status: int, code: str
) -> None:
    response = stack.ask(method, path)
    assert (response.status, response.error["code"]) == (status, code)
    assert response.headers["x-request-id"]


def test_an_unknown_model_is_named_in_the_error(stack: DeployedStack) -> None:
    response = stack.chat("no-such-model")
    assert response.status == 404
    assert response.error["param"] == "model"
    assert "`no-such-model`" in response.error["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "quick"}', b""])
def test_a_body_that_is_no_request_is_a_400(stack: DeployedStack, body: bytes) -> None:
    response = stack.ask("POST", "/chat/completions", body)
    assert response.status == 400
    assert response.error["type"] == "invalid_request_error"


def test_a_body_over_six_megabytes_is_a_413(stack: DeployedStack) -> None:
    response = stack.ask("POST", "/chat/completions", b'{"x": "' + b"x" * 6_100_000 + b'"}')
    assert response.status == 413
    assert response.error["code"] == "request_too_large"


def test_a_provider_that_fails_is_a_5xx_that_names_the_model(own: DeployedStack) -> None:
    response = own.chat("broken")
    assert response.status in {502, 503}
    assert "broken" in response.error["message"]


def test_a_provider_that_is_down_is_a_502(own: DeployedStack) -> None:
    response = own.chat("nowhere")
    assert (response.status, response.error["code"]) == (502, "provider_unreachable")
    assert "127.0.0.1:9" not in response.error["message"]


def test_if_all_models_fail_the_error_has_every_cause(own: DeployedStack) -> None:
    response = own.chat("broken, nowhere", fastest_response=True)
    assert response.status in {502, 503}
    assert [cause["model"] for cause in response.error["causes"]] == ["broken", "nowhere"]


def test_the_clients_timeout_is_a_504(own: DeployedStack, provider: ScriptedProvider) -> None:
    response = own.chat("stuck", timeout=3)
    assert response.status == 504
    assert provider.was_disconnected("stuck")


def test_the_functions_time_limit_is_a_504_before_aws_ends_it(
    own: DeployedStack, provider: ScriptedProvider
) -> None:
    """The gateway responds two seconds before the limit; AWS's own error has another format."""
    with own.variant(timeout=8) as version:
        started = time.monotonic()
        response = own.invoke("POST", "/chat/completions", chat_body("stuck"), version=version)
        assert time.monotonic() - started < 60
    assert response.status == 504
    assert response.error["type"]
    assert provider.was_disconnected("stuck")


def test_the_request_id_is_api_gateways(stack: DeployedStack) -> None:
    first, second = (stack.ask("GET", "/models").headers["x-request-id"] for _ in range(2))
    assert first != second
    assert not first.startswith("req_")


def test_a_client_may_set_the_request_id(stack: DeployedStack) -> None:
    headers = {"authorization": f"Bearer {stack.key}", "x-request-id": "mine-1"}
    assert stack.ask("GET", "/models", headers=headers).headers["x-request-id"] == "mine-1"


def test_api_gateways_own_errors_are_deployed_in_openais_format(own: DeployedStack) -> None:
    """No emulator throttles or enforces limits, so only the deployed texts are checked."""
    client, api = own.aws("apigateway"), own.resource("AWS::ApiGateway::RestApi")
    for kind, status in (
        ("THROTTLED", "429"),
        ("REQUEST_TOO_LARGE", "413"),
    ):
        response = client.get_gateway_response(restApiId=api, responseType=kind)
        assert response["statusCode"] == status
        body = json.loads(response["responseTemplates"]["application/json"])
        assert body["type"] == "error"  # as Anthropic's SDKs expect
        error = body["error"]
        assert list(error) == ["message", "type", "param", "code"]
