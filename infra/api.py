"""The front door: a regional REST API that streams, and says its own errors as OpenAI does."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from .props import GatewayProps

STAGE = "v1"
MAX_STREAM = cdk.Duration.minutes(15)
"""What API Gateway allows a streamed response; its own default would be 29 s."""

# Each of API Gateway's own errors: our status, type and code.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
ERRORS: dict[str, tuple[str, str, str]] = {
    "ACCESS_DENIED": ("403", "permission_error", "access_denied"),
    "API_CONFIGURATION_ERROR": ("500", "server_error", "gateway_error"),
    "BAD_REQUEST_BODY": ("400", "invalid_request_error", "bad_request"),
    "BAD_REQUEST_PARAMETERS": ("400", "invalid_request_error", "bad_request"),
    "DEFAULT_4XX": ("", "invalid_request_error", "bad_request"),
    "DEFAULT_5XX": ("", "server_error", "gateway_error"),
    "INTEGRATION_FAILURE": ("502", "server_error", "gateway_error"),
    "INTEGRATION_TIMEOUT": ("504", "timeout_error", "gateway_timeout"),
    "INVALID_SIGNATURE": ("401", "invalid_request_error", "invalid_signature"),
    "MISSING_AUTHENTICATION_TOKEN": ("404", "invalid_request_error", "not_found"),
    "QUOTA_EXCEEDED": ("429", "rate_limit_error", "rate_limit_exceeded"),
    "REQUEST_TOO_LARGE": ("413", "invalid_request_error", "request_too_large"),
    "RESOURCE_NOT_FOUND": ("404", "invalid_request_error", "not_found"),
    "THROTTLED": ("429", "rate_limit_error", "rate_limit_exceeded"),
    "UNSUPPORTED_MEDIA_TYPE": ("415", "invalid_request_error", "unsupported_media_type"),
    "WAF_FILTERED": ("403", "permission_error", "access_denied"),
}

ROUTES = (("POST", "chat/completions"), ("GET", "models"), ("GET", "health"))
"""What is open; anything else is answered by API Gateway, without waking the function."""


class GatewayApi(Construct):
    """REST API with one streaming integration; its stage is `v1`, so the URL reads as OpenAI's."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        handler: lambda_.Alias,
        routes: tuple[tuple[str, str], ...] = ROUTES,
    ) -> None:
        super().__init__(scope, id_)
        self.log = logs.LogGroup(
            self,
            "AccessLog",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy(props.removal.upper()),
        )
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=cdk.Stack.of(self).stack_name,
            description="Fanout: OpenAI's API over many models",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            # Without this account-wide role a stage that logs cannot be made. It is kept, since
            # other APIs of the account use it too.
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=cdk.RemovalPolicy.RETAIN,
            deploy_options=self._stage(props),
            default_cors_preflight_options=self._cors(props),
        )
        self._integration = apigateway.LambdaIntegration(
            handler,
            response_transfer_mode=apigateway.ResponseTransferMode.STREAM,
            timeout=MAX_STREAM,
            scope_permission_to_method=False,
        )
        for method, path in routes:
            self.api.root.resource_for_path(path).add_method(method, self._integration)
        one_model = self.api.root.resource_for_path("models").add_proxy(any_method=False)
        one_model.add_method("GET", self._integration)
        self._say_errors_as_openai()
        if props.domain and props.certificate:
            self._domain(props.domain, props.certificate)

    def _stage(self, props: GatewayProps) -> apigateway.StageOptions:
        return apigateway.StageOptions(
            stage_name=STAGE,
            access_log_destination=apigateway.LogGroupLogDestination(self.log),
            access_log_format=apigateway.AccessLogFormat.json_with_standard_fields(
                caller=False,
                http_method=True,
                ip=True,
                protocol=False,
                request_time=True,
                resource_path=True,
                response_length=True,
                status=True,
                user=False,
            ),
            throttling_rate_limit=props.rate,
            throttling_burst_limit=props.burst,
            tracing_enabled=True,
            metrics_enabled=True,
            logging_level=apigateway.MethodLoggingLevel.ERROR,
            data_trace_enabled=False,
        )

    def _cors(self, props: GatewayProps) -> apigateway.CorsOptions | None:
        if props.cors is None:
            return None
        return apigateway.CorsOptions(
            allow_origins=[props.cors],
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type"],
            max_age=cdk.Duration.hours(1),
        )

    def _say_errors_as_openai(self) -> None:
        for name, (status, kind, code) in ERRORS.items():
            said = (
                '{"error": {"message": $context.error.messageString, '
                f'"type": "{kind}", "param": null, "code": "{code}"}}}}'
            )
            self.api.add_gateway_response(
                name.title().replace("_", ""),
                type=apigateway.ResponseType.of(name),
                status_code=status or None,
                response_headers={"x-request-id": "context.requestId"},
                templates={"application/json": said},
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
        cdk.CfnOutput(self, "DomainTarget", value=name.domain_name_alias_domain_name)
