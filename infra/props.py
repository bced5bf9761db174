"""
The deploy-time options: the `fanout:…` keys of cdk.json's context, checked by pydantic.

`cdk deploy -c fanout:memory=1024` overrides one. An error names the key and what it may be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

PREFIX = "fanout:"
LATEST_PYTHON: Final = "3.14"
SEE = "docs/aws.md lists every key"

# AWS's published layer by architecture, version 1.0.0.
# See https://github.com/awslabs/aws-lambda-web-adapter.
ADAPTER_LAYERS = {
    "arm64": "arn:{partition}:lambda:{region}:753240598075:layer:LambdaAdapterLayerArm64:27",
    "x86_64": "arn:{partition}:lambda:{region}:753240598075:layer:LambdaAdapterLayerX86:27",
}


def _text(pattern: str, example: str) -> Any:
    """Describe a text that must match the pattern, with an example for error messages."""
    return Field(pattern=pattern, examples=[example])


StackName = Annotated[str, _text(r"^[A-Za-z][A-Za-z0-9-]{0,63}$", "Fanout")]
Email = Annotated[str, _text(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "ops@example.com")]
Domain = Annotated[str, _text(r"^[a-z0-9.-]+\.[a-z]{2,}$", "llm.example.com")]
CertificateArn = Annotated[
    str,
    _text(r"^arn:[^\s]+:acm:[^\s]+$", "arn:aws:acm:eu-west-1:111111111111:certificate/0"),
]
Origin = Annotated[str, _text(r"^https?://[^\s/]+$", "https://app.example.com")]
LayerArn = Annotated[
    str,
    _text(r"^arn:[^\s]+:layer:[^\s]+:\d+$", "arn:aws:lambda:eu-west-1:111111111111:layer:Mine:1"),
]
Region = Annotated[str, _text(r"^[a-z]{2}(-[a-z]+)+-\d$", "eu-west-1")]
AccountId = Annotated[str, _text(r"^\d{12}$", "111111111111")]


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

    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of the functions, as JSON: one for each `os.environ/NAME` in the
    config that is not a key"""

    memory: Annotated[int, Field(ge=256, le=10_240)] = 512
    """Memory of the API function in MB; AWS bills running time by it"""

    architecture: Literal["arm64", "x86_64"] = "arm64"
    """Processor architecture of the functions; arm64 costs a fifth less"""

    python: Literal["3.13", "3.14"] = LATEST_PYTHON
    """Python version of the functions"""

    timeout: Annotated[int, Field(ge=30, le=900)] = 900
    """Seconds after which AWS ends a request; the client gets a 504 two seconds earlier"""

    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Reserved concurrency of the API function: requests at the same time. A new AWS account
    is limited to ten and cannot reserve any"""

    rate: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Requests a second; API Gateway answers 429 to the others"""

    burst: Annotated[int, Field(ge=1, le=5_000)] = 200
    """Requests that may arrive at the same moment: the size of API Gateway's token bucket"""

    bulk: bool = True
    """Deploy bulk jobs: their state machine, functions, bucket and table"""

    bulk_memory: Annotated[int, Field(ge=512, le=10_240)] = 1_024
    """Memory in MB of a job's worker, which has about 200 lines in flight"""

    bulk_timeout: Annotated[int, Field(ge=60, le=900)] = 900
    """Seconds that one worker runs; the next one continues with the lines that are left"""

    bulk_workers: Annotated[int, Field(ge=1, le=1_000)] = 20
    """Workers of one job at the same time; they share the account's Lambda concurrency with the
    API"""

    file_days: Annotated[int, Field(ge=30, le=3_650)] = 30
    """Days after which files expire: uploads, results and the inbox"""

    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731] = 30
    """Days after which logs expire"""

    removal: Literal["destroy", "retain"] = "destroy"
    """What `cdk destroy` does with the secrets, the logs and the jobs' table; the jobs' bucket is
    always kept"""

    alarm_email: Email | None = None
    """Address that gets the alarms, once its owner has confirmed AWS's subscription mail"""

    spend_alarm: Annotated[float, Field(gt=0)] = 10.0
    """Spend that raises an alarm, in US dollars an hour, by the config's prices or the public
    ones"""

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

    adapter_layer: LayerArn | None = None
    """ARN of another Lambda Web Adapter layer, for example a copy in your own account"""

    port: Annotated[int, Field(ge=1024, le=65_535)] = 8080
    """Port inside the function on which the app serves the Web Adapter"""

    region: Region | None = None
    """Region to deploy to; by default the AWS command line's"""

    account: AccountId | None = None
    """Account to deploy to; by default that of your credentials"""

    @model_validator(mode="after")
    def _domain_needs_certificate(self) -> GatewayProps:
        if (self.domain is None) != (self.certificate is None):
            raise ValueError(f"set both `{PREFIX}domain` and `{PREFIX}certificate`, or neither")
        return self


def read_props(context: Mapping[str, Any]) -> GatewayProps:
    """Return the props that the context's `fanout:` keys describe, or raise `ContextError`."""
    values = {k.removeprefix(PREFIX): v for k, v in context.items() if k.startswith(PREFIX)}
    # An empty value (`-c fanout:memory=`) restores the default.
    values = {name: value for name, value in values.items() if value not in ("", None)}
    for name in values.keys() - GatewayProps.model_fields.keys():
        near = get_close_matches(name, GatewayProps.model_fields, n=1)
        hint = f"did you mean `{PREFIX}{near[0]}`?" if near else SEE
        raise ContextError(f"`{PREFIX}{name}` is unknown; {hint}")
    # `-c` passes every value as text. Pydantic converts numbers and booleans, but not these two.
    for name in ("log_days", "environment"):
        if isinstance(text := values.get(name), str):
            with suppress(ValueError):
                values[name] = json.loads(text)
    try:
        return GatewayProps.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_explain(each["loc"], each["msg"]) for each in error.errors())
        raise ContextError(f"{problems}; {SEE}") from None


def _explain(location: tuple[int | str, ...], message: str) -> str:
    """Return the key, pydantic's message and, for a text with a pattern, a valid example."""
    message = message.removeprefix("Value error, ")
    if not location:
        return message
    key = ".".join(map(str, location))
    example = example_of(str(location[0]))
    return f"`{PREFIX}{key}`: {message}{f', such as `{example}`' if example else ''}"


def example_of(name: str) -> str | None:
    """Return an example value of the option, if it is a text with a pattern."""
    schema: Mapping[str, Any] = GatewayProps.model_json_schema()["properties"][name]
    kinds = [schema, *schema.get("anyOf", ())]
    return next((str(kind["examples"][0]) for kind in kinds if "examples" in kind), None)
