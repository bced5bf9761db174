"""
API Gateway's own errors (gateway responses) in the format of OpenAI, and of Anthropic's SDKs.

The messages are ours: for an unknown path, API Gateway's own message quotes the client's
`Authorization` header.
See https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
"""

from __future__ import annotations

import json
from typing import NamedTuple

from aws_cdk import aws_apigateway as apigateway


class ApiError(NamedTuple):
    """The response to send instead. `status=None` keeps API Gateway's status."""

    status: str | None
    type: str
    code: str
    message: str

    @property
    def body(self) -> str:
        """
        OpenAI's error object, as JSON, in a body of Anthropic's type `error`.

        API Gateway does not know which endpoint a client asked for, and both SDKs read it.
        """
        error = {"message": self.message, "type": self.type, "param": None, "code": self.code}
        return json.dumps({"type": "error", "error": error})


_INVALID, _SERVER = "invalid_request_error", "server_error"

API_ERRORS: dict[str, ApiError] = {
    "DEFAULT_4XX": ApiError(None, _INVALID, "bad_request", "API Gateway rejected the request."),
    "DEFAULT_5XX": ApiError(
        None, _SERVER, "gateway_error", "The gateway failed before it could respond."
    ),
    # Lambda's 429, if the account has no concurrency left, becomes this one.
    "INTEGRATION_FAILURE": ApiError(
        "503", _SERVER, "overloaded", "The gateway is at its limit of requests; try again soon."
    ),
    "INTEGRATION_TIMEOUT": ApiError(
        "504", "timeout_error", "gateway_timeout", "The gateway took too long to respond."
    ),
    "MISSING_AUTHENTICATION_TOKEN": ApiError(
        "404", _INVALID, "not_found", "Nothing is at this path; chat is at POST /chat/completions."
    ),
    "REQUEST_TOO_LARGE": ApiError(
        "413",
        _INVALID,
        "request_too_large",
        "The request body is larger than AWS Lambda accepts (6 MB; 4 MB for a file). Upload a "
        "larger file in parts with `client.uploads.upload_file_chunked(..., part_size=4_000_000)`, "
        "or put it into the bucket's inbox.",
    ),
    "THROTTLED": ApiError(
        "429", "rate_limit_error", "rate_limit_exceeded", "Too many requests to the gateway."
    ),
}
"""By response type. The two defaults are for all other types; a status would replace theirs."""

RETRY_AFTER = {"429": 1, "503": 2}
"""Seconds, by status."""


def add_gateway_responses(api: apigateway.RestApi, origin: str | None) -> None:
    """
    Add every response to `api`; web pages of `origin` may read them.

    They are created one after the other: API Gateway accepts few changes a second, and
    CloudFormation fails with `Too Many Requests`.
    """
    previous: apigateway.GatewayResponse | None = None
    for name, error in API_ERRORS.items():
        # Public templates have this mapping in the defaults; x-amzn-requestid is in all responses.
        headers = {} if error.status else {"x-request-id": "context.requestId"}
        if error.status in RETRY_AFTER:
            headers["retry-after"] = f"'{RETRY_AFTER[error.status]}'"
        if origin:
            headers["access-control-allow-origin"] = f"'{origin}'"
        response = api.add_gateway_response(
            name.title().replace("_", ""),
            type=apigateway.ResponseType.of(name),
            status_code=error.status,
            response_headers=headers or None,
            templates={"application/json": error.body},
        )
        if previous:
            response.node.add_dependency(previous)
        previous = response
