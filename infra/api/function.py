"""The API function: the app behind the Lambda Web Adapter, with its role, log group and alias."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..bedrock import grant_bedrock, grant_roles
from ..config import GatewayConfig
from ..lambda_settings import ARCHITECTURES, RUNTIMES, function_environment, reserved
from ..logs import log_group
from ..props import ADAPTER_LAYERS, GatewayProps


class ApiFunction(Construct):
    """The function that serves OpenAI's API. API Gateway invokes its `alias`."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        config: GatewayConfig,
        code: lambda_.Code,
        secret_prefix: str,
    ) -> None:
        super().__init__(scope, id_)
        self.log = log_group(self, "Log", props)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log.grant_write(self.role)
        grant_bedrock(self.role, config.bedrock_models)
        grant_roles(self.role, config.roles)
        self.function = lambda_.Function(
            self,
            "Function",
            description="Fanout: OpenAI's API over many models",
            runtime=RUNTIMES[props.python],
            architecture=ARCHITECTURES[props.architecture],
            code=code,
            handler="functions/api/run.sh",
            memory_size=props.memory,
            timeout=cdk.Duration.seconds(props.timeout),
            reserved_concurrent_executions=props.concurrency,
            role=self.role,
            log_group=self.log,
            tracing=lambda_.Tracing.ACTIVE,
            layers=[self._adapter(props)],
            environment=_environment(props, secret_prefix),
            current_version_options=lambda_.VersionOptions(
                removal_policy=cdk.RemovalPolicy.DESTROY
            ),
        )
        self.alias = lambda_.Alias(
            self, "Live", alias_name="live", version=self.function.current_version
        )

    def _adapter(self, props: GatewayProps) -> lambda_.ILayerVersion:
        stack = cdk.Stack.of(self)
        arn = props.adapter_layer or ADAPTER_LAYERS[props.architecture].format(
            partition=stack.partition, region=stack.region
        )
        return lambda_.LayerVersion.from_layer_version_arn(self, "WebAdapter", arn)


def _environment(props: GatewayProps, secret_prefix: str) -> dict[str, str]:
    """Return the Web Adapter's variables and those of every function."""
    adapter = {
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
        "AWS_LWA_INVOKE_MODE": "response_stream",
        "AWS_LWA_PORT": str(props.port),
        "AWS_LWA_READINESS_CHECK_PATH": "/health",
        "PORT": str(props.port),
    }
    if props.cors:
        adapter["FANOUT_CORS"] = props.cors
    return reserved(props, adapter) | function_environment(props, secret_prefix)
