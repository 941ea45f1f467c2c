"""Application Signals' ListServices: services with the attributes of the platform they run on.

Rules: botocore data ``application-signals/2024-04-15``, ListServices and ServiceSummary (both ends of the range are rounded to the nearest
hour, 50 a page, at most 100).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.cloudwatch.errors import Refusal

__all__ = ["Known", "Signals", "on_kubernetes"]

_HOUR = 3600
_PAGE = 50
_MOST = 100


def on_kubernetes(cluster: str, namespace: str, workload: str, *, eks: bool = True) -> dict[str, str]:
    """The attributes of a platform, for a workload of a cluster of EKS or of one's own."""
    platform = {"PlatformType": "AWS::EKS", "EKS.Cluster": cluster} if eks else {"PlatformType": "K8s", "K8s.Cluster": cluster}
    return platform | {"K8s.Namespace": namespace, "K8s.Workload": workload}


@dataclass(frozen=True, slots=True)
class Known:
    """One service, and from when till when (Unix seconds) it reported; None is always."""

    document: Mapping[str, Any]
    seen: tuple[float, float] | None = None


@dataclass(slots=True)
class Signals:
    """The operation, and its knobs: the services there are, and the most that one page has."""

    services: list[Known] = field(default_factory=list)
    page_services: int = _MOST
    _pages: dict[str, tuple[Any, list[Known]]] = field(default_factory=dict)

    def add(
        self,
        name: str,
        environment: str,
        *attributes: Mapping[str, str],
        kind: str = "Service",
        seen: tuple[float, float] | None = None,
    ) -> None:
        """Adds a service, with any number of maps of attributes."""
        document = {
            "KeyAttributes": {"Type": kind, "Name": name, "Environment": environment},
            "AttributeMaps": [dict(one) for one in attributes],
            "MetricReferences": [
                {
                    "Namespace": "ApplicationSignals",
                    "MetricType": metric.upper(),
                    "MetricName": metric,
                    "Dimensions": [{"Name": "Environment", "Value": environment}, {"Name": "Service", "Value": name}],
                }
                for metric in ("Latency", "Fault", "Error")
            ],
        }
        self.services.append(Known(document, seen))

    def answer(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """The answer, of one page; parameters are texts, as a query string has them."""
        start, end = _hour(parameters.get("StartTime", "")), _hour(parameters.get("EndTime", ""))
        if start > end:
            raise _invalid("StartTime must be before EndTime")
        size = parameters.get("MaxResults", str(_PAGE))
        if not size.isdigit() or not 1 <= int(size) <= _MOST:
            raise _invalid(f"MaxResults must be from 1 to {_MOST}")
        same = {name: value for name, value in parameters.items() if name != "NextToken"}
        token = parameters.get("NextToken")
        if token is None:
            left = [one for one in self.services if start < end and (one.seen is None or _overlap(one.seen, (start, end)))]
        elif token in self._pages and self._pages[token][0] == same:
            left = self._pages[token][1]
        else:
            raise _invalid("The NextToken is not valid")
        most = min(int(size), self.page_services)
        page: dict[str, Any] = {"StartTime": start, "EndTime": end, "ServiceSummaries": [one.document for one in left[:most]]}
        if left[most:]:
            page["NextToken"] = f"services-{len(self._pages) + 1}"
            self._pages[page["NextToken"]] = (same, left[most:])
        return page


def _hour(text: str) -> int:
    try:
        seconds = float(text) if text.replace(".", "", 1).isdigit() else dt.datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise _invalid("StartTime and EndTime must be instants") from None
    return int(seconds + _HOUR / 2) // _HOUR * _HOUR


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)
