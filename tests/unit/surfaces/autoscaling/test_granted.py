"""Reading what another permission grants: totals, as a reader of that one place may know them, and never edges."""

from __future__ import annotations

import pytest

from apiservice.status import StatusError
from apiservice.surfaces.reading import Asked, Reader
from metrics_api.errors import BadQuery
from tests.apiservice.memory import Door, parse
from tests.unit.surfaces.autoscaling.shop import Shop


def reader(shop: Shop, door: Door) -> Reader:
    return Reader(shop, parse, door)


async def test_nobody_is_asked_a_second_time():
    shop, door = Shop(), Door()
    result = await reader(shop, door).read_granted(Asked("deployments", "shop", "web"))
    assert [row.name for row in result.rows] == ["web"]
    assert door.seen == []


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(Asked("deployments", "shop", "web", edges=True), id="edges"),
        pytest.param(Asked("edges", "shop"), id="the edges of a namespace"),
        pytest.param(
            Asked("trafficmetrics", "shop", parameters=(("fieldSelector", "edge.direction=to"),)), id="edges by a selector"
        ),
    ],
)
async def test_edges_are_refused(asked: Asked):
    shop = Shop()
    with pytest.raises(BadQuery, match="edges name the peers"):
        await reader(shop, Door()).read_granted(asked)
    assert shop.asked == 0


@pytest.mark.parametrize("resource", ["sources", "secrets", "grafana"])
async def test_what_is_no_traffic_is_not_found(resource: str):
    with pytest.raises(StatusError, match="could not find"):
        await reader(Shop(), Door()).read_granted(Asked(resource, "shop", "web"))


async def test_who_is_in_other_places_is_not_told_beside_the_numbers():
    shop = Shop()
    for asked in (Asked("deployments", "shop", "web"), Asked("nodes", "", "node-1"), Asked("pods", "shop")):
        await reader(shop, Door()).read_granted(asked)
        assert shop.arrivals.get_nowait().visible == frozenset()
