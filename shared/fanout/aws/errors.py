"""boto3's errors as Fanout's."""

from __future__ import annotations

from ..errors import ConfigError, FanoutError
from ..secret import without_logins


def from_boto3(error: Exception) -> FanoutError:
    """AWS's own message, without a proxy's password; without a region, what to set."""
    if type(error).__name__ == "NoRegionError":
        return ConfigError("AWS: no region is set: add --region NAME, or set AWS_DEFAULT_REGION")
    return FanoutError(f"AWS: {without_logins(str(error))}")
