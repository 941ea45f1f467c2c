"""PutMetricData: what a real client publishes, checked as CloudWatch checks it.

Rules: botocore data ``cloudwatch/2010-08-01``, PutMetricData and MetricDatum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.doubles.cloudwatch.errors import Refusal, invalid_parameter
from tests.doubles.cloudwatch.store import StatisticSet

__all__ = ["Published", "published"]

_MOST_METRICS = 1000
_MOST_VALUES = 150
_MOST_DIMENSIONS = 30
_LARGEST = 2.0**360
_TWO_WEEKS = 14 * 86400
_TWO_HOURS = 2 * 3600


@dataclass(frozen=True, slots=True)
class Published:
    """One datum: either counts by value or a statistic set, at an instant in Unix seconds."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    instant: float
    values: Mapping[float, float] | None
    statistics: StatisticSet | None
    unit: str


def published(parameters: Mapping[str, Any], now: float) -> list[Published]:
    """What a request publishes; Refusal for all of it when any of it breaks a rule."""
    groups = [parameters.get("MetricData", ()), *(group.get("MetricData", ()) for group in parameters.get("EntityMetricData", ()))]
    data = [datum for group in groups for datum in group]
    if not data:
        raise Refusal("MissingRequiredParameterException", "The parameter MetricData is required.", query_code="MissingParameter")
    if len(data) > _MOST_METRICS:
        raise invalid_parameter(f"The collection MetricData must not have a size greater than {_MOST_METRICS}.")
    return [_read(parameters["Namespace"], f"MetricData.member.{number}", datum, now) for number, datum in enumerate(data, 1)]


def _read(namespace: str, where: str, datum: Mapping[str, Any], now: float) -> Published:
    given = [name for name in ("Value", "Values", "StatisticValues") if name in datum]
    if len(given) != 1:
        message = f"Exactly one of Value, Values and StatisticValues must be given in {where}."
        raise Refusal("InvalidParameterCombinationException", message, query_code="InvalidParameterCombination")
    if datum.get("StorageResolution", 60) != 60:
        raise Refusal("NotImplemented", "the double of CloudWatch has metrics of standard resolution alone", 501)
    instant = float(datum.get("Timestamp", now))
    if not now - _TWO_WEEKS <= instant <= now + _TWO_HOURS:
        raise invalid_parameter(
            f"The parameter {where}.Timestamp must specify a time no older than two weeks and at most two hours ahead."
        )
    dimensions = datum.get("Dimensions", ())
    if len(dimensions) > _MOST_DIMENSIONS:
        raise invalid_parameter(f"The collection {where}.Dimensions must not have a size greater than {_MOST_DIMENSIONS}.")
    values, statistics = _numbers(where, datum)
    pairs = {dimension["Name"]: dimension["Value"] for dimension in dimensions}
    return Published(namespace, datum["MetricName"], pairs, instant, values, statistics, datum.get("Unit", "None"))


def _numbers(where: str, datum: Mapping[str, Any]) -> tuple[dict[float, float] | None, StatisticSet | None]:
    if "StatisticValues" in datum:
        own = datum["StatisticValues"]
        numbers = StatisticSet(*_checked(where, (own[name] for name in ("SampleCount", "Sum", "Minimum", "Maximum"))))
        return None, numbers
    values = list(_checked(where, datum.get("Values", [datum.get("Value")])))
    counts = list(_checked(where, datum.get("Counts", [1] * len(values))))
    if len(values) != len(counts) or not 1 <= len(values) <= _MOST_VALUES:
        raise invalid_parameter(f"{where} must have as many Counts as Values, and at most {_MOST_VALUES}.")
    totals: dict[float, float] = {}
    for value, count in zip(values, counts, strict=True):
        totals[value] = totals.get(value, 0) + count
    return totals, None


def _checked(where: str, numbers: Iterator[Any] | list[Any]) -> Iterator[float]:
    for number in numbers:
        if not isinstance(number, int | float) or abs(number) > _LARGEST:
            raise invalid_parameter(f"{where} has a number that is not in the range of -2^360 to 2^360: {number}")
        yield number
