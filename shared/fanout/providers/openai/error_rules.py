"""What OpenAI's own errors mean; its names that others use too are in `error_rules.GENERAL`."""

from __future__ import annotations

from ..error_rules import ErrorRule, rule

# platform.openai.com/docs/guides/error-codes; read on 2026-11-28.
RULES: tuple[ErrorRule, ...] = (
    rule("invalid_key", "no_organization", "account_deactivated"),
    # A 403: the account is closed, so another key may help. openai-php/client/issues/57
    rule("invalid_key", "access_terminated"),
    rule("overloaded", "slow_down", "server_is_overloaded"),
    rule("overloaded", "model_error"),  # "The model produced invalid content.": a retry helps
    rule("overloaded", text="^the engine is currently overloaded"),
    # "429 Resource Unavailable": the flex tier has no room now, and nothing is billed. It is no
    # rate limit of the account. developers.openai.com/api/docs/guides/flex-processing, 2026-11.
    rule("overloaded", "resource_unavailable"),
    rule("overloaded", text="^(?:429 )?resource unavailable", statuses=(429,)),
)
