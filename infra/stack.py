"""The stack: makes the constructs, wires the grants between them, says what to do next."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_codedeploy as codedeploy
from constructs import Construct

from .api.function import ApiFunction
from .api.rest_api import GatewayApi
from .bulk.jobs import BulkJobs
from .bulk.monitoring import JobWatch
from .bundling.bundle import make_code
from .config import read_config
from .monitoring.monitoring import Watch
from .nag_suppressions import acknowledge, reasons_for
from .props import GatewayProps
from .secrets import ProviderKeys


class GatewayStack(cdk.Stack):
    """The whole gateway in one stack; deploy it twice under two names and it is there twice."""

    def __init__(self, scope: Construct, id_: str, props: GatewayProps, **kwargs: Any) -> None:
        environment = cdk.Environment(account=props.account, region=props.region)
        super().__init__(
            scope,
            id_,
            env=environment,
            description="Fanout: an OpenAI-compatible gateway to many models",
            **kwargs,
        )
        config = read_config(props.config, props.environment)
        removal = cdk.RemovalPolicy(props.removal.upper())
        code = make_code(architecture=props.architecture, python=props.python, config=config.text)
        keys = ProviderKeys(self, "Keys", config=config, removal=removal)
        api_function = ApiFunction(
            self, "Api", props=props, config=config, code=code, secret_prefix=keys.prefix
        )
        keys.grant_read(api_function.role)
        door = GatewayApi(self, "Door", props=props, handler=api_function.alias)
        watch = Watch(self, "Watch", props=props, function=api_function.alias, api=door.api)
        if props.bulk:
            bulk = BulkJobs(self, "Bulk", props=props, config=config, code=code, keys=keys)
            bulk.serve(api_function, props)
            JobWatch(self, "JobWatch", watch=watch, jobs=bulk)
        if props.rollback:
            codedeploy.LambdaDeploymentGroup(
                self,
                "Deployment",
                alias=api_function.alias,
                alarms=[watch.errors],
                deployment_config=codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
            )
        acknowledge(self, reasons_for(props))
        self._say(door, keys)

    def _say(self, door: GatewayApi, keys: ProviderKeys) -> None:
        url = f"https://{door.api.rest_api_id}.execute-api.{self.region}.{self.url_suffix}/v1"
        cdk.CfnOutput(self, "BaseUrl", value=url, description="base_url of an OpenAI SDK")
        cdk.CfnOutput(
            self,
            "MasterKey",
            value=keys.master.ref,
            description="The secret with the gateway's own key",
        )
