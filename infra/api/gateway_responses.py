"""
API Gateway's own errors (gateway responses) in OpenAI's format.

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
        """OpenAI's error object, as JSON."""
        error = {"message": self.message, "type": self.type, "param": None, "code": self.code}
        return json.dumps({"error": error})


_INVALID, _SERVER = "invalid_request_error", "server_error"
_DENIED = ApiError("403", "permission_error", "access_denied", "This request is not allowed.")
_BAD = ApiError("400", _INVALID, "bad_request", "API Gateway could not read the request.")
_BROKEN = ApiError("500", _SERVER, "gateway_error", "The gateway failed before it could respond.")
_NOWHERE = ApiError(
    "404", _INVALID, "not_found", "Nothing is at this path; chat is at POST /chat/completions."
)
_SLOW_DOWN = ApiError(
    "429", "rate_limit_error", "rate_limit_exceeded", "Too many requests to the gateway."
)
_TOO_LARGE = ApiError(
    "413",
    _INVALID,
    "request_too_large",
    "The request body is larger than AWS Lambda accepts (6 MB; 4 MB for a file). Upload a larger "
    "file in parts with `client.uploads.upload_file_chunked(..., part_size=4_000_000)`, or put it "
    "into the bucket's inbox.",
)

# For an unknown path, API Gateway reads the bearer key as an AWS signature and rejects that.
API_ERRORS: dict[str, ApiError] = {
    "ACCESS_DENIED": _DENIED,
    "API_CONFIGURATION_ERROR": _BROKEN,
    "BAD_REQUEST_BODY": _BAD,
    "BAD_REQUEST_PARAMETERS": _BAD,
    "DEFAULT_4XX": _BAD._replace(status=None, message="API Gateway rejected the request."),
    "DEFAULT_5XX": _BROKEN._replace(status=None),
    "EXPIRED_TOKEN": _NOWHERE,
    "INTEGRATION_FAILURE": _BROKEN._replace(status="502"),
    "INTEGRATION_TIMEOUT": ApiError(
        "504", "timeout_error", "gateway_timeout", "The gateway took too long to respond."
    ),
    "INVALID_SIGNATURE": _NOWHERE,
    "MISSING_AUTHENTICATION_TOKEN": _NOWHERE,
    "QUOTA_EXCEEDED": _SLOW_DOWN,
    "REQUEST_TOO_LARGE": _TOO_LARGE,
    "RESOURCE_NOT_FOUND": _NOWHERE,
    "THROTTLED": _SLOW_DOWN,
    "UNSUPPORTED_MEDIA_TYPE": ApiError(
        "415", _INVALID, "unsupported_media_type", "The body must be application/json."
    ),
    "WAF_FILTERED": _DENIED,
}


def add_gateway_responses(api: apigateway.RestApi, origin: str | None) -> None:
    """Add every response to `api`; web pages of `origin` may read them."""
    for name, error in API_ERRORS.items():
        headers = {"x-request-id": "context.requestId"}
        if error.status == "429":
            headers["retry-after"] = "'1'"
        if origin:
            headers["access-control-allow-origin"] = f"'{origin}'"
        api.add_gateway_response(
            name.title().replace("_", ""),
            type=apigateway.ResponseType.of(name),
            status_code=error.status,
            response_headers=headers,
            templates={"application/json": error.body},
        )
