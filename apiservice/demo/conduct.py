"""Conduct: how the pods of one workload behave, request by request. It is theirs together, so that rates hold for the workload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apiservice.demo.rhythm import failures, times
from apiservice.demo.shop import Operation

__all__ = ["Act", "Conduct"]


@dataclass(frozen=True, slots=True)
class Act:
    """An operation, the time each request for it takes, and whether it fails."""

    operation: Operation
    times: Iterator[float]
    failures: Iterator[bool]


class Conduct:
    """What is done for each path."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._acts = {each.path: Act(each, times(each.latency), failures(each.failing)) for each in operations}

    def act(self, path: str) -> Act | None:
        """What is done for this path; None for one that the workload does not know."""
        return self._acts.get(path)
