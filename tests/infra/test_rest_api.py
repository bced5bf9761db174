"""The REST API: it streams every response, and its own errors have OpenAI's format."""

from __future__ import annotations

import json
import re
from itertools import pairwise

from infra.api.gateway_responses import API_ERRORS
from scripts.aws.check import EVERYTHING

from .synth import Template

FIFTEEN_MINUTES = 900_000
RETRY_AFTER = "gatewayresponse.header.retry-after"


def test_every_method_streams_for_fifteen_minutes_through_the_alias(either: Template) -> None:
    (alias,) = either.resources("Lambda::Alias")
    methods = either.properties("ApiGateway::Method")
    called = [method for method in methods if method["HttpMethod"] != "OPTIONS"]
    assert {method["HttpMethod"] for method in called} == {"ANY"}
    for method in called:
        integration = method["Integration"]
        assert integration["ResponseTransferMode"] == "STREAM"
        assert integration["TimeoutInMillis"] == FIFTEEN_MINUTES
        assert integration["Type"] == "AWS_PROXY"
        assert integration["IntegrationHttpMethod"] == "POST"
        assert either.render(integration["Uri"]) == (
            "arn:<AWS::Partition>:apigateway:<AWS::Region>:lambda:path/2021-11-15/functions/"
            f"<{alias}>/response-streaming-invocations"
        )


def test_every_path_goes_to_the_function(stack: Template) -> None:
    (api,) = stack.resources("ApiGateway::RestApi")
    ((proxy, resource),) = stack.resources("ApiGateway::Resource").items()
    assert resource["Properties"]["PathPart"] == "{proxy+}"
    places = {stack.render(m["ResourceId"]) for m in stack.properties("ApiGateway::Method")}
    assert places == {f"<{api}.RootResourceId>", f"<{proxy}>"}


def test_the_alias_points_to_a_version_never_to_latest(either: Template) -> None:
    (version,) = either.resources("Lambda::Version")
    alias = either.one("Lambda::Alias")
    assert alias["Name"] == "live"
    assert either.render(alias["FunctionVersion"]) == f"<{version}.Version>"
    assert "$LATEST" not in either.text


def test_only_this_api_may_call_the_alias(either: Template) -> None:
    (alias,) = either.resources("Lambda::Alias")
    (api,) = either.resources("ApiGateway::RestApi")
    (permission,) = either.properties("Lambda::Permission", "Door")
    assert permission["Action"] == "lambda:InvokeFunction"
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert either.render(permission["FunctionName"]) == f"<{alias}>"
    assert either.render(permission["SourceArn"]) == (
        f"arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:<{api}>/*/*/*"
    )


def test_the_api_is_regional_and_its_url_ends_like_openais(
    stack: Template,
) -> None:
    assert stack.one("ApiGateway::RestApi")["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert stack.one("ApiGateway::Stage")["StageName"] == "v1"
    (api,) = stack.resources("ApiGateway::RestApi")
    url = stack.render(stack.outputs["BaseUrl"]["Value"])
    assert url == f"https://<{api}>.execute-api.<AWS::Region>.<AWS::URLSuffix>/v1"


def test_the_stage_is_throttled_traced_and_logged_without_bodies(stack: Template) -> None:
    stage = stack.one("ApiGateway::Stage")
    assert stage["TracingEnabled"] is True
    assert stage["MethodSettings"] == [
        {
            "DataTraceEnabled": False,
            "HttpMethod": "*",
            "LoggingLevel": "ERROR",
            "MetricsEnabled": False,
            "ResourcePath": "/*",
            "ThrottlingBurstLimit": 200,
            "ThrottlingRateLimit": 100,
        }
    ]


def test_the_access_log_has_the_request_id_and_no_field_that_may_contain_a_key(
    stack: Template,
) -> None:
    fields = json.loads(stack.one("ApiGateway::Stage")["AccessLogSetting"]["Format"])
    assert fields["requestId"] == "$context.requestId"
    allowed = r"\$context\.(requestId|requestTime|identity\.sourceIp|httpMethod|path|status|"
    allowed += r"responseLength|responseLatency|integrationLatency|integrationStatus|"
    allowed += r"error\.responseType)"
    assert all(re.fullmatch(allowed, value) for value in fields.values())


def test_the_stage_is_created_after_the_role_that_lets_it_log(stack: Template) -> None:
    (account,) = stack.resources("ApiGateway::Account")
    (stage,) = stack.resources("ApiGateway::Stage").values()
    assert account in stage["DependsOn"]


def test_the_account_wide_log_role_is_kept_and_optional(
    stack: Template, without_log_role: Template
) -> None:
    (account,) = stack.resources("ApiGateway::Account").values()
    role = stack.render(account["Properties"]["CloudWatchRoleArn"]).strip("<>").split(".")[0]
    for kept in (account, stack.resources("IAM::Role")[role]):
        assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert not without_log_role.resources("ApiGateway::Account")
    assert role not in without_log_role.resources("IAM::Role")


def test_the_execution_log_group_belongs_to_the_stack(
    stack: Template,
) -> None:
    (api,) = stack.resources("ApiGateway::RestApi")
    names = {
        name: stack.render(group["Properties"].get("LogGroupName", ""))
        for name, group in stack.resources("Logs::LogGroup", "Door").items()
    }
    (own,) = [name for name, group in names.items() if group]
    assert names[own] == f"API-Gateway-Execution-Logs_<{api}>/v1"
    (stage,) = stack.resources("ApiGateway::Stage").values()
    assert own in stage["DependsOn"]


def test_every_error_of_api_gateway_is_one_for_the_sdks_of_openai_and_anthropic(
    either: Template,
) -> None:
    responses = either.properties("ApiGateway::GatewayResponse")
    assert {response["ResponseType"] for response in responses} == set(API_ERRORS)
    for response in responses:
        (template,) = response["ResponseTemplates"].items()
        assert template[0] == "application/json"
        kind, error = json.loads(template[1]).values()
        assert kind == "error"
        assert list(error) == ["message", "type", "param", "code"]
        assert error["param"] is None
        # No template variable: API Gateway's own message may quote the client's key.
        assert "$" not in template[1]
        # The only mapping that is no constant is where public templates have it, too.
        given = response.get("ResponseParameters", {})
        mapped = {name: value for name, value in given.items() if not value.startswith("'")}
        is_default = response["ResponseType"].startswith("DEFAULT_")
        assert mapped == (
            {"gatewayresponse.header.x-request-id": "context.requestId"} if is_default else {}
        )


def test_the_errors_of_api_gateway_are_few_and_created_one_after_the_other(
    either: Template,
) -> None:
    # API Gateway accepts ten changes a second from an account.
    names = list(either.resources("ApiGateway::GatewayResponse"))
    assert len(names) <= 8
    depends = either.resources("ApiGateway::GatewayResponse")
    for previous, name in pairwise(names):
        assert previous in depends[name]["DependsOn"]


def test_errors_have_the_statuses_that_openais_sdks_expect(stack: Template) -> None:
    statuses = {
        response["ResponseType"]: response.get("StatusCode")
        for response in stack.properties("ApiGateway::GatewayResponse")
    }
    assert statuses["THROTTLED"] == "429"
    assert statuses["REQUEST_TOO_LARGE"] == "413"
    assert statuses["INTEGRATION_FAILURE"] == "503"
    assert statuses["MISSING_AUTHENTICATION_TOKEN"] == "404"
    # A status here would replace that of every other error.
    assert statuses["DEFAULT_4XX"] is None
    assert statuses["DEFAULT_5XX"] is None


def test_a_client_that_is_to_wait_gets_a_retry_after(stack: Template) -> None:
    found = {
        response["ResponseType"]: (response["StatusCode"], seconds)
        for response in stack.properties("ApiGateway::GatewayResponse")
        if (seconds := response.get("ResponseParameters", {}).get(RETRY_AFTER))
    }
    assert found == {
        "INTEGRATION_FAILURE": ("503", "'2'"),  # the account has no concurrency left
        "THROTTLED": ("429", "'1'"),
    }


def test_web_pages_may_not_call_the_api_by_default(stack: Template) -> None:
    methods = stack.properties("ApiGateway::Method")
    assert not [method for method in methods if method["HttpMethod"] == "OPTIONS"]
    assert "access-control" not in stack.text.lower()
    assert "FANOUT_CORS" not in stack.text


def test_the_named_origin_may_call_the_api_and_read_every_response(
    everything: Template,
) -> None:
    origin = str(EVERYTHING["cors"])
    methods = everything.properties("ApiGateway::Method")
    preflight = [method for method in methods if method["HttpMethod"] == "OPTIONS"]
    assert len(preflight) == 2
    for method in preflight:
        (answer,) = method["Integration"]["IntegrationResponses"]
        headers = {
            k.removeprefix("method.response.header.").lower(): v.strip("'")
            for k, v in answer["ResponseParameters"].items()
        }
        assert headers["access-control-allow-origin"] == origin
        assert {"authorization", "content-type", "x-stainless-lang"} <= set(
            headers["access-control-allow-headers"].split(",")
        )
    for response in everything.properties("ApiGateway::GatewayResponse"):
        name = "gatewayresponse.header.access-control-allow-origin"
        assert response["ResponseParameters"][name] == f"'{origin}'"
    variables = everything.one("Lambda::Function", "Api")["Environment"]["Variables"]
    assert variables["FANOUT_CORS"] == origin


def test_the_url_of_an_own_domain_ends_like_openais(stack: Template, everything: Template) -> None:
    assert not stack.resources("ApiGateway::DomainName")
    domain = everything.one("ApiGateway::DomainName")
    assert domain["DomainName"] == EVERYTHING["domain"]
    assert domain["RegionalCertificateArn"] == EVERYTHING["certificate"]
    assert domain["SecurityPolicy"] == "TLS_1_2"
    assert domain["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert everything.one("ApiGateway::BasePathMapping")["BasePath"] == "v1"
    assert "DomainTarget" in everything.outputs
