"""ListMetrics: which metrics there are, as far as CloudWatch knows by now.

Rules: botocore data ``cloudwatch/2010-08-01``, ListMetrics (a filter that a metric meets with more dimensions beside it finds that metric,
500 a page, new metrics appear later, silent ones vanish after two weeks, RecentlyActive is the last three hours).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.cloudwatch.errors import invalid_parameter
from tests.doubles.cloudwatch.search import TWO_WEEKS
from tests.doubles.cloudwatch.store import Datum, MetricKey, Store

__all__ = ["Listing"]

MOST_FILTERS = 10
_THREE_HOURS = 3 * 3600


@dataclass(slots=True)
class Listing:
    """The operation, and its knobs; see the package."""

    store: Store
    page_metrics: int = 500
    delay: float = 0
    slack: float = 0
    _pages: dict[str, tuple[Any, list[MetricKey]]] = field(default_factory=dict)

    def answer(self, parameters: Mapping[str, Any], now: float) -> dict[str, Any]:
        """The answer, of one page."""
        same = {name: value for name, value in parameters.items() if name != "NextToken"}
        token = parameters.get("NextToken")
        if token is None:
            left = self._found(parameters, now)
        elif token in self._pages and self._pages[token][0] == same:
            left = self._pages[token][1]
        else:
            raise invalid_parameter("Invalid nextToken")
        page: dict[str, Any] = {"Metrics": [key.as_json() for key in left[: self.page_metrics]]}
        if left[self.page_metrics :]:
            page["NextToken"] = f"list-{len(self._pages) + 1}"
            self._pages[page["NextToken"]] = (same, left[self.page_metrics :])
        return page

    def _found(self, parameters: Mapping[str, Any], now: float) -> list[MetricKey]:
        filters = parameters.get("Dimensions", ())
        recent = parameters.get("RecentlyActive")
        if len(filters) > MOST_FILTERS:
            raise invalid_parameter(f"The collection Dimensions must not have a size greater than {MOST_FILTERS}.")
        if recent not in (None, "PT3H"):
            raise invalid_parameter(f"The value {recent} for parameter RecentlyActive is not valid. Valid values are: PT3H.")
        silence = _THREE_HOURS + self.slack if recent else TWO_WEEKS
        return [
            key for key, data in self.store.metrics.items() if _meets(key, parameters, filters) and self._known(data, now, silence)
        ]

    def _known(self, data: Sequence[Datum], now: float, silence: float) -> bool:
        appeared = min(datum.published for datum in data) + self.delay <= now
        return appeared and any(datum.visible <= now and now - datum.stamp <= silence for datum in data)


def _meets(key: MetricKey, parameters: Mapping[str, Any], filters: Sequence[Mapping[str, str]]) -> bool:
    if parameters.get("Namespace", key.namespace) != key.namespace or parameters.get("MetricName", key.name) != key.name:
        return False
    own = dict(key.dimensions)
    return all(one["Name"] in own and one.get("Value", own[one["Name"]]) == own[one["Name"]] for one in filters)
