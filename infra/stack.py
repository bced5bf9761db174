"""
The stack: makes the constructs, grants each what it needs of the others, and writes the outputs.

Construct ids ("Api", "Door", "Watch", …) are part of CloudFormation's logical ids: changing one
replaces the resources of stacks that are deployed.
"""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_codedeploy as codedeploy
from constructs import Construct

from .api.function import ApiFunction
from .api.open_requests import OpenRequests
from .api.rest_api import GatewayApi
from .api.virtual_keys import VirtualKeys
from .bulk.jobs import BulkJobs
from .bulk.monitoring import JobMonitoring
from .bundling.bundle import make_code
from .config import read_config
from .monitoring.monitoring import Monitoring
from .nag_suppressions import acknowledge, reasons_for
from .props import GatewayProps
from .secrets import KeySecrets


class GatewayStack(cdk.Stack):
    """The whole gateway in one stack. Deployed under two names, it is two separate gateways."""

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
        secrets = KeySecrets(self, "Keys", config=config, removal=removal)
        api_function = ApiFunction(
            self, "Api", props=props, config=config, code=code, secret_prefix=secrets.prefix
        )
        secrets.grant_read(api_function.role)
        requests = OpenRequests(self, "Requests", props=props, api=api_function)
        keys = VirtualKeys(self, "VirtualKeys", props=props, api=api_function, removal=removal)
        rest_api = GatewayApi(self, "Door", props=props, handler=api_function.alias)
        monitoring = Monitoring(
            self, "Watch", props=props, function=api_function.alias, api=rest_api.api
        )
        if props.bulk:
            jobs = BulkJobs(self, "Bulk", props=props, config=config, code=code, secrets=secrets)
            jobs.connect_api(api_function, props)
            requests.share_counts(jobs.functions.work)
            keys.connect_jobs(jobs.functions, props)
            JobMonitoring(self, "JobWatch", monitoring=monitoring, jobs=jobs)
        if props.rollback:
            codedeploy.LambdaDeploymentGroup(
                self,
                "Deployment",
                alias=api_function.alias,
                alarms=[monitoring.errors],
                deployment_config=codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
            )
        acknowledge(self, reasons_for(props))
        self._add_outputs(rest_api, secrets)

    def _add_outputs(self, rest_api: GatewayApi, secrets: KeySecrets) -> None:
        host = f"{rest_api.api.rest_api_id}.execute-api.{self.region}.{self.url_suffix}"
        cdk.CfnOutput(
            self,
            "BaseUrl",
            value=f"https://{host}/v1",
            description="The base_url for an OpenAI SDK",
        )
        cdk.CfnOutput(
            self,
            "MasterKey",
            value=secrets.master.ref,
            description="The secret that holds the gateway's own key",
        )
