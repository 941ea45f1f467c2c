"""What CloudWatch is asked for: metrics, each with the exact set of dimensions it was published with, and statistics of them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["SAMPLE_COUNT", "SUM", "Metric", "Values", "Wanted", "percentile"]

SUM = "Sum"
SAMPLE_COUNT = "SampleCount"


class Metric:
    """One metric: what is billed, whatever is asked of it at once, up to five statistics. Immutable.

    ``dimensions`` are names and values, sorted. CloudWatch does not add up over dimensions that are not named: only the very set that was
    published finds anything.
    """

    # Metrics are what everything is looked up by, ten times in an answer: the hash of a dozen strings is computed once.
    __slots__ = ("_hash", "dimensions", "name", "namespace")

    def __init__(self, namespace: str, name: str, dimensions: tuple[tuple[str, str], ...]) -> None:
        self.namespace = namespace
        self.name = name
        self.dimensions = dimensions
        self._hash = hash((namespace, name, dimensions))

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
        """A metric with these dimensions, in any order."""
        return cls(namespace, name, tuple(sorted(dimensions.items())))

    def renamed(self, name: str) -> Metric:
        """The metric of this name with the same dimensions."""
        return Metric(self.namespace, name, self.dimensions)

    @property
    def subject(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What it is about: its namespace and dimensions, without the one by which the CloudWatch agent says what kind of number it is."""
        return self.namespace, tuple([pair for pair in self.dimensions if pair[0] != "metric_type"])

    @property
    def names(self) -> frozenset[str]:
        """The names of its dimensions."""
        return frozenset([name for name, _ in self.dimensions])

    def value(self, dimension: str) -> str:
        """The value of a dimension, empty when it has none of that name."""
        for name, value in self.dimensions:
            if name == dimension:
                return value
        return ""

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Metric):
            return NotImplemented
        return self._hash == other._hash and self._parts == other._parts

    def __lt__(self, other: Metric) -> bool:
        return self._parts < other._parts

    def __repr__(self) -> str:
        return f"Metric{self._parts}"

    @property
    def _parts(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        return self.namespace, self.name, self.dimensions


Wanted = Mapping[Metric, tuple[str, ...]]
"""Statistics to be read, by the metric."""

Values = Mapping[tuple[Metric, str], float]
"""What was read, in the unit of the metric; a statistic without a data point is not in it."""


def percentile(quantile: float) -> str:
    """The statistic of a percentile: ``p99.9`` for 0.999."""
    return f"p{quantile * 100:.10g}"
