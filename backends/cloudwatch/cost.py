"""What CloudWatch charges for: metrics requested, and what they come to in a month."""

from __future__ import annotations

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)

__all__ = ["DOLLARS_PER_METRIC", "HOURS_PER_MONTH", "dollars_per_month", "is_free"]

DOLLARS_PER_METRIC = 0.01 / 1000
"""US dollars for one metric requested with GetMetricData (Amazon CloudWatch Pricing, APIs); none of them is free."""

HOURS_PER_MONTH = 730
"""Hours of a month in AWS's own estimates (AWS Pricing Calculator)."""

_FREE = (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)


def dollars_per_month(metrics: float, seconds: float) -> float:
    """What a month costs, in US dollars, in which ``metrics`` are requested every ``seconds``."""
    return metrics * DOLLARS_PER_METRIC * HOURS_PER_MONTH * 3600 / seconds


def is_free(error: Exception) -> bool:
    """Whether a request that failed like this costs nothing: it was never sent, or AWS turned it away and requested no metrics for it.

    Of one that was sent and got no answer nobody knows.
    """
    return isinstance(error.__cause__, _FREE)
