"""
The EC2 instances that Lambda manages for the API function, and their network.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances.html (2026-11). Instances send
logs, traces and calls to providers through the VPC; API Gateway's invocations do not pass it.
"""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from ..lambda_settings import ARCHITECTURES
from ..logs import log_group
from ..nag_suppressions import acknowledge
from ..props import GatewayProps, split

OPERATOR_POLICY = "AWSLambdaManagedEC2ResourceOperator"
"""https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-operator-role.html
(2026-11)."""

OPERATOR_REASON = {
    f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{OPERATOR_POLICY}]": (
        "AWS documents this policy for the role with which Lambda starts instances, and adds to it "
        "what Lambda needs. It allows starting only instances that Lambda manages."
    )
}


class ManagedInstances(Construct):
    """A capacity provider: it starts instances as the functions that are added to it need them."""

    def __init__(self, scope: Construct, id_: str, *, props: GatewayProps) -> None:
        super().__init__(scope, id_)
        self._props = props
        vpc, self._subnets = self._network()
        group = ec2.SecurityGroup(
            self,
            "Instances",
            vpc=vpc,
            description="Fanout: no inbound traffic",
            disable_inline_rules=True,
        )
        log = log_group(self, "Log", props, f"/aws/lambda/capacity-provider/{_stack_name(self)}")
        role = iam.Role(
            self,
            "Operator",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(OPERATOR_POLICY)],
        )
        acknowledge(role, OPERATOR_REASON)
        log.grant_write(role)
        types = [ec2.InstanceType(kind) for kind in split(props.instance_types)]
        self._provider = lambda_.CapacityProvider(
            self,
            "Capacity",
            subnets=self._subnets,
            security_groups=[group],
            architectures=[ARCHITECTURES[props.architecture]],
            instance_type_filter=lambda_.InstanceTypeFilter.allow(types) if types else None,
            max_v_cpu_count=props.max_vcpus,
            operator_role=role,
            log_group=log,
        )
        self._provider.node.add_dependency(role)
        cdk.CfnOutput(
            cdk.Stack.of(self),
            "CapacityProvider",
            value=self._provider.capacity_provider_name,
            description="The instances of the API function, as Lambda's command line names them",
        )

    def add(self, function: lambda_.Function) -> None:
        """
        Run the function's versions on the instances.

        Only numbered versions run: `$LATEST.PUBLISHED` would have environments of its own.
        """
        self._provider.add_function(
            function,
            execution_environment_memory_gib_per_v_cpu=self._props.memory_per_vcpu,
            per_execution_environment_max_concurrency=self._props.instance_requests,
            publish_to_latest_published=False,
        )
        for subnet in self._subnets:  # an environment that starts reads the keys
            function.node.add_dependency(subnet.internet_connectivity_established)

    def _network(self) -> tuple[ec2.IVpc, Sequence[ec2.ISubnet]]:
        """Return the VPC of the options and its subnets, or create one."""
        props = self._props
        if props.vpc:
            vpc = ec2.Vpc.from_vpc_attributes(
                self, "Vpc", vpc_id=props.vpc, availability_zones=["any"]
            )
            return vpc, [
                ec2.Subnet.from_subnet_id(self, f"Subnet{index}", subnet)
                for index, subnet in enumerate(split(props.subnets))
            ]
        own = ec2.Vpc(self, "Vpc", max_azs=2, nat_gateways=props.nat_gateways)
        # Traffic to these two is free, and does not pass the NAT gateways, which bill each GB.
        own.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        own.add_gateway_endpoint("DynamoDB", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        own.add_flow_log(
            "Rejected",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                log_group(self, "FlowLog", props)
            ),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        return own, own.private_subnets


def _stack_name(scope: Construct) -> str:
    return cdk.Stack.of(scope).stack_name
