from __future__ import annotations

import pytest

from fanout import errors
from fanout.errors import (
    INTERNAL,
    AllFailed,
    Cause,
    ErrorDetail,
    FanoutError,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    RequestError,
    UnknownModel,
    detail_of,
    public_message,
    status_of,
)
from fanout.schema.error import error_body


class Deployment:
    name = "m"


def failed(kind: type[ProviderError], upstream: int | None = None) -> ProviderError:
    return kind(Deployment(), ErrorDetail("no"), upstream=upstream)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (RequestError("x"), 400, "invalid_request_error", "invalid_value"),
        (RequestError("x", "p", "c"), 400, "invalid_request_error", "c"),
        (UnknownModel("x", "model"), 404, "invalid_request_error", "model_not_found"),
        (errors.Unauthorized("x"), 401, "invalid_request_error", "invalid_api_key"),
        (errors.Forbidden("x"), 403, "permission_error", "model_not_allowed"),
        (errors.TooLarge("x"), 413, "invalid_request_error", "request_too_large"),
        (errors.MissingKey("x"), 500, "server_error", "missing_provider_key"),
        (errors.DeadlineExceeded("x"), 504, "timeout_error", "deadline_exceeded"),
        (failed(errors.Unreachable), 502, "api_error", "provider_unreachable"),
        (failed(errors.TimedOut), 504, "api_error", "provider_timeout"),
        (failed(Refused, 401), 502, "api_error", "provider_key_refused"),
        (failed(RateLimited, 429), 429, "api_error", "rate_limit_exceeded"),
        (failed(errors.QuotaExceeded, 429), 429, "api_error", "insufficient_quota"),
        (failed(Overloaded, 500), 502, "api_error", "provider_overloaded"),
        (failed(Overloaded, 503), 503, "api_error", "provider_overloaded"),
        (failed(Overloaded, 529), 503, "api_error", "provider_overloaded"),
        (failed(Rejected, 422), 422, "api_error", None),
        (failed(errors.Malformed), 502, "api_error", "provider_malformed"),
        (failed(errors.Broken), 502, "api_error", "provider_stream_broken"),
    ],
)
def test_every_error_has_its_status_and_the_four_fields(
    error: FanoutError, status: int, kind: str, code: str | None
) -> None:
    detail = detail_of(error)
    assert (status_of(error), detail.type, detail.code) == (status, kind, code)
    assert detail.message == str(error)


def test_a_providers_own_error_code_is_kept() -> None:
    detail = ErrorDetail("no", "a_type", "p", "their_code")
    assert RateLimited(Deployment(), detail).detail == ErrorDetail(
        "`m`: no", "a_type", "p", "their_code"
    )


def test_the_message_of_a_bug_is_not_shown() -> None:
    error = ZeroDivisionError("secret")
    assert (status_of(error), detail_of(error)) == (500, INTERNAL)
    assert "secret" not in str(error_body(error))


@pytest.mark.parametrize(
    ("causes", "status"),
    [
        ([failed(RateLimited, 429), failed(RateLimited, 429)], 429),
        ([failed(RateLimited, 429), failed(Overloaded, 500)], 502),
        ([failed(Rejected, 400), failed(Rejected, 400)], 400),
        ([failed(Rejected, 400), failed(Rejected, 422)], 502),
        ([failed(Overloaded, 500), failed(errors.Malformed)], 502),
        ([ZeroDivisionError()], 500),
    ],
)
def test_when_all_fail_with_one_status_the_error_has_it(
    causes: list[Exception], status: int
) -> None:
    assert AllFailed([Cause("m", error) for error in causes]).status == status


def test_when_all_fail_each_cause_is_listed_in_order_under_the_clients_model_name() -> None:
    causes = [Cause("m", failed(RateLimited, 429)), Cause("alias", failed(Overloaded, 500))]
    error = AllFailed(causes)
    assert error.failures == tuple(causes)
    assert str(error) == "every model failed: `m`: no; `alias`: `m`: no"
    body = error_body(error)["error"]
    assert (body["type"], body["code"]) == ("api_error", "all_failed")
    found = [(cause["model"], cause["status"], cause["code"]) for cause in body["causes"]]
    assert found == [("m", 429, "rate_limit_exceeded"), ("alias", 502, "provider_overloaded")]


def test_when_all_fail_alike_the_error_has_their_code_and_type() -> None:
    detail = AllFailed([Cause(name, failed(RateLimited, 429)) for name in "ab"]).detail
    assert (detail.type, detail.code) == ("api_error", "rate_limit_exceeded")


def test_a_cause_names_its_model_once() -> None:
    assert public_message(Cause("m", failed(Overloaded))) == "`m`: no"
    assert public_message(Cause("a", RequestError("bad field"))) == "`a`: bad field"


def test_the_tree_at_the_modules_head_is_the_tree() -> None:
    doc = errors.__doc__ or ""
    drawn = {line.split("── ")[1].split()[0] for line in doc.splitlines() if "── " in line}
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, FanoutError)
    }
    assert classes - {"FanoutError"} == drawn
