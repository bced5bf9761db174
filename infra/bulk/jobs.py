"""Bulk jobs: the storage, the functions, the state machines, the inbox and the webhooks."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..api.function import ApiFunction
from ..bedrock import BATCHES, grant_batches, grant_roles
from ..config import GatewayConfig
from ..lambda_settings import reserved
from ..props import GatewayProps
from ..secrets import KeySecrets
from .batch_role import VARIABLE, BatchRole
from .config_asset import publish_config
from .functions import JobFunctions
from .inbox import Inbox
from .native_batches import NativeBatches
from .state_machine import JobStateMachine
from .storage import JobStorage
from .webhooks import Webhooks


class BulkJobs(Construct):
    """Everything that jobs need and chat does not; `fanout:bulk` = `false` leaves it out."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        config: GatewayConfig,
        code: lambda_.Code,
        secrets: KeySecrets,
    ) -> None:
        super().__init__(scope, id_)
        self.storage = JobStorage(self, "Store", props=props)
        self.functions = JobFunctions(
            self,
            "Functions",
            props=props,
            config=config,
            code=code,
            secrets=secrets,
            storage=self.storage,
        )
        self.machine = JobStateMachine(
            self, "Jobs", props=props, storage=self.storage, functions=self.functions
        )
        self.inbox = Inbox(self, "Inbox", storage=self.storage, machine=self.machine)
        self.batches = NativeBatches(
            self, "Batches", props=props, code=code, secrets=secrets, storage=self.storage
        )
        self.batches.connect(self.functions, props)
        self._batch_role = self._store_batches(config)
        for step in (*self.functions.all, self.batches.step):
            for name, value in reserved(props, self._batch_variables).items():
                step.function.add_environment(name, value)
        if config.webhook_secrets:
            webhooks = Webhooks(
                self, "Webhooks", props=props, code=code, secrets=secrets, storage=self.storage
            )
            webhooks.connect_finisher(self.functions.finish, props)
        self._add_outputs(props)
        publish_config(self, config, props.environment)

    def _store_batches(self, config: GatewayConfig) -> str | None:
        """Prepare the native batches in S3; the ARN of the stack's role, if any batch needs it."""
        step, models = self.batches.step, config.batch_models
        own = [one for one in models if one.role is None]
        made = BatchRole(self, "BatchRole", storage=self.storage, models=own) if own else None
        role = None if made is None else made.role.role_arn
        if role is not None:
            self.storage.grant_objects(step.role, BATCHES, "GetObject", "PutObject")
        if granted := [one for one in models if not one.is_elsewhere]:
            grant_batches(step.role, granted, role or "")
        grant_roles(step.role, config.batch_roles)
        return role

    @property
    def _batch_variables(self) -> dict[str, str]:
        """What the functions know of the role: they all read the same config."""
        return {} if self._batch_role is None else {VARIABLE: self._batch_role}

    def _add_outputs(self, props: GatewayProps) -> None:
        bucket, table = self.storage.bucket.bucket_name, self.storage.table.table_name
        for name, value, description in (
            ("JobsBucket", bucket, "Files of jobs; a file put below inbox/ starts a job"),
            ("JobsTable", table, "Records and counts of jobs"),
            ("JobsMachine", self.machine.arn, "The state machine; one execution is one job"),
            ("JobsFileDays", str(props.file_days), "Days after which files expire"),
        ):
            cdk.CfnOutput(cdk.Stack.of(self), name, value=value, description=description)

    def connect_api(self, api: ApiFunction, props: GatewayProps) -> None:
        """
        Let the API function store files and start jobs.

        The state machine never calls that function: each would need the other to exist first.
        """
        machine = {"FANOUT_MACHINE": self.machine.arn}
        variables = self.storage.environment | machine | self._batch_variables
        for name, value in reserved(props, variables).items():
            api.function.add_environment(name, value)
        self.storage.grant_records(api.role)
        own = "files/ idempotency/ uploads/"
        self.storage.grant_files(api.role, read=f"{own} jobs/", write=own)
        self.storage.grant_objects(api.role, "jobs/", "DeleteObject")
        self.machine.grant_start(api.role)
