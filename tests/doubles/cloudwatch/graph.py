"""X-Ray's GetServiceGraph, with a graph that the test draws.

Rules: botocore data ``xray/2016-04-12`` (Service, Edge; the operation is paged); X-Ray Developer Guide, "Groups", and what callers saw:
a range of more than six hours is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.cloudwatch.errors import Refusal

__all__ = ["Graph", "edge", "node", "outcomes"]

_LONGEST = 6 * 3600
_GROUP_NAME = 32

Document = Mapping[str, Any]


def outcomes(ok: int = 0, errors: int = 0, throttled: int = 0, faults: int = 0, seconds: float = 0.0) -> dict[str, Any]:
    """``SummaryStatistics``: requests by how they ended (``errors`` are 4xx but 429), and their response times added up, in seconds."""
    return {
        "OkCount": ok,
        "ErrorStatistics": {"ThrottleCount": throttled, "OtherCount": errors, "TotalCount": errors + throttled},
        "FaultStatistics": {"OtherCount": faults, "TotalCount": faults},
        "TotalCount": ok + errors + throttled + faults,
        "TotalResponseTime": seconds,
    }


def edge(to: int, summary: Document | None = None, histogram: Mapping[float, int] | None = None, **further: Any) -> dict[str, Any]:
    """An edge to the node ``to``: what its caller saw; ``histogram`` are counts by seconds, ``further`` more members such as EdgeType."""
    document: dict[str, Any] = {"ReferenceId": to, "SummaryStatistics": summary or outcomes(), "Aliases": []}
    if histogram is not None:
        document["ResponseTimeHistogram"] = _histogram(histogram)
    return document | further


def node(
    reference: int,
    name: str,
    summary: Document | None = None,
    histogram: Mapping[float, int] | None = None,
    edges: Sequence[Document] = (),
    **further: Any,
) -> dict[str, Any]:
    """A service: what it recorded itself, and its edges; ``further`` are more members, such as Type and Root."""
    document: dict[str, Any] = {"ReferenceId": reference, "Name": name, "Names": [name], "Edges": list(edges)}
    if summary is not None:
        document["SummaryStatistics"] = summary
    if histogram is not None:
        document["DurationHistogram"] = document["ResponseTimeHistogram"] = _histogram(histogram)
    return document | further


def _histogram(counts: Mapping[float, int]) -> list[dict[str, float]]:
    return [{"Value": value, "Count": count} for value, count in counts.items()]


@dataclass(slots=True)
class Graph:
    """The operation, and its knobs: ``services`` are nodes, or a function of the range (Unix seconds) that gives them.

    ``groups`` are the services of groups by their names. ``old_groups`` says that the filter of a group changed within the range.
    """

    services: Sequence[Document] | Callable[[float, float], Sequence[Document]] = ()
    groups: dict[str, Sequence[Document]] = field(default_factory=dict)
    page_services: int = 100
    old_groups: bool = False
    _pages: dict[str, tuple[Any, list[Document]]] = field(default_factory=dict)

    def answer(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, of one page."""
        start, end = parameters.get("StartTime"), parameters.get("EndTime")
        if start is None or end is None:
            raise _invalid("StartTime and EndTime are required")
        if start >= end:
            raise _invalid("Start time must be before end time")
        if end - start > _LONGEST:
            raise _invalid("Time range cannot be longer than 6 hours")
        same = {name: value for name, value in parameters.items() if name != "NextToken"}
        token = parameters.get("NextToken")
        if token is None:
            left = self._found(start, end, parameters.get("GroupName"))
        elif token in self._pages and self._pages[token][0] == same:
            left = self._pages[token][1]
        else:
            raise _invalid("Invalid next token")
        page = {
            "StartTime": start,
            "EndTime": end,
            "Services": left[: self.page_services],
            "ContainsOldGroupVersions": self.old_groups,
        }
        if left[self.page_services :]:
            page["NextToken"] = f"graph-{len(self._pages) + 1}"
            self._pages[page["NextToken"]] = (same, left[self.page_services :])
        return page

    def _found(self, start: float, end: float, group: str | None) -> list[Document]:
        if group in (None, "Default"):
            return list(self.services(start, end) if callable(self.services) else self.services)
        if group not in self.groups or len(group) > _GROUP_NAME:
            raise _invalid(f"Group {group} does not exist")
        return list(self.groups[group])


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidRequestException", message)
