"""What objects received, asked of Linkerd viz kind by kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from backends.linkerd.client import VizClient
from backends.linkerd.inventory import fits
from backends.linkerd.kinds import is_member, resource_kinds, side_of_totals
from backends.linkerd.observation import Observation
from backends.linkerd.requests import totals
from backends.linkerd.rows import Row, about, other_windows, received
from backends.linkerd.services import Received, answered, called
from metrics_api import EVERYTHING, Direction, Sample, TrafficQuery, aside, together

__all__ = ["observe_totals"]

Tables = Sequence[Sequence[Row]]


async def observe_totals(client: VizClient, query: TrafficQuery, source: str) -> Observation:
    """The totals that a question asks for. Raises :class:`metrics_api.errors.BackendError`."""
    kinds = resource_kinds(query)
    name = "" if is_member(query) else query.name
    if kinds == ("Service",):
        # What a Service answered is told of all Services together: of one by itself, it would be told what was sent to it.
        requests = [totals("Service", query.window, query.namespace)]
        if name and query.namespace:
            requests.append(totals("Service", query.window, query.namespace, name))
    else:
        requests = [totals(kind, query.window, query.namespace, name) for kind in kinds]
    tables = await together(*(client.stat_summary(request) for request in requests))
    return await aside(sum(map(len, tables)), partial(_observed, tables, kinds, query, source))


def _observed(tables: Tables, kinds: Sequence[str], query: TrafficQuery, source: str) -> Observation:
    found = _of_services(tables, query) if tuple(kinds) == ("Service",) else _of_objects(tables, kinds, query)
    # Nothing is added that is not known to be of other requests: the first that is said of an object is believed.
    once = {each[0]: each for each in reversed(list(found))}.values()
    side = side_of_totals(kinds)
    return Observation(
        tuple(
            Sample(ref, EVERYTHING, Direction.FROM, side, *numbers, source=source, dialect="viz", backend=backend)
            for ref, numbers, backend in once
        ),
        windows=frozenset[str]().union(*(other_windows(rows, query.window) for rows in tables)),
    )


def _of_objects(tables: Tables, kinds: Iterable[str], query: TrafficQuery) -> Iterator[Received]:
    narrowing = query.narrowing if is_member(query) else ()
    name = "" if is_member(query) else query.name
    for kind, rows in zip(kinds, tables, strict=True):
        for row in rows:
            ref, numbers = about(row, kind, query.namespace, name), received(row, kind)
            if ref is not None and numbers is not None and fits(ref.name, narrowing):
                yield ref, numbers, None


def _of_services(tables: Tables, query: TrafficQuery) -> Iterator[Received]:
    """First what a Service answered for everybody, which is what it received; what was sent to it is that of one that never answers."""
    yield from answered(tables[0], query.namespace, query.name)
    for rows in tables[1:]:
        yield from called(rows, query.namespace, query.name)
