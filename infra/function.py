"""The API function: the app under the Web Adapter layer, its role, its log, its alias."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from .config import GatewayConfig
from .props import ADAPTER_LAYERS, GatewayProps

RUNTIMES = {"3.13": lambda_.Runtime.PYTHON_3_13, "3.14": lambda_.Runtime.PYTHON_3_14}
ARCHITECTURES = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
PORT = "8080"


class ApiFunction(Construct):
    """The function that serves OpenAI's API; callers go through `alias`."""

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
        removal = cdk.RemovalPolicy(props.removal.upper())
        self.log = logs.LogGroup(
            self, "Log", retention=logs.RetentionDays(_retention(props)), removal_policy=removal
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.log.grant_write(self.role)
        if config.bedrock_models:
            self.role.add_to_policy(bedrock_statement(self, config.bedrock_models))
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
            environment={
                **_variables(props, config),
                "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
                "AWS_LWA_INVOKE_MODE": "response_stream",
                "AWS_LWA_PORT": PORT,
                "AWS_LWA_READINESS_CHECK_PATH": "/health",
                "FANOUT_CONFIG": "config.json",
                "FANOUT_SECRET_PREFIX": secret_prefix,
                "FANOUT_SERVICE": secret_prefix[:-1],
                "PORT": PORT,
                "POWERTOOLS_SERVICE_NAME": secret_prefix[:-1],
            },
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


def _retention(props: GatewayProps) -> str:
    names = {1: "ONE_DAY", 3: "THREE_DAYS", 5: "FIVE_DAYS", 7: "ONE_WEEK", 14: "TWO_WEEKS"}
    names |= {30: "ONE_MONTH", 60: "TWO_MONTHS", 90: "THREE_MONTHS", 120: "FOUR_MONTHS"}
    names |= {150: "FIVE_MONTHS", 180: "SIX_MONTHS", 365: "ONE_YEAR", 400: "THIRTEEN_MONTHS"}
    names |= {545: "EIGHTEEN_MONTHS", 731: "TWO_YEARS"}
    return names[props.log_days]


def _variables(props: GatewayProps, config: GatewayConfig) -> dict[str, str]:
    """The config's own variables that are not secrets, out of `fanout:environment`."""
    from .props import BadContext

    if missing := [name for name in config.variables if name not in props.environment]:
        raise BadContext(
            f"`fanout:environment` has no `{missing[0]}`, which the config refers to as "
            f"`os.environ/{missing[0]}`"
        )
    return {name: props.environment[name] for name in config.variables}


def bedrock_statement(scope: Construct, models: tuple[str, ...]) -> iam.PolicyStatement:
    """
    The right to call the named Bedrock models.

    A cross-region profile (`us.anthropic.…`) is called by the profile, and answers from the model
    in whichever region it chooses, so both are named.
    """
    stack = cdk.Stack.of(scope)
    resources = []
    for model in models:
        if model.startswith("arn:"):
            resources.append(model)
            continue
        head, _, rest = model.partition(".")
        is_profile = head in {"us", "eu", "apac", "global", "jp", "au", "us-gov", "ca"}
        name = rest if is_profile else model
        resources.append(f"arn:{stack.partition}:bedrock:*::foundation-model/{name}")
        if is_profile:
            here = f"arn:{stack.partition}:bedrock:{stack.region}:{stack.account}"
            resources.append(f"{here}:inference-profile/{model}")
    return iam.PolicyStatement(
        actions=["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
        resources=resources,
    )
