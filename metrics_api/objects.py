"""The API objects, and their exact shape on the wire.

The shape never changes: five metrics in the order below, ``edge``, ``timestamp`` and ``window`` always present, because published clients
(smi-sdk-go, nginx-meshctl) index by position and follow those fields without looking. Measures that were asked for come after the five.
What is unknown is ``null``; ``"0"`` is a measured zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from metrics_api.instant import timestamp
from metrics_api.quantity import of_micro, of_milli
from metrics_api.query import Direction, Side
from metrics_api.resources import API_VERSION, EVERYTHING, ResourceRef
from metrics_api.window import Window

__all__ = ["Edge", "Extra", "LatencyUnit", "SplitBackend", "TrafficMetrics", "list_wire", "resource_version"]


class LatencyUnit(StrEnum):
    """The unit latencies are sent in; ``ms`` serves clients written against servers of 2019 and 2020."""

    SECONDS = "seconds"
    MILLISECONDS = "ms"


@dataclass(frozen=True, slots=True)
class Edge:
    """With whom the traffic was, which way it went, and who observed it. The peer of a total is ``EVERYTHING``."""

    direction: Direction = Direction.FROM
    side: Side = Side.SERVER
    peer: ResourceRef = EVERYTHING

    def wire(self) -> dict[str, Any]:
        """The ``edge`` field as sent; ``resource`` is ``{}`` for all traffic."""
        return {"direction": self.direction.value, "side": self.side.value, "resource": self.peer.wire()}


class SplitBackend(NamedTuple):
    """The backend of a split that a row is about: the Service clients call (``apex``), the one that answers, and its ``weight``."""

    apex: str
    name: str
    weight: int

    def wire(self) -> dict[str, Any]:
        """The ``backend`` field as sent (Traffic Metrics v1alpha1, "Traffic Splits")."""
        return self._asdict()


class Extra(NamedTuple):
    """A measure of latency that was asked for beside the five: the name it is sent under, and whole microseconds; None is unknown."""

    name: str
    micro: int | None = None


@dataclass(frozen=True, slots=True)
class TrafficMetrics:
    """The traffic of one resource, in total or with one peer.

    Latencies are whole microseconds, counts whole thousandths of a request; None is unknown. ``extras`` come after the five.
    ``instant`` is Unix seconds; so is ``version``, the instant of the answer it is a part of, None where that is the same.
    ``source`` names the source that observed, and ``cluster`` the cluster it is about, empty for the one nobody had to name; both are sent
    as annotations.
    """

    name: str
    namespace: str
    resource: ResourceRef
    edge: Edge
    instant: int
    window: Window
    p99: int | None = None
    p90: int | None = None
    p50: int | None = None
    success: int | None = None
    failure: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    extras: tuple[Extra, ...] = ()
    backend: SplitBackend | None = None
    version: int | None = None
    cluster: str = ""

    @property
    def told_at(self) -> int:
        """The instant of the answer it is a part of, in Unix seconds."""
        return self.instant if self.version is None else self.version

    def metadata(self) -> dict[str, Any]:
        """The ``metadata`` field as sent."""
        metadata: dict[str, Any] = {"name": self.name}
        if self.namespace:
            metadata["namespace"] = self.namespace
        metadata["resourceVersion"] = resource_version(self.told_at)
        metadata["creationTimestamp"] = None
        if self.labels:
            metadata["labels"] = dict(self.labels)
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        return metadata

    def wire(self, unit: LatencyUnit = LatencyUnit.SECONDS) -> dict[str, Any]:
        """The object as sent, ready for JSON."""
        latency = of_milli if unit is LatencyUnit.MILLISECONDS else of_micro

        def entry(name: str, micro: int | None) -> dict[str, Any]:
            return {"name": name, "unit": unit.value, "value": None if micro is None else latency(micro)}

        metrics = [
            entry("p99_response_latency", self.p99),
            entry("p90_response_latency", self.p90),
            entry("p50_response_latency", self.p50),
        ]
        metrics += [
            {"name": name, "value": None if milli is None else of_milli(milli)}
            for name, milli in (("success_count", self.success), ("failure_count", self.failure))
        ]
        metrics += [entry(*extra) for extra in self.extras]
        return {
            "kind": "TrafficMetrics",
            "apiVersion": API_VERSION,
            "metadata": self.metadata(),
            "resource": self.resource.wire(),
            "edge": self.edge.wire(),
            **({"backend": self.backend.wire()} if self.backend else {}),
            "timestamp": timestamp(self.instant),
            "window": str(self.window),
            "metrics": metrics,
        }


def list_wire(
    items: Sequence[TrafficMetrics],
    metadata: Mapping[str, Any],
    resource: ResourceRef,
    unit: LatencyUnit = LatencyUnit.SECONDS,
) -> dict[str, Any]:
    """A TrafficMetricsList as sent. ``resource`` is what was asked for, as the old SMI types have it on the list."""
    return {
        "kind": "TrafficMetricsList",
        "apiVersion": API_VERSION,
        "metadata": dict(metadata),
        "resource": resource.wire(),
        "items": [item.wire(unit) for item in items],
    }


def resource_version(instant: int) -> str:
    """The version of everything observed at an instant; comparable across replicas, because instants are."""
    return str(instant)
