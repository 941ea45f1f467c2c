"""What was asked of AWS, for tests to look at, and what it would have cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.cloudwatch.queries import Query

__all__ = ["Call", "billed_metrics"]

_TOGETHER = 5


@dataclass(slots=True)
class Call:
    """One call that arrived, whether it was answered or not.

    ``parameters`` are as the protocol has them (instants are Unix seconds). ``queries`` counts those of GetMetricData as they were sent,
    ``billed`` the metrics it requested as AWS bills them. ``arn`` is who called, "" while that is not established. ``status`` is HTTP's,
    0 while there is no answer; ``error`` is the code of an error, or "". ``moment`` is when it arrived, in Unix seconds of the real clock.
    ``given_up`` says that the client left before it was answered.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    queries: int = 0
    billed: int = 0
    arn: str = ""
    status: int = 0
    error: str = ""
    moment: float = field(default_factory=time.time)
    given_up: bool = False


def billed_metrics(queries: Sequence[Query]) -> int:
    """How many metrics are billed: up to five statistics of one metric in one request are one (Amazon CloudWatch pricing, "Metrics").

    A metric counts also when its data is not returned, and when a SEARCH found it.
    """
    statistics = Counter(query.metric for query in queries)
    return sum(-(-count // _TOGETHER) for count in statistics.values())
