"""One Secrets Manager secret for each key (`os.environ/NAME`) in the config."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from .config import GatewayConfig


class KeySecrets(Construct):
    """
    A secret called `STACK/NAME` for each key and each webhook secret that the config names.

    CloudFormation generates the gateway's own key. The other secrets have no value until
    `fanout keys set` gives them one, so the template never contains a key.
    """

    def __init__(
        self, scope: Construct, id_: str, *, config: GatewayConfig, removal: cdk.RemovalPolicy
    ) -> None:
        super().__init__(scope, id_)
        self.prefix = f"{cdk.Stack.of(self).stack_name}/"
        self.master = self._master(config.master_key)
        names = (*config.other_keys, *config.webhook_secrets)
        others = {name: self._other(name) for name in names}
        self.secrets = [self.master, *(others[name] for name in config.other_keys)]
        self.provider_secrets = [others[name] for name in config.provider_keys if name in others]
        self.webhook_secrets = [others[name] for name in config.webhook_secrets]
        for secret in (self.master, *others.values()):
            secret.apply_removal_policy(removal)

    def _master(self, name: str) -> secretsmanager.CfnSecret:
        return secretsmanager.CfnSecret(
            self,
            name,
            name=f"{self.prefix}{name}",
            description="The gateway's own key; clients send it as `Authorization: Bearer`",
            generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
                exclude_punctuation=True, password_length=48
            ),
        )

    def _other(self, name: str) -> secretsmanager.CfnSecret:
        return secretsmanager.CfnSecret(
            self,
            name,
            name=f"{self.prefix}{name}",
            description=f"Set its value with: fanout keys set {name} --stack {self.prefix[:-1]}",
        )

    def grant_read(self, grantee: iam.IGrantable) -> None:
        """Allow `grantee` to read all keys, but not the secrets that sign webhooks."""
        self._grant(grantee, self.secrets)

    def grant_read_provider_keys(self, grantee: iam.IGrantable) -> None:
        """Allow `grantee` to read the keys of providers, but not those of clients."""
        self._grant(grantee, self.provider_secrets)

    def grant_read_webhook_secrets(self, grantee: iam.IGrantable) -> None:
        """Allow `grantee` to read the secrets that sign webhooks, and no keys."""
        self._grant(grantee, self.webhook_secrets)

    def _grant(self, grantee: iam.IGrantable, secrets: Sequence[secretsmanager.CfnSecret]) -> None:
        if secrets:
            grantee.grant_principal.add_to_principal_policy(
                iam.PolicyStatement(
                    actions=["secretsmanager:GetSecretValue"],
                    resources=[secret.ref for secret in secrets],
                )
            )
