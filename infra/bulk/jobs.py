"""Jobs on AWS: the store, the functions, the state machine over them, and the inbox."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..api.function import ApiFunction, beside
from ..config import GatewayConfig
from ..props import GatewayProps
from ..secrets import ProviderKeys
from .config_asset import publish
from .functions import JobFunctions
from .inbox import Inbox
from .state_machine import JobMachine
from .storage import JobStore


class BulkJobs(Construct):
    """Everything that jobs need and chat does not; `fanout:bulk` leaves it out."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        config: GatewayConfig,
        code: lambda_.Code,
        keys: ProviderKeys,
    ) -> None:
        super().__init__(scope, id_)
        self.store = JobStore(self, "Store", props=props)
        self.functions = JobFunctions(
            self,
            "Functions",
            props=props,
            config=config,
            code=code,
            keys=keys,
            store=self.store,
        )
        self.machine = JobMachine(
            self, "Jobs", props=props, store=self.store, functions=self.functions
        )
        self.inbox = Inbox(self, "Inbox", store=self.store, machine=self.machine)
        stack = cdk.Stack.of(self)
        for name, value, what in (
            ("JobsBucket", self.store.bucket.bucket_name, "Files; one put below inbox/ is a job"),
            ("JobsTable", self.store.table.table_name, "Records and counts of jobs"),
            ("JobsMachine", self.machine.machine.state_machine_arn, "An execution of it is a job"),
            ("JobsFileDays", str(props.file_days), "Days for which files are kept"),
        ):
            cdk.CfnOutput(stack, name, value=value, description=what)
        publish(self, config, props.environment)

    def serve(self, api: ApiFunction, props: GatewayProps) -> None:
        """Let the API make files and jobs; the machine never calls it: that would be a circle."""
        arn = self.machine.machine.state_machine_arn
        for name, value in beside(props, self.store.environment | {"FANOUT_MACHINE": arn}).items():
            api.function.add_environment(name, value)
        self.store.grant_records(api.role)
        self.store.grant_files(api.role, read="files/ uploads/", write="files/ uploads/")
        self.machine.grant_start(api.role)
