"""The deploy-time options, checked by pydantic; `context.py` reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .prop_types import (
    AccountId,
    CertificateArn,
    Domain,
    Email,
    InstanceTypes,
    LayerArn,
    Origin,
    Region,
    StackName,
    SubnetIds,
    VpcId,
)
from .variable_names import Variables

PREFIX = "fanout:"
LATEST_PYTHON: Final = "3.14"
TESTED_PYTHON: Final = "3.13"
"""The version that `make rehearse` runs the functions on."""


MAX_REQUESTS_PER_VCPU = 64
GRAVITON = re.compile(r"[cmr]\d+g")
"""AWS's own arm64 processors: https://docs.aws.amazon.com/ec2/latest/instancetypes (2026-11)."""

MANAGED_OPTIONS = frozenset(
    {
        "environments",
        "instance_memory",
        "instance_requests",
        "instance_types",
        "max_vcpus",
        "memory_per_vcpu",
        "nat_gateways",
        "subnets",
        "vpc",
    }
)
LAMBDA_OPTIONS = frozenset({"memory", "concurrency", "snapstart"})


class ContextError(ValueError):
    """The CDK context is wrong; the message names the key and how to fix it."""


class GatewayProps(BaseModel):
    """
    Every deploy-time option with its default.

    The docstrings below are the descriptions in docs/aws.md.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    stack: StackName = "Fanout"
    """Name of the stack, and of its secrets, metrics and dashboard: letters, digits, `-`"""

    config: Path = Path("config.aws.yaml")
    """The gateway's config file, in the same format as on a laptop"""

    environment: Variables = Field(default_factory=dict)
    """Environment variables of the functions, as JSON: one for each `os.environ/NAME` in the
    config that is not a key"""

    memory: Annotated[int, Field(ge=256, le=10_240)] = 512
    """Memory of the API function in MB; AWS bills running time by it"""

    architecture: Literal["arm64", "x86_64"] = "arm64"
    """Processor architecture of the functions; arm64 costs a fifth less"""

    python: Literal["3.13", "3.14"] = TESTED_PYTHON
    """Python version of the functions; `make rehearse` runs the default"""

    timeout: Annotated[int, Field(ge=30, le=900)] = 900
    """Seconds after which AWS ends a request; the client gets a 504 two seconds earlier"""

    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Reserved concurrency of the API function: requests at the same time. A new AWS account
    is limited to ten and cannot reserve any"""

    rate: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Requests a second; API Gateway rejects the others with 429"""

    burst: Annotated[int, Field(ge=1, le=5_000)] = 200
    """Requests that may arrive at the same moment: the size of API Gateway's token bucket"""

    bulk: bool = True
    """Deploy bulk jobs: their state machine, functions, bucket and table"""

    bulk_memory: Annotated[int, Field(ge=512, le=10_240)] = 1_024
    """Memory in MB of a job's worker, which has about 200 lines in flight"""

    bulk_timeout: Annotated[int, Field(ge=300, le=1_800)] = 900
    """Seconds that one worker runs; the next one continues with the lines that are left. AWS's
    API accepts up to 1,800 since 2026-11; its user guide still says 900, and the CDK warns of
    more (E3717)"""

    bulk_workers: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Workers of one job at the same time. All jobs together use at most half of the account's
    Lambda concurrency"""

    file_days: Annotated[int, Field(ge=30, le=3_650)] = 30
    """Days after which files expire: uploads, results and the inbox"""

    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = 30
    """Days after which logs expire"""

    removal: Literal["destroy", "retain"] = "destroy"
    """What `cdk destroy` does with the secrets, the logs and the jobs' table; the jobs' bucket is
    always kept"""

    dashboard: bool = False
    """Create a dashboard; AWS bills $3 a month for each after an account's first three"""

    alarm_email: Email | None = None
    """Address that gets the alarms, once its owner has confirmed AWS's subscription mail"""

    spend_alarm: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    """Spend that raises an alarm, in US dollars an hour, by the config's prices or the public
    ones"""

    soft_budget_alarm: bool = False
    """Raise an alarm when a virtual key, a team or a user reaches its soft budget; AWS bills $0.10
    a month for it"""

    rollback: bool = False
    """Send a tenth of the requests to a new version first, and the rest after five minutes
    without an alarm"""

    domain: Domain | None = None
    """Your own domain; its CNAME must point to the output `DomainTarget`"""

    certificate: CertificateArn | None = None
    """ARN of the domain's ACM certificate, in the stack's region"""

    cors: Origin | None = None
    """The one origin whose web pages may call the API"""

    api_log_role: bool = True
    """Create the role that lets API Gateway write logs. There is one per account and region: use
    `false` if yours exists"""

    runtime: Literal["loop", "web-adapter"] = "loop"
    """How the API function gets its requests: by Fanout's own loop over invocations, or by AWS's
    Lambda Web Adapter, a layer that delays each response by about 42 ms"""

    adapter_layer: LayerArn | None = None
    """With `web-adapter`: ARN of another layer, for example a copy in your own account. It is
    needed in regions where AWS publishes none"""

    port: Annotated[int, Field(ge=1024, le=65_535)] = 8080
    """With `web-adapter`: port inside the function on which the app serves the adapter"""

    snapstart: bool = False
    """Start environments of the API function from a snapshot, for which AWS bills all the time
    (SnapStart). It has not been run in an account"""

    compute: Literal["lambda", "managed-instances"] = "lambda"
    """What runs the API function: Lambda, which is billed by the request, or EC2 instances that run
    all the time and serve many requests in one environment (Lambda Managed Instances)"""

    instance_memory: Annotated[int, Field(ge=2_048, le=32_768)] = 2_048
    """With `managed-instances`: memory of an environment in MB, a multiple of
    `fanout:memory_per_vcpu`"""

    memory_per_vcpu: Literal[2, 4, 8] = 2
    """With `managed-instances`: GB of memory for each vCPU of an environment. The app uses one
    vCPU, so more than one is of little use"""

    instance_requests: Annotated[int, Field(ge=2, le=1_024)] = 64
    """With `managed-instances`: requests that an environment serves at the same time, at most 64
    for each of its vCPUs"""

    environments: Annotated[int, Field(ge=1, le=15_000)] = 3
    """With `managed-instances`: environments that always run; with fewer than three, one
    availability zone may have none. Lambda starts more under load"""

    max_vcpus: Annotated[int, Field(ge=12, le=15_000)] = 30
    """With `managed-instances`: vCPUs of all instances together, which limits what they cost"""

    instance_types: InstanceTypes | None = None
    """With `managed-instances`: the EC2 types that may be used, `large` or larger of the families
    C, M and R; by default, Lambda chooses"""

    vpc: VpcId | None = None
    """With `managed-instances`: your VPC; by default, the stack creates one with NAT gateways"""

    subnets: SubnetIds | None = None
    """With `managed-instances`: subnets of that VPC, from which the internet can be reached"""

    nat_gateways: Annotated[int, Field(ge=1, le=2)] = 1
    """With `managed-instances`: NAT gateways of the VPC that the stack creates, in two availability
    zones; with one, an outage of its zone stops the gateway"""

    region: Region | None = None
    """Region to deploy to; by default the AWS command line's"""

    account: AccountId | None = None
    """Account to deploy to; by default that of your credentials"""

    @model_validator(mode="after")
    def _domain_needs_certificate(self) -> GatewayProps:
        if (self.domain is None) != (self.certificate is None):
            raise ValueError(f"set both `{PREFIX}domain` and `{PREFIX}certificate`, or neither")
        return self

    @model_validator(mode="after")
    def _options_belong_to_the_runtime(self) -> GatewayProps:
        for name in ("adapter_layer", "port"):
            if self.runtime != "web-adapter" and name in self.model_fields_set:
                raise ValueError(f"`{PREFIX}{name}` needs `{PREFIX}runtime=web-adapter`")
        if self.snapstart and self.runtime != "loop":
            raise ValueError(f"`{PREFIX}snapstart` needs `{PREFIX}runtime=loop`")
        return self

    @property
    def vcpus(self) -> float:
        """The vCPUs of an environment on Managed Instances."""
        return self.instance_memory / 1024 / self.memory_per_vcpu

    @property
    def max_environments(self) -> int:
        """The environments on Managed Instances for which `max_vcpus` are enough."""
        return int(self.max_vcpus // self.vcpus)

    @property
    def is_managed(self) -> bool:
        """Whether the API function runs on Managed Instances."""
        return self.compute == "managed-instances"

    @model_validator(mode="after")
    def _options_belong_to_the_compute(self) -> GatewayProps:
        """Reject options that would have no effect, or that AWS would reject."""
        other = MANAGED_OPTIONS if self.compute == "lambda" else LAMBDA_OPTIONS
        for name in sorted(other & self.model_fields_set):
            raise ValueError(
                f"`{PREFIX}{name}` has no effect with `{PREFIX}compute` = `{self.compute}`; "
                "remove it"
            )
        if self.is_managed:
            for problem in self._problems_of_instances():
                raise ValueError(problem)
        return self

    def _problems_of_instances(self) -> Iterator[str]:
        """
        Yield what AWS would reject, or what could not work, on Managed Instances.

        https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-scaling.html (2026-11)
        has the limits.
        """
        if self.runtime == "web-adapter":
            yield (
                f"`{PREFIX}runtime` = `web-adapter` serves one request at a time and cannot run on "
                f"managed instances; remove it, or set `{PREFIX}compute` to `lambda`"
            )
        if not self.vcpus.is_integer():
            step = self.memory_per_vcpu * 1024
            yield (
                f"`{PREFIX}instance_memory` must be a multiple of {step:,} MB, which is "
                f"`{PREFIX}memory_per_vcpu`"
            )
        most = int(self.vcpus * MAX_REQUESTS_PER_VCPU)
        if self.instance_requests > most:
            yield (
                f"`{PREFIX}instance_requests` may be at most {most}: {MAX_REQUESTS_PER_VCPU} for "
                f"each vCPU, of which {self.instance_memory:,} MB are {self.vcpus:g}"
            )
        if self.environments * self.vcpus > self.max_vcpus:
            yield (
                f"`{PREFIX}environments` need {self.environments * self.vcpus:g} vCPUs, which is "
                f"more than `{PREFIX}max_vcpus`"
            )
        for kind in split(self.instance_types):
            if (GRAVITON.match(kind) is not None) != (self.architecture == "arm64"):
                yield (
                    f"`{PREFIX}instance_types`: `{kind}` has another processor than "
                    f"`{PREFIX}architecture` = `{self.architecture}`"
                )
        if (self.vpc is None) != (self.subnets is None):
            yield f"set both `{PREFIX}vpc` and `{PREFIX}subnets`, or neither"
        if self.vpc and "nat_gateways" in self.model_fields_set:
            yield f"`{PREFIX}nat_gateways` has no effect in a VPC of yours; remove it"


def split(text: str | None) -> list[str]:
    """Return the parts of a list that is separated by commas."""
    return [part.strip() for part in text.split(",")] if text else []
