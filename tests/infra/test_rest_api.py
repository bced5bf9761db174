"""The REST API: it streams everything, and its own errors are OpenAI's."""

from __future__ import annotations

import json
import re

from infra.api.gateway_responses import API_ERRORS
from scripts.aws.check import EVERYTHING

from .synth import Synthesised

FIFTEEN_MINUTES = 900_000


def test_every_method_streams_for_fifteen_minutes_through_the_alias(either: Synthesised) -> None:
    (alias,) = either.of("Lambda::Alias")
    methods = either.properties("ApiGateway::Method")
    asked = [method for method in methods if method["HttpMethod"] != "OPTIONS"]
    assert {method["HttpMethod"] for method in asked} == {"ANY"}
    for method in asked:
        integration = method["Integration"]
        assert integration["ResponseTransferMode"] == "STREAM"
        assert integration["TimeoutInMillis"] == FIFTEEN_MINUTES
        assert integration["Type"] == "AWS_PROXY"
        assert integration["IntegrationHttpMethod"] == "POST"
        assert either.said(integration["Uri"]) == (
            "arn:<AWS::Partition>:apigateway:<AWS::Region>:lambda:path/2021-11-15/functions/"
            f"<{alias}>/response-streaming-invocations"
        )


def test_the_root_and_everything_below_it_are_open(stack: Synthesised) -> None:
    (api,) = stack.of("ApiGateway::RestApi")
    ((proxy, resource),) = stack.of("ApiGateway::Resource").items()
    assert resource["Properties"]["PathPart"] == "{proxy+}"
    places = {stack.said(m["ResourceId"]) for m in stack.properties("ApiGateway::Method")}
    assert places == {f"<{api}.RootResourceId>", f"<{proxy}>"}


def test_the_alias_is_a_version_never_the_latest(either: Synthesised) -> None:
    (version,) = either.of("Lambda::Version")
    alias = either.one("Lambda::Alias")
    assert alias["Name"] == "live"
    assert either.said(alias["FunctionVersion"]) == f"<{version}.Version>"
    assert "$LATEST" not in either.text


def test_only_this_api_may_call_the_alias(either: Synthesised) -> None:
    (alias,) = either.of("Lambda::Alias")
    (api,) = either.of("ApiGateway::RestApi")
    (permission,) = either.properties("Lambda::Permission", "Door")
    assert permission["Action"] == "lambda:InvokeFunction"
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert either.said(permission["FunctionName"]) == f"<{alias}>"
    assert either.said(permission["SourceArn"]) == (
        f"arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:<{api}>/*/*/*"
    )


def test_the_api_is_regional_and_its_stage_makes_the_url_read_as_openais(
    stack: Synthesised,
) -> None:
    assert stack.one("ApiGateway::RestApi")["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert stack.one("ApiGateway::Stage")["StageName"] == "v1"
    (api,) = stack.of("ApiGateway::RestApi")
    url = stack.said(stack.outputs["BaseUrl"]["Value"])
    assert url == f"https://<{api}>.execute-api.<AWS::Region>.<AWS::URLSuffix>/v1"


def test_the_stage_is_throttled_traced_and_logged_without_bodies(stack: Synthesised) -> None:
    stage = stack.one("ApiGateway::Stage")
    assert stage["TracingEnabled"] is True
    assert stage["MethodSettings"] == [
        {
            "DataTraceEnabled": False,
            "HttpMethod": "*",
            "LoggingLevel": "ERROR",
            "MetricsEnabled": True,
            "ResourcePath": "/*",
            "ThrottlingBurstLimit": 200,
            "ThrottlingRateLimit": 100,
        }
    ]


def test_the_access_log_has_the_request_id_and_nothing_that_may_hold_a_key(
    stack: Synthesised,
) -> None:
    said = json.loads(stack.one("ApiGateway::Stage")["AccessLogSetting"]["Format"])
    assert said["requestId"] == "$context.requestId"
    allowed = r"\$context\.(requestId|requestTime|identity\.sourceIp|httpMethod|path|status|"
    allowed += r"responseLength|responseLatency|integrationLatency|integrationStatus|"
    allowed += r"error\.responseType)"
    assert all(re.fullmatch(allowed, value) for value in said.values())


def test_the_stage_waits_for_the_role_that_lets_it_log(stack: Synthesised) -> None:
    (account,) = stack.of("ApiGateway::Account")
    (stage,) = stack.of("ApiGateway::Stage").values()
    assert account in stage["DependsOn"]


def test_the_account_wide_role_is_kept_and_may_be_left_to_others(
    stack: Synthesised, without_log_role: Synthesised
) -> None:
    (account,) = stack.of("ApiGateway::Account").values()
    role = stack.said(account["Properties"]["CloudWatchRoleArn"]).strip("<>").split(".")[0]
    for kept in (account, stack.of("IAM::Role")[role]):
        assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert not without_log_role.of("ApiGateway::Account")
    assert role not in without_log_role.of("IAM::Role")


def test_the_log_group_that_api_gateway_would_make_itself_is_the_stacks(
    stack: Synthesised,
) -> None:
    (api,) = stack.of("ApiGateway::RestApi")
    names = {
        name: stack.said(group["Properties"].get("LogGroupName", ""))
        for name, group in stack.of("Logs::LogGroup", "Door").items()
    }
    (own,) = [name for name, said in names.items() if said]
    assert names[own] == f"API-Gateway-Execution-Logs_<{api}>/v1"
    (stage,) = stack.of("ApiGateway::Stage").values()
    assert own in stage["DependsOn"]


def test_every_error_of_api_gateway_is_openais_object(either: Synthesised) -> None:
    responses = either.properties("ApiGateway::GatewayResponse")
    assert {response["ResponseType"] for response in responses} == set(API_ERRORS)
    for response in responses:
        (template,) = response["ResponseTemplates"].items()
        assert template[0] == "application/json"
        (error,) = json.loads(template[1]).values()
        assert list(error) == ["message", "type", "param", "code"]
        assert error["param"] is None
        # Nothing is filled in: API Gateway's own message may quote the caller's key.
        assert "$" not in template[1]
        given = response["ResponseParameters"]
        assert given["gatewayresponse.header.x-request-id"] == "context.requestId"


def test_the_errors_have_the_statuses_that_openais_sdks_know(stack: Synthesised) -> None:
    statuses = {
        response["ResponseType"]: response.get("StatusCode")
        for response in stack.properties("ApiGateway::GatewayResponse")
    }
    assert statuses["THROTTLED"] == "429"
    assert statuses["REQUEST_TOO_LARGE"] == "413"
    assert statuses["WAF_FILTERED"] == "403"
    assert statuses["MISSING_AUTHENTICATION_TOKEN"] == "404"
    # A status here would be every other error's too.
    assert statuses["DEFAULT_4XX"] is None
    assert statuses["DEFAULT_5XX"] is None


def test_who_is_throttled_is_told_when_to_come_back(stack: Synthesised) -> None:
    told = {
        response["ResponseType"]
        for response in stack.properties("ApiGateway::GatewayResponse")
        if response["ResponseParameters"].get("gatewayresponse.header.retry-after") == "'1'"
    }
    assert told == {"THROTTLED", "QUOTA_EXCEEDED"}


def test_no_page_may_ask_unless_its_origin_was_named(stack: Synthesised) -> None:
    methods = stack.properties("ApiGateway::Method")
    assert not [method for method in methods if method["HttpMethod"] == "OPTIONS"]
    assert "access-control" not in stack.text.lower()
    assert "FANOUT_CORS" not in stack.text


def test_the_named_origin_may_ask_and_may_read_every_answer(everything: Synthesised) -> None:
    origin = str(EVERYTHING["cors"])
    methods = everything.properties("ApiGateway::Method")
    preflight = [method for method in methods if method["HttpMethod"] == "OPTIONS"]
    assert len(preflight) == 2
    for method in preflight:
        (answer,) = method["Integration"]["IntegrationResponses"]
        said = {
            k.removeprefix("method.response.header.").lower(): v.strip("'")
            for k, v in answer["ResponseParameters"].items()
        }
        assert said["access-control-allow-origin"] == origin
        assert {"authorization", "content-type", "x-stainless-lang"} <= set(
            said["access-control-allow-headers"].split(",")
        )
    for response in everything.properties("ApiGateway::GatewayResponse"):
        name = "gatewayresponse.header.access-control-allow-origin"
        assert response["ResponseParameters"][name] == f"'{origin}'"
    variables = everything.one("Lambda::Function", "Api")["Environment"]["Variables"]
    assert variables["FANOUT_CORS"] == origin


def test_a_domain_of_ones_own_reads_as_the_stages_url_does(
    stack: Synthesised, everything: Synthesised
) -> None:
    assert not stack.of("ApiGateway::DomainName")
    domain = everything.one("ApiGateway::DomainName")
    assert domain["DomainName"] == EVERYTHING["domain"]
    assert domain["RegionalCertificateArn"] == EVERYTHING["certificate"]
    assert domain["SecurityPolicy"] == "TLS_1_2"
    assert domain["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert everything.one("ApiGateway::BasePathMapping")["BasePath"] == "v1"
    assert "DomainTarget" in everything.outputs
