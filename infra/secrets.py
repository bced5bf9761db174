"""The keys: a secret for each `os.environ/NAME` of the config, read by the gateway only."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from .config import GatewayConfig


class ProviderKeys(Construct):
    """
    A secret called `STACK/NAME` for each key that the config names.

    The gateway's own key is made here; a provider's stays without a value until `fanout keys set`
    gives it one, so no key is ever in a template.
    """

    def __init__(
        self, scope: Construct, id_: str, *, config: GatewayConfig, removal: cdk.RemovalPolicy
    ) -> None:
        super().__init__(scope, id_)
        self.prefix = f"{cdk.Stack.of(self).stack_name}/"
        self.master = self._master(config.master_key)
        self.secrets = [self.master, *(self._provider(name) for name in config.other_keys)]
        for secret in self.secrets:
            secret.apply_removal_policy(removal)

    def _master(self, name: str) -> secretsmanager.CfnSecret:
        return secretsmanager.CfnSecret(
            self,
            name,
            name=f"{self.prefix}{name}",
            description="The gateway's own key: callers send it as `Authorization: Bearer`",
            generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
                exclude_punctuation=True, password_length=48
            ),
        )

    def _provider(self, name: str) -> secretsmanager.CfnSecret:
        return secretsmanager.CfnSecret(
            self,
            name,
            name=f"{self.prefix}{name}",
            description=f"Set by: fanout keys set {name} --stack {self.prefix[:-1]}",
        )

    def grant_read(self, grantee: iam.IGrantable) -> None:
        """Let `grantee` read these secrets and no others."""
        grantee.grant_principal.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["secretsmanager:GetSecretValue"],
                resources=[secret.ref for secret in self.secrets],
            )
        )
