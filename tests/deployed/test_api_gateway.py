"""What API Gateway itself does, mostly on a real account only; and the web page behind it."""

from __future__ import annotations

import re
import time
from uuid import uuid4

import pytest

from .deployed_stack import DeployedStack


def test_the_page_and_its_files_are_served_without_a_key(own: DeployedStack) -> None:
    page = own.ask("GET", "/", headers={})
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    names = re.findall(r'(?:src|href)="(page/[^"]+)"', page.body.decode())
    assert {name.rpartition(".")[2] for name in names} == {"css", "js", "svg"}
    for name in names:
        file = own.ask("GET", f"/{name}", headers={"accept-encoding": "gzip"})
        assert (file.status, file.headers["content-encoding"]) == (200, "gzip")
        assert "immutable" in file.headers["cache-control"]
        assert file.body.decode()  # the client has unpacked it


@pytest.fixture
def real(own: DeployedStack) -> DeployedStack:
    """The stack, if it is on a real account."""
    if own.deployer is None or not own.deployer.is_real:
        pytest.skip("only AWS's own API Gateway has limits and an access log")
    return own


def test_a_body_over_api_gateways_ten_megabytes_is_a_413(real: DeployedStack) -> None:
    response = real.ask("POST", "/chat/completions", b"x" * 10_600_000)
    assert (response.status, response.error["code"]) == (413, "request_too_large")
    assert response.headers["x-amzn-requestid"]  # API Gateway's own id, in all of its responses


def test_the_access_log_has_the_request_with_the_same_id(real: DeployedStack) -> None:
    response = real.ask("GET", f"/{uuid4().hex}")
    request_id = response.headers["x-request-id"]
    client = real.aws("logs")
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for group in real.resources("AWS::Logs::LogGroup"):
            found = client.filter_log_events(logGroupName=group, filterPattern=f'"{request_id}"')
            lines = [event["message"] for event in found["events"]]
            if any('"functionStatus"' in line and '"404"' in line for line in lines):
                return
        time.sleep(2)
    pytest.fail(f"no access log line for {request_id}")
