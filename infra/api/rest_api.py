"""API Gateway: a regional REST API that streams the API function's responses."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..logs import log_group
from ..props import GatewayProps
from .gateway_responses import add_gateway_responses

STAGE = "v1"
MAX_STREAM = cdk.Duration.minutes(15)
"""API Gateway's maximum for a streamed response; the default is 29 s."""

# No query, headers or error messages: each may contain a client's key.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "ms": "$context.responseLatency",
    "functionMs": "$context.integrationLatency",
    "functionStatus": "$context.integrationStatus",
    "error": "$context.error.responseType",
}

# The `x-stainless-` headers that the SDKs of OpenAI and Anthropic send from a web page.
STAINLESS = (
    "arch",
    "async",
    "custom-poll-interval",
    "helper-method",
    "lang",
    "os",
    "package-version",
    "poll-helper",
    "raw-response",
    "read-timeout",
    "retry-count",
    "runtime",
    "runtime-version",
    "timeout",
)
CORS_HEADERS = [
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-version",
    "api-key",
    "authorization",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "x-api-key",
    "x-litellm-api-key",
    "x-request-id",
    *(f"x-stainless-{name}" for name in STAINLESS),
]


class GatewayApi(Construct):
    """
    A REST API with one streaming integration. Its stage is `v1`, so URLs look like OpenAI's.

    Every path goes to the function, also unknown ones: API Gateway would respond to those with an
    error about an AWS signature, because it reads the bearer key as one.
    """

    def __init__(
        self, scope: Construct, id_: str, *, props: GatewayProps, handler: lambda_.Alias
    ) -> None:
        super().__init__(scope, id_)
        self._access_log = log_group(self, "AccessLog", props)
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=cdk.Stack.of(self).stack_name,
            description="Fanout: OpenAI's API over many models",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            # A stage with logs needs this role, which exists once per account and region. It is
            # kept after `cdk destroy` because other APIs may use it.
            cloud_watch_role=props.api_log_role,
            cloud_watch_role_removal_policy=(
                cdk.RemovalPolicy.RETAIN if props.api_log_role else None
            ),
            # Without this, API Gateway would decode uploaded files as text.
            binary_media_types=["multipart/form-data"],
            deploy_options=self._stage(props),
            default_cors_preflight_options=self._cors(props),
        )
        self.api.node.try_remove_child("Endpoint")  # see BaseUrl in stack.py
        self._keep_execution_log(props)
        integration = apigateway.LambdaIntegration(
            handler,
            response_transfer_mode=apigateway.ResponseTransferMode.STREAM,
            timeout=MAX_STREAM,
            scope_permission_to_method=False,
        )
        self.api.root.add_method("ANY", integration)
        self.api.root.add_proxy(default_integration=integration)
        add_gateway_responses(self.api, props.cors)
        if props.domain and props.certificate:
            self._domain(props.domain, props.certificate)

    def _stage(self, props: GatewayProps) -> apigateway.StageOptions:
        return apigateway.StageOptions(
            stage_name=STAGE,
            access_log_destination=apigateway.LogGroupLogDestination(self._access_log),
            access_log_format=apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG)),
            throttling_rate_limit=props.rate,
            throttling_burst_limit=props.burst,
            tracing_enabled=True,
            metrics_enabled=False,  # they are billed for each method, and nothing reads them
            logging_level=apigateway.MethodLoggingLevel.ERROR,
            data_trace_enabled=False,
        )

    def _keep_execution_log(self, props: GatewayProps) -> None:
        """Create the log group that API Gateway would otherwise create and keep forever."""
        name = f"API-Gateway-Execution-Logs_{self.api.rest_api_id}/{STAGE}"
        log = log_group(self, "ExecutionLog", props, name)
        self.api.deployment_stage.node.add_dependency(log)

    def _cors(self, props: GatewayProps) -> apigateway.CorsOptions | None:
        """Answer preflight requests; the function adds the CORS header to responses."""
        if props.cors is None:
            return None
        return apigateway.CorsOptions(
            allow_origins=[props.cors],
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=CORS_HEADERS,
            max_age=cdk.Duration.hours(1),
        )

    def _domain(self, domain: str, certificate: str) -> None:
        name = apigateway.DomainName(
            self,
            "Domain",
            domain_name=domain,
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", certificate),
            endpoint_type=apigateway.EndpointType.REGIONAL,
            security_policy=apigateway.SecurityPolicy.TLS_1_2,
        )
        name.add_base_path_mapping(self.api, base_path=STAGE, stage=self.api.deployment_stage)
        cdk.CfnOutput(
            cdk.Stack.of(self),
            "DomainTarget",
            value=name.domain_name_alias_domain_name,
            description=f"The CNAME record of {domain} must point here",
        )
