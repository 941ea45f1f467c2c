"""VPC Lattice: what the services of a service network received, as Lattice saw it; it says nothing of who called.

Metrics are published for each service, and once more for each of its Availability Zones (Amazon VPC Lattice User Guide, "CloudWatch
metrics for Amazon VPC Lattice", Service metrics). A request that timed out waiting for a response, which ``RequestTimeoutCount`` counts,
was answered with a 504 by Lattice, so it is among ``HTTPCode_5XX_Count`` already. ``RequestTime`` is in milliseconds, until the last byte.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from backends.cloudwatch.discovery import LISTED_FOR, Discovery
from backends.cloudwatch.measured import Found
from backends.cloudwatch.metric import Metric
from backends.cloudwatch.moment import Moment
from backends.cloudwatch.naming import asked_for, refused_objects, unnamed
from backends.cloudwatch.published import Dimensions, Published
from backends.cloudwatch.responses import Responses, total_of
from backends.cloudwatch.rows import Row
from backends.cloudwatch.selection import concerns, raised
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import Naming, ResourceRef, Side, TrafficQuery, first_few

__all__ = ["NAMESPACE", "VpcLattice"]

NAMESPACE = "AWS/VpcLattice"

_SERVICE = "Service"


class VpcLattice:
    """The rows of the services that configuration names by their id or ARN. ``clock`` gives Unix seconds."""

    def __init__(self, settings: CloudWatchSettings, discovery: Discovery, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._objects = {_id(service): ref for (service, _), ref in settings.services.items()}
        self._published = Published(discovery, NAMESPACE, ["TotalRequestCount"], {_SERVICE: None}, _by_id, clock)

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why its metrics can never answer such a query; None when they can."""
        if query.edges:
            return "its metrics do not say who called: VPC Lattice tells callers in its access logs alone"
        if query.side is Side.CLIENT:
            return "VPC Lattice counts what services received: its traffic is known from the side of the server"
        return refused_objects(query, self._settings)

    async def find(self, query: TrafficQuery, moment: Moment) -> Found:
        """The rows that a question asks for. Raises :class:`metrics_api.errors.BackendError`."""
        wanted = {service: ref for service, ref in self._objects.items() if self._asked(ref, query)}
        if not wanted:
            return Found(())
        # What was not listed two weeks ago may have been there before.
        forgotten = moment.start < self._clock() - LISTED_FOR
        listed = await self._published.around(moment)
        if not forgotten and not wanted.keys() <= listed.keys():
            listed = await self._published.around(moment, again=True)
        rows = [
            raised(self._row(value, ref), query)
            for service, ref in wanted.items()
            for value in listed.get(service, (service,) if forgotten else ())
        ]
        return Found(tuple(rows), tuple(self._told(wanted, listed, query, missing=not forgotten)))

    def _told(
        self, wanted: Mapping[str, ResourceRef], listed: Mapping[str, Sequence[str]], query: TrafficQuery, *, missing: bool
    ) -> list[str]:
        told: list[str] = []
        if missing and (silent := sorted(wanted.keys() - listed.keys())):
            why = (
                f'source "{self._settings.name}" leaves out services of which CloudWatch lists no requests: '
                "nobody called them lately, or their id in services is wrong"
            )
            told.append(Naming(f"{why}: {first_few(silent)}", [wanted[service] for service in silent], why))
        if not query.name and (others := listed.keys() - self._objects.keys()):
            told.append(unnamed(self._settings.name, "services", others))
        return told

    def _asked(self, ref: ResourceRef, query: TrafficQuery) -> bool:
        return asked_for(ref, query) and concerns(self._row("", ref), query)

    def _row(self, service: str, ref: ResourceRef) -> Row:
        counts = Metric(NAMESPACE, "HTTPCode_{}_Count", ((_SERVICE, service),))
        responses = Responses(counts, counts.renamed("RequestTime"), client_errors_fail=self._settings.client_errors_fail)
        return total_of(ref, Side.SERVER, responses)


def _id(service: str) -> str:
    """The id of a service, out of its id or its ARN (``arn:aws:vpc-lattice:REGION:ACCOUNT:service/svc-...``)."""
    return service.rpartition("/")[2]


def _by_id(sets: Sequence[Dimensions]) -> Mapping[str, Sequence[str]]:
    """What the dimension says, by the id of the service; sets that name the Availability Zone count the same requests once more."""
    found: dict[str, list[str]] = defaultdict(list)
    for dimensions in sets:
        if len(dimensions) == 1:
            found[_id(dimensions[0][1])].append(dimensions[0][1])
    return found
