"""What editors and variables of dashboards ask for: metrics, labels, values, series."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.apiservice.memory import INSTANT
from tests.unit.surfaces.prometheus.shop import BASE, HOST, ROOT, Shop, client, data, failure

API = f"{BASE}/api/v1"
METRICS = [
    "trafficmetrics_failure_ratio",
    "trafficmetrics_incomplete",
    "trafficmetrics_requests_per_second",
    "trafficmetrics_response_latency_seconds",
    "trafficmetrics_success_ratio",
    "trafficmetrics_window_requests",
]
OF_ROWS = ["__name__", "cluster", "direction", "kind", "name", "namespace"]
OF_PEERS = ["peer_kind", "peer_name", "peer_namespace"]


@pytest.mark.parametrize(
    ("match", "found"),
    [
        pytest.param([], [*OF_ROWS, "outcome", *OF_PEERS, "percentile", "window"], id="all"),
        pytest.param(["trafficmetrics_success_ratio"], [*OF_ROWS, *OF_PEERS, "window"], id="a metric"),
        pytest.param(['trafficmetrics_window_requests{namespace="x"}'], [*OF_ROWS, "outcome", *OF_PEERS, "window"], id="series"),
        pytest.param(["trafficmetrics_incomplete"], ["__name__"], id="what is about all"),
        pytest.param(["up"], [], id="nothing"),
    ],
)
async def test_labels_are_those_series_may_have_and_nothing_is_read_for_them(match: list[str], found: list[str]):
    shop = Shop()
    async with client(shop) as session:
        form = [("start", "1"), ("end", "2"), *(("match[]", text) for text in match)]
        assert await data(await session.post(f"{API}/labels", data=form)) == found
        assert await data(await session.get(f"{API}/labels", params=form)) == found
        assert shop.asked == 0


@pytest.mark.parametrize(
    ("label", "match", "found"),
    [
        ("__name__", [], METRICS),
        ("__name__", ['{__name__=~".*_ratio"}'], ["trafficmetrics_failure_ratio", "trafficmetrics_success_ratio"]),
        ("percentile", [], ["50", "90", "99"]),
        ("percentile", ['trafficmetrics_response_latency_seconds{percentile!="90"}'], ["50", "90", "99"]),
        ("outcome", ["trafficmetrics_window_requests"], ["failure", "success"]),
        ("outcome", ["trafficmetrics_success_ratio"], []),
        ("direction", [], ["from", "to"]),
        ("window", [], ["30s", "1m", "5m", "15m", "30m", "1h"]),
        ("namespace", [], ["data", "shop"]),
        ("namespace", ['{kind="Deployment"}'], ["shop"]),
        ("kind", ["trafficmetrics_success_ratio"], ["Deployment", "StatefulSet"]),
        ("name", ['trafficmetrics_success_ratio{namespace="shop",cluster=""}'], ["api", "cart", "idle", "quiet", "web"]),
        ("name", ['{kind="Pod"}', '{kind="StatefulSet"}'], ["db", "web-1"]),
        ("cluster", [], ["west"]),
        ("peer_name", ['trafficmetrics_requests_per_second{namespace="shop",name="web"}'], ["api", HOST]),
        ("direction", ['trafficmetrics_requests_per_second{namespace="shop",name="web"}'], ["to"]),
        ("pod", [], []),
        ("namespace", ["up"], []),
    ],
)
async def test_values_of_a_label(shop: TestClient[Any, Any], label: str, match: list[str], found: list[str]):
    params = [("match[]", text) for text in match]
    assert await data(await shop.get(f"{API}/label/{label}/values", params=params)) == found


async def test_kinds_that_can_be_asked_for_are_offered(shop: TestClient[Any, Any]):
    kinds = await data(await shop.get(f"{API}/label/kind/values"))
    assert {"Deployment", "Pod", "Namespace", "Node", "Service"} <= set(kinds)
    assert not {"TrafficSplit", "HTTPRoute"} & set(kinds)


async def test_below_a_namespace_there_is_no_other():
    shop = Shop()
    async with client(shop) as session:
        assert await data(await session.get(f"{ROOT}/namespaces/shop/prometheus/api/v1/label/namespace/values")) == ["shop"]
        names = await data(await session.get(f"{ROOT}/namespaces/shop/prometheus/api/v1/label/name/values"))
        assert "db" not in names
        assert {question.namespace for question in shop.questions} == {"shop"}


async def test_series_have_all_their_labels(shop: TestClient[Any, Any]):
    match = ['trafficmetrics_response_latency_seconds{name="api",percentile!="90"}', 'trafficmetrics_success_ratio{name="api"}']
    found = await data(await shop.get(f"{API}/series", params=[("match[]", text) for text in [*match, *match]]))
    api = {"namespace": "shop", "kind": "Deployment", "name": "api"}
    assert found == [
        {"__name__": "trafficmetrics_response_latency_seconds", "percentile": "50", **api},
        {"__name__": "trafficmetrics_response_latency_seconds", "percentile": "99", **api},
        {"__name__": "trafficmetrics_success_ratio", **api},
    ]
    assert await data(await shop.post(f"{API}/series", data=[("match[]", text) for text in match])) == found


async def test_series_are_those_at_the_end_of_the_time_asked_about():
    shop = Shop(gone=frozenset({INSTANT - 100}))
    async with client(shop) as session:
        params = {"match[]": "trafficmetrics_success_ratio", "start": "0"}
        assert await data(await session.get(f"{API}/series", params={**params, "end": str(INSTANT - 100)})) == []
        assert await data(await session.get(f"{API}/series", params={**params, "end": str(INSTANT + 90_000)}))
        assert [question.instant for question in shop.questions] == [INSTANT - 100, None]
        assert await data(await session.get(f"{API}/series", params={**params, "end": "-1"})) == []


async def test_series_need_a_selector(shop: TestClient[Any, Any]):
    assert await failure(await shop.get(f"{API}/series")) == (
        400,
        "bad_data",
        'invalid parameter "match[]": no match[] parameter provided',
    )


@pytest.mark.parametrize(("path", "text"), [("series", "a{"), ("labels", "1+1"), ("label/name/values", "a{b=}"), ("series", "{}")])
async def test_what_is_no_selector_is_refused(shop: TestClient[Any, Any], path: str, text: str):
    code, word, message = await failure(await shop.get(f"{API}/{path}", params={"match[]": text}))
    assert (code, word) == (400, "bad_data")
    assert message.startswith('invalid parameter "match[]": 1:')


async def test_lists_end_at_the_limit(shop: TestClient[Any, Any]):
    for path in ("labels", "label/name/values", "label/__name__/values", "series?match[]=trafficmetrics_success_ratio"):
        document = await (await shop.get(f"{API}/{path}{'&' if '?' in path else '?'}limit=2")).json()
        assert (len(document["data"]), document["warnings"]) == (2, ["results truncated due to limit"])


async def test_metadata_tell_type_help_and_unit(shop: TestClient[Any, Any]):
    found = await data(await shop.get(f"{API}/metadata"))
    assert list(found) == METRICS
    assert all(entry["type"] == "gauge" and entry["help"].endswith(".") for (entry,) in found.values())
    assert {name: entry["unit"] for name, (entry,) in found.items() if entry["unit"]} == {
        "trafficmetrics_failure_ratio": "ratio",
        "trafficmetrics_response_latency_seconds": "seconds",
        "trafficmetrics_success_ratio": "ratio",
        "trafficmetrics_window_requests": "requests",
    }
    assert list(await data(await shop.get(f"{API}/metadata", params={"metric": METRICS[2]}))) == [METRICS[2]]
    assert len(await data(await shop.get(f"{API}/metadata", params={"limit": "2"}))) == 2


async def test_what_grafana_asks_beside_is_empty_and_no_error(shop: TestClient[Any, Any]):
    assert await data(await shop.get(f"{API}/rules")) == {"groups": []}
    assert await data(await shop.get(f"{API}/alerts")) == {"alerts": []}
    assert (await data(await shop.get(f"{API}/status/buildinfo")))["version"] == "2.42.0"
