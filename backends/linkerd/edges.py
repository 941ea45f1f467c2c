"""Who called whom, asked of Linkerd viz: one object and one kind of peers at a time, as the proxies of callers saw it.

Viz tells of the peers of a named object in one call (linkerd/linkerd2, viz/metrics-api/stat_summary.go, buildRequestLabels). Of objects
without a name it tells nothing, because a filter without a name filters nothing. So a list of edges asks object by object.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from backends.linkerd import viz_pb2 as viz
from backends.linkerd.client import VizClient
from backends.linkerd.identities import IdentityReader, identified
from backends.linkerd.inventory import Inventory
from backends.linkerd.kinds import directions, is_member, peer_kinds, resource_kinds
from backends.linkerd.observation import Observation
from backends.linkerd.requests import callees, callers
from backends.linkerd.rows import Row, about, other_windows, passed
from backends.linkerd.settings import LinkerdSettings
from backends.linkerd.totals import observe_totals
from metrics_api import ANY_WORKLOAD, BackendRefused, Direction, ResourceRef, Sample, Side, TrafficQuery, plural_of, together

__all__ = ["EdgeReader"]


@dataclass(frozen=True, slots=True)
class _Call:
    """The peers of one kind that one object has in one direction."""

    resource: ResourceRef
    direction: Direction
    kind: str

    def request(self, query: TrafficQuery) -> viz.StatSummaryRequest:
        """The question to viz."""
        ask = callees if self.direction is Direction.TO else callers
        return ask(self.resource, self.kind, query.window, query.peer)


class EdgeReader:
    """Reads edges from one metrics-api."""

    def __init__(self, client: VizClient, settings: LinkerdSettings) -> None:
        self._client = client
        self._settings = settings
        self._inventory = Inventory(client)

    async def observe(self, query: TrafficQuery) -> Observation:
        """The edges that a question asks for. Raises :class:`metrics_api.errors.BackendError`."""
        kinds = await self._inventory.of_kinds(resource_kinds(query), query.window)
        peers = {each: await self._inventory.of_kinds(peer_kinds(query, each), query.window) for each in directions(query)}
        mirrored = _closed(query, kinds, peers)
        asked = (Direction.TO,) if mirrored else tuple(peers)
        resources = await self._resources(query, kinds, asked)
        calls = [_Call(ref, direction, kind) for direction in asked for ref in resources[direction] for kind in peers[direction]]
        tables, identities = await self._read(calls, query)
        samples = [sample for call, rows in zip(calls, tables, strict=True) for sample in self._samples(call, rows, query)]
        if mirrored:
            samples += [replace(sample, resource=sample.peer, peer=sample.resource, direction=Direction.FROM) for sample in samples]
        once: dict[Hashable, Sample] = {sample.about: sample for sample in reversed(samples)}
        return Observation(
            samples=tuple(identified(list(once.values()), identities.known)),
            warnings=(*_remarks(self._settings.name, query, tuple(peers)), *identities.warnings),
            windows=frozenset[str]().union(*(other_windows(rows, query.window) for rows in tables)),
        )

    async def _resources(
        self, query: TrafficQuery, kinds: Sequence[str], asked: Sequence[Direction]
    ) -> Mapping[Direction, Sequence[ResourceRef]]:
        """The objects whose peers are asked about, in each direction."""
        if query.name and not is_member(query):
            return dict.fromkeys(asked, await self._named(query, kinds))
        if tuple(kinds) == ("Service",):
            return dict.fromkeys(asked, self._limited(await self._services(query)))
        found = await together(*(self._inventory.active(kinds, query, direction) for direction in asked))
        return {direction: self._limited(refs) for direction, refs in zip(asked, found, strict=True)}

    async def _named(self, query: TrafficQuery, kinds: Sequence[str]) -> Sequence[ResourceRef]:
        if len(kinds) != 1 or not (query.namespace or kinds[0] == "Namespace"):
            return self._limited(await self._inventory.named(kinds, query))
        return [ResourceRef(kinds[0], "" if kinds[0] == "Namespace" else query.namespace, query.name)]

    async def _services(self, query: TrafficQuery) -> Sequence[ResourceRef]:
        """The Services that were called: viz has rows of no others, and these come with their numbers."""
        called = await observe_totals(self._client, replace(query, edges=False, direction=None, side=None), self._settings.name)
        return [sample.resource for sample in called.samples]

    def _limited(self, found: Sequence[ResourceRef]) -> Sequence[ResourceRef]:
        limit = self._settings.edge_list_limit
        if len(found) > limit:
            raise BackendRefused(
                self._settings.name,
                f"Linkerd viz tells of edges one object at a time, and {len(found)} {plural_of(found[0].kind)} are more than {limit}: "
                'ask for one namespace or one object, or raise "edgeListLimit"',
            )
        return found

    async def _read(self, calls: Sequence[_Call], query: TrafficQuery) -> tuple[list[Sequence[Row]], IdentityReader]:
        """The rows of each call, and identities as far as they are there in time."""
        # Of edges between objects of two kinds viz tells no identities.
        same = {call.kind for call in calls if call.kind == call.resource.kind} if self._settings.identities else set[str]()
        identities = IdentityReader(self._client, self._settings.name, sorted(same), query.namespace)
        tables: list[Sequence[Row]] = []

        async def read_rows() -> None:
            tables.extend(await together(*(self._client.stat_summary(call.request(query)) for call in calls)))
            identities.hurry()

        await together(identities.read(), read_rows())
        return tables, identities

    def _samples(self, call: _Call, rows: Sequence[Row], query: TrafficQuery) -> list[Sample]:
        found = [(about(row, call.kind, query.peer.namespace, query.peer.name), passed(row, call.kind)) for row in rows]
        return [
            Sample(call.resource, peer, call.direction, Side.CLIENT, *numbers, source=self._settings.name, dialect="viz")
            for peer, numbers in found
            if peer is not None and numbers is not None
        ]


def _closed(query: TrafficQuery, kinds: Sequence[str], peers: Mapping[Direction, Sequence[str]]) -> bool:
    """Whether whoever calls one of the objects asked about is one of them: then what all of them call tells who calls each, too."""
    everything = not (query.namespace or query.name or any(query.peer)) and not is_member(query)
    return everything and len(peers) == len(Direction) and all(set(found) == set(kinds) for found in peers.values())


def _remarks(source: str, query: TrafficQuery, told: Sequence[Direction]) -> list[str]:
    """What a reader must know of what is not in a list of edges."""
    # The series of a pod have the name of what owns it by the kind of that, and viz asks for none but the kinds it knows.
    more = ", nor pods that belong to no workload or to that of a custom controller" if query.peer_level == ANY_WORKLOAD else ""
    remarks = [f'source "{source}" lists no peers outside the mesh{more}']
    if query.direction is None and Direction.TO not in told:
        remarks.append(
            f'source "{source}" tells who calls a Service; what is called from behind it, the edges of its workloads tell'
        )
    if query.direction is None and Direction.FROM not in told:
        remarks.append(f'source "{source}" does not tell callers as Services')
    return remarks
