"""Nobody is told anything here that the API itself would not tell them."""

from __future__ import annotations

import pytest

from tests.apiservice.memory import Door
from tests.unit.surfaces.prometheus.shop import BASE, ROOT, Shop, client, data, failure, values

EVERYWHERE = f"{ROOT}/trafficmetrics"
DATA = f"{ROOT}/namespaces/data/trafficmetrics"
SUCCESS = "trafficmetrics_success_ratio"
TOLD = (403, "forbidden")


def reader_of_shop() -> Door:
    """Somebody who may use this surface, and read the namespace shop."""
    return Door(forbidden=frozenset({EVERYWHERE, DATA, f"{ROOT}/namespaces/data", f"{ROOT}/namespaces", f"{ROOT}/nodes"}))


QUERIES = [
    pytest.param(f'{SUCCESS}{{namespace="data"}}', id="another namespace"),
    pytest.param(SUCCESS, id="all namespaces"),
    pytest.param(f'{SUCCESS}{{namespace=~"shop|data"}}', id="one of them is another"),
    pytest.param(f'{SUCCESS}{{namespace=~"sh.p"}}', id="any that are like it"),
    pytest.param(f'{SUCCESS}{{namespace="data",direction="to"}}', id="edges"),
    pytest.param(f'{SUCCESS}{{kind="Namespace"}}', id="namespaces"),
    pytest.param(f'{SUCCESS}{{kind="Namespace",name="data"}}', id="a namespace"),
    pytest.param(f'{SUCCESS}{{kind="Node"}}', id="nodes"),
    pytest.param("trafficmetrics_incomplete", id="whether all is known"),
]


@pytest.mark.parametrize("query", QUERIES)
async def test_what_may_not_be_read_is_forbidden_on_every_route(query: str):
    shop = Shop()
    async with client(shop, reader_of_shop()) as session:
        for path, params in (
            ("query", {"query": query}),
            ("query", {"query": query, "time": "1795200000"}),
            ("query_range", {"query": query, "start": "1795200000", "end": "1795200100", "step": "50"}),
            ("series", {"match[]": query}),
            ("label/name/values", {"match[]": query}),
        ):
            code, word, message = await failure(await session.get(f"{BASE}/api/v1/{path}", params=params))
            assert (code, word) == TOLD
            assert 'User "visitor" cannot' in message
        reply = await session.get(f"{BASE}/federate", params={"match[]": query})
        assert (reply.status, reply.content_type) == (403, "text/plain")
        assert 'User "visitor" cannot' in await reply.text()
        # Nobody is asked what may not be told; what may be may have been asked before.
        assert {namespace for _, namespace in shop.asked_of} <= {"shop"}


async def test_the_page_of_all_is_for_who_may_read_all():
    async with client(door=reader_of_shop()) as session:
        assert (await session.get(f"{BASE}/metrics")).status == 403
        assert (await session.get(f"{ROOT}/namespaces/data/prometheus/metrics")).status == 403
        assert (await session.get(f"{ROOT}/namespaces/shop/prometheus/metrics")).status == 200


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (f"{BASE}/api/v1/query", f'{SUCCESS}{{namespace="shop",cluster=""}}'),
        (f"{BASE}/api/v1/query", f'{SUCCESS}{{namespace=~"shop|data",namespace!="data",cluster=""}}'),
        (f"{ROOT}/namespaces/shop/prometheus/api/v1/query", f'{SUCCESS}{{cluster=""}}'),
        (f"{ROOT}/namespaces/shop/prometheus/api/v1/query", f'{SUCCESS}{{namespace=~".*",cluster=""}}'),
    ],
)
async def test_who_may_read_a_namespace_reads_that(path: str, query: str):
    door = reader_of_shop()
    async with client(door=door) as session:
        found = values(await data(await session.get(path, params={"query": query})))
        assert found == {"api": "0.9", "cart": "1", "web": "0.9"}
    # First the request itself, as kube-apiserver reads it, and then what it is about.
    surface, read = door.seen
    assert (surface.verb, surface.resource, surface.subresource, surface.name) == ("get", "prometheus", "v1", "api")
    assert (read.verb, read.resource, read.namespace) == ("list", "trafficmetrics", "shop")


async def test_below_a_namespace_another_is_not_even_asked_for():
    door = reader_of_shop()
    async with client(door=door) as session:
        reply = await session.get(
            f"{ROOT}/namespaces/shop/prometheus/api/v1/query", params={"query": f'{SUCCESS}{{namespace="data"}}'}
        )
        document = await reply.json()
        assert (document["data"]["result"], document["warnings"]) == ([], ['this address tells of the namespace "shop" alone'])
    assert [info.resource for info in door.seen] == ["prometheus"]


async def test_without_the_right_to_the_surface_the_server_refuses_as_ever():
    async with client(door=Door(forbidden=frozenset({f"{BASE}/api/v1/query"}))) as session:
        reply = await session.get(f"{BASE}/api/v1/query", params={"query": "1+1"})
        assert (reply.status, (await reply.json())["kind"]) == (403, "Status")
