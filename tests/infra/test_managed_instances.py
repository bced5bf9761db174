"""The API function on Lambda Managed Instances: `fanout:compute` = `managed-instances`."""

from __future__ import annotations

from typing import Any

import pytest

from infra.context import read_props
from infra.props import ContextError, GatewayProps
from scripts.aws.check import MANAGED, MANAGED_IN_OWN_VPC

from .synth import Template


def read(**options: Any) -> GatewayProps:
    return read_props({f"fanout:{name}": value for name, value in options.items()})


def test_the_default_is_classic_lambda(stack: Template) -> None:
    assert not stack.resources("Lambda::CapacityProvider")
    assert not stack.resources("EC2::VPC")
    function = stack.one("Lambda::Function", "Api")
    assert "CapacityProviderConfig" not in function
    assert "LogFormat" not in function["LoggingConfig"]


def test_the_functions_settings(managed: Template, managed_in_own_vpc: Template) -> None:
    for each, memory, gb, requests in (
        (managed, 2_048, 2, 64),
        (managed_in_own_vpc, 8_192, 4, 128),
    ):
        function = each.one("Lambda::Function", "Api")
        (provider,) = each.resources("Lambda::CapacityProvider")
        config = function["CapacityProviderConfig"]["LambdaManagedInstancesCapacityProviderConfig"]
        assert each.render(config["CapacityProviderArn"]) == f"<{provider}.Arn>"
        assert config["ExecutionEnvironmentMemoryGiBPerVCpu"] == gb
        assert config["PerExecutionEnvironmentMaxConcurrency"] == requests
        assert function["MemorySize"] == memory
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["PublishToLatestPublished"] is False
        assert function["Architectures"] == ["arm64"]
        assert function["Environment"]["Variables"]["AWS_LAMBDA_EXEC_WRAPPER"].endswith(".sh")
        assert "ReservedConcurrentExecutions" not in function
        assert "VpcConfig" not in function  # AWS rejects it; the network is the provider's


def test_api_gateway_invokes_an_alias_of_a_numbered_version(managed: Template) -> None:
    """Only published versions run on instances."""
    ((version, properties),) = managed.resources("Lambda::Version", "Api").items()
    assert properties["DeletionPolicy"] == "Delete"  # a provider with versions cannot be deleted
    # Both: https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-scaling.html
    assert properties["Properties"]["FunctionScalingConfig"] == {
        "MinExecutionEnvironments": 3,
        "MaxExecutionEnvironments": 30,
    }
    ((alias, live),) = managed.resources("Lambda::Alias", "Api").items()
    assert managed.render(live["Properties"]["FunctionVersion"]) == f"<{version}.Version>"
    for method in managed.properties("ApiGateway::Method"):
        integration = method["Integration"]
        assert integration["ResponseTransferMode"] == "STREAM"
        assert f"<{alias}>" in managed.render(integration["Uri"])


def test_environments_are_limited_to_the_vcpus(managed_in_own_vpc: Template) -> None:
    (version,) = managed_in_own_vpc.properties("Lambda::Version", "Api")
    assert version["FunctionScalingConfig"] == {
        "MinExecutionEnvironments": 4,
        "MaxExecutionEnvironments": 20,
    }


def test_switching_makes_another_function(stack: Template, managed: Template) -> None:
    """AWS neither adds a capacity provider to a function nor removes one."""
    names = [set(each.resources("Lambda::Function", "Api")) for each in (stack, managed)]
    assert not names[0] & names[1]
    jobs = [set(each.resources("Lambda::Function", "Bulk")) for each in (stack, managed)]
    assert jobs[0] == jobs[1]


def test_the_capacity_provider(managed: Template, managed_in_own_vpc: Template) -> None:
    provider = managed.one("Lambda::CapacityProvider")
    assert provider["InstanceRequirements"] == {"Architectures": ["arm64"]}
    assert provider["CapacityProviderScalingConfig"]["MaxVCpuCount"] == 30
    subnets = {managed.render(subnet) for subnet in provider["VpcConfig"]["SubnetIds"]}
    private = {f"<{name}>" for name in managed.resources("EC2::Subnet") if "Private" in name}
    assert subnets == private
    assert len(provider["VpcConfig"]["SecurityGroupIds"]) == 1

    own = managed_in_own_vpc.one("Lambda::CapacityProvider")
    assert own["InstanceRequirements"] == {
        "Architectures": ["arm64"],
        "AllowedInstanceTypes": ["m7g.large", "m8g.large"],
    }
    assert own["CapacityProviderScalingConfig"]["MaxVCpuCount"] == 40
    assert own["VpcConfig"]["SubnetIds"] == MANAGED_IN_OWN_VPC["subnets"].split(",")


def test_instances_reach_the_internet_and_nothing_reaches_them(managed: Template) -> None:
    (group,) = managed.properties("EC2::SecurityGroup")
    assert "SecurityGroupIngress" not in group
    assert not managed.resources("EC2::SecurityGroupIngress")
    routes = managed.resources("EC2::Route")
    to_nat = {name for name, route in routes.items() if "NatGatewayId" in route["Properties"]}
    assert len(to_nat) == 2
    assert len(managed.resources("EC2::NatGateway")) == 1
    (function,) = managed.resources("Lambda::Function", "Api").values()
    assert to_nat <= set(function["DependsOn"])  # an environment that starts reads the keys
    services = {
        managed.render(endpoint["ServiceName"]).rpartition(".")[2]
        for endpoint in managed.properties("EC2::VPCEndpoint")
    }
    assert services == {"dynamodb", "s3"}
    assert managed.one("EC2::FlowLog")["TrafficType"] == "REJECT"


def test_a_vpc_of_yours_is_used_as_it_is(managed_in_own_vpc: Template) -> None:
    for kind in ("VPC", "Subnet", "NatGateway", "Route", "VPCEndpoint", "FlowLog"):
        assert not managed_in_own_vpc.resources(f"EC2::{kind}")
    group = managed_in_own_vpc.one("EC2::SecurityGroup")
    assert group["VpcId"] == MANAGED_IN_OWN_VPC["vpc"]


def test_lambda_starts_instances_with_awss_own_policy_and_writes_one_log(managed: Template) -> None:
    (role,) = managed.properties("IAM::Role", "ApiManagedOperator")
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    (policy,) = role["ManagedPolicyArns"]
    assert managed.render(policy).endswith(":iam::aws:policy/AWSLambdaManagedEC2ResourceOperator")
    ((log, group),) = managed.resources("Logs::LogGroup", "ApiManagedLog").items()
    assert group["Properties"]["RetentionInDays"] == 30
    assert set(managed.statements("ApiManagedOperator")) == {
        (action, f"<{log}.Arn>", '""') for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    }
    logging = managed.one("Lambda::CapacityProvider")["TelemetryConfig"]["LoggingConfig"]
    assert managed.render(logging["LogGroup"]) == f"<{log}>"


def test_the_functions_own_permissions_are_those_of_classic_lambda(
    stack: Template, managed: Template
) -> None:
    kinds = [
        sorted((action, condition) for action, _, condition in each.statements("ApiRole"))
        for each in (stack, managed)
    ]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instance_memory": "1024"}, "`fanout:instance_memory`: "),
        ({"instance_memory": "65536"}, "`fanout:instance_memory`: "),
        ({"instance_memory": "3072"}, "`fanout:instance_memory` must be a multiple of 2,048 MB"),
        (
            {"instance_memory": "6144", "memory_per_vcpu": "4"},
            "`fanout:instance_memory` must be a multiple of 4,096 MB",
        ),
        ({"memory_per_vcpu": "3"}, "`fanout:memory_per_vcpu`: "),
        ({"memory_per_vcpu": "8"}, "`fanout:instance_memory` must be a multiple of 8,192 MB"),
        ({"instance_requests": "0"}, "`fanout:instance_requests`: "),
        ({"instance_requests": "1601"}, "`fanout:instance_requests`: "),
        ({"instance_requests": "65"}, "`fanout:instance_requests` may be at most 64"),
        (
            {"instance_requests": "129", "instance_memory": "4096"},
            "`fanout:instance_requests` may be at most 128",
        ),
        ({"environments": "0"}, "`fanout:environments`: "),
        ({"environments": "31"}, "`fanout:environments` need 31 vCPUs"),
        ({"max_vcpus": "11"}, "`fanout:max_vcpus`: "),
        ({"python": "3.12"}, "`fanout:python`: "),
        ({"architecture": "arm"}, "`fanout:architecture`: "),
        ({"instance_types": "t4g.large"}, "`fanout:instance_types`: "),
        ({"instance_types": "m7g.medium"}, "`fanout:instance_types`: "),
        ({"instance_types": "m7g.large, m7i.large"}, "`fanout:instance_types`: `m7i.large` has"),
        (
            {"instance_types": "c7gn.xlarge", "architecture": "x86_64"},
            "`fanout:instance_types`: `c7gn.xlarge` has",
        ),
        ({"runtime": "web-adapter"}, "`fanout:runtime` = `web-adapter` serves one request"),
        ({"concurrency": "50"}, "`fanout:concurrency` has no effect with `fanout:compute`"),
        ({"snapstart": "true"}, "`fanout:snapstart` has no effect with `fanout:compute`"),
        ({"memory": "1024"}, "`fanout:memory` has no effect with `fanout:compute`"),
        ({"vpc": "vpc-0123456789abcdef0"}, "set both `fanout:vpc` and `fanout:subnets`"),
        ({"subnets": "subnet-01234567"}, "set both `fanout:vpc` and `fanout:subnets`"),
        ({"vpc": "default", "subnets": "subnet-01234567"}, "`fanout:vpc`: "),
        ({"vpc": "vpc-01234567", "subnets": "a,b"}, "`fanout:subnets`: "),
        ({"nat_gateways": "3"}, "`fanout:nat_gateways`: "),
        (
            {"vpc": "vpc-01234567", "subnets": "subnet-01234567", "nat_gateways": "2"},
            "`fanout:nat_gateways` has no effect in a VPC of yours",
        ),
    ],
)
def test_what_aws_would_reject_is_an_error_that_names_the_option(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(ContextError) as raised:
        read(**MANAGED, **options)
    assert str(raised.value).startswith(message)
    assert str(raised.value).endswith("docs/aws.md lists every key")


@pytest.mark.parametrize("name", sorted(set(MANAGED_IN_OWN_VPC) - {"compute"}))
def test_an_option_of_instances_without_them_is_an_error(name: str) -> None:
    with pytest.raises(ContextError) as raised:
        read(**{name: MANAGED_IN_OWN_VPC[name]})
    assert str(raised.value).startswith(f"`fanout:{name}` has no effect with `fanout:compute`")


@pytest.mark.parametrize(
    "options",
    [
        {"instance_memory": "32768", "memory_per_vcpu": "8", "instance_requests": "256"},
        {"instance_memory": "32768", "instance_requests": "1024", "max_vcpus": "48"},
        {"architecture": "x86_64", "instance_types": "m7i.large,m7a.2xlarge,c7i.xlarge"},
        {"instance_types": "m8gd.large,r7g.16xlarge,c6gn.xlarge"},
        {"python": "3.14", "rollback": "true", "nat_gateways": "2"},
    ],
)
def test_what_aws_accepts_is_accepted(options: dict[str, str]) -> None:
    assert read(**MANAGED, **options).is_managed
