"""
The API function, with its role, log group and alias.

AWS's Python runtime cannot stream. A wrapper script starts Fanout's own loop in its place, or the
Lambda Web Adapter, as `fanout:runtime` says. `fanout:compute` says what runs the function.
"""

from __future__ import annotations

import os

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..bedrock import grant_bedrock, grant_roles
from ..config import GatewayConfig
from ..lambda_settings import ARCHITECTURES, RUNTIMES, function_environment, reserved
from ..logs import log_group
from ..props import GatewayProps
from .managed_instances import ManagedInstances
from .web_adapter import layer_arn

APP = "functions.api.app.app"
"""What the loop serves. Lambda needs a handler's name; nothing calls it."""

LOOP = {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/functions/api/runtime.sh"}
"""https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html (2026-11)."""

ADAPTER_SCRIPT = "functions/api/run.sh"


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
        behind_adapter = props.runtime == "web-adapter"
        self.log = log_group(self, "Log", props)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log.grant_write(self.role)
        grant_bedrock(self.role, config.bedrock_models)
        grant_roles(self.role, config.roles)
        self.function = lambda_.Function(
            self,
            # AWS neither adds a capacity provider to a function nor removes one: it is another one.
            "ManagedFunction" if props.is_managed else "Function",
            description="Fanout: OpenAI's API over many models",
            runtime=RUNTIMES[props.python],
            architecture=ARCHITECTURES[props.architecture],
            code=code,
            handler=ADAPTER_SCRIPT if behind_adapter else APP,
            memory_size=props.instance_memory if props.is_managed else props.memory,
            timeout=cdk.Duration.seconds(props.timeout),
            reserved_concurrent_executions=props.concurrency,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if props.snapstart else None,
            role=self.role,
            log_group=self.log,
            logging_format=lambda_.LoggingFormat.JSON if props.is_managed else None,
            tracing=lambda_.Tracing.ACTIVE,
            layers=[self._adapter(props)] if behind_adapter else None,
            environment=_environment(props, secret_prefix),
            current_version_options=lambda_.VersionOptions(
                removal_policy=cdk.RemovalPolicy.DESTROY,
                # AWS's documents say to set both, and give two defaults of the maximum: 3 and none.
                min_execution_environments=props.environments if props.is_managed else None,
                max_execution_environments=props.max_environments if props.is_managed else None,
            ),
        )
        if props.is_managed:
            ManagedInstances(self, "Managed", props=props).add(self.function)
        self.alias = lambda_.Alias(
            self, "Live", alias_name="live", version=self.function.current_version
        )

    def _adapter(self, props: GatewayProps) -> lambda_.ILayerVersion:
        # CDK's command line sets the variable to the region of the credentials.
        region = props.region or os.environ.get("CDK_DEFAULT_REGION")
        arn = layer_arn(cdk.Stack.of(self), props, region)
        return lambda_.LayerVersion.from_layer_version_arn(self, "WebAdapter", arn)


def _environment(props: GatewayProps, secret_prefix: str) -> dict[str, str]:
    """Return the runtime's variables and those of every function."""
    own = _adapter_variables(props.port) if props.runtime == "web-adapter" else dict(LOOP)
    if props.cors:
        own["FANOUT_CORS"] = props.cors
    return reserved(props, own) | function_environment(props, secret_prefix)


def _adapter_variables(port: int) -> dict[str, str]:
    return {
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
        "AWS_LWA_INVOKE_MODE": "response_stream",
        "AWS_LWA_PORT": str(port),
        "AWS_LWA_READINESS_CHECK_PATH": "/health",
        "PORT": str(port),
    }
