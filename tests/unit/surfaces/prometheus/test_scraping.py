"""Pages to scrape: what stands on them, in which form, and that no name breaks them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from metrics_api import ResourceRef
from metrics_api.errors import BackendTimeout, BackendUnavailable
from tests.apiservice.memory import INSTANT, total
from tests.unit.surfaces.prometheus.shop import BASE, HOST, ROOT, Shop, client

PAGE = f"{BASE}/metrics"
FEDERATE = f"{BASE}/federate"
OPEN = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""What Prometheus 2.42 sends."""

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series(families: Iterable[Metric]) -> Series:
    """All series of a page, none of which may stand there twice."""
    found: Series = {}
    for family in families:
        assert family.type == "gauge"
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


async def page(response: ClientResponse) -> Series:
    text = await response.text()
    assert response.status == 200, text
    return series(plain_text(text))


def values(found: Series, metric: str, label: str = "name") -> dict[str, float]:
    chosen = {dict(labels).get(label, ""): value for (name, labels), value in found.items() if name == metric}
    assert chosen
    return chosen


async def test_the_page_has_the_golden_metrics_of_all_workloads(shop: TestClient[Any, Any]):
    reply = await shop.get(PAGE)
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (await reply.text()).splitlines()[:4] == [
        "# HELP trafficmetrics_failure_ratio Failed requests among all in the window, from 0 to 1.",
        "# TYPE trafficmetrics_failure_ratio gauge",
        'trafficmetrics_failure_ratio{namespace="data",kind="StatefulSet",name="db"} 0',
        'trafficmetrics_failure_ratio{namespace="shop",kind="Deployment",name="api"} 0.1',
    ]
    found = await page(reply)
    web = frozenset({("namespace", "shop"), ("kind", "Deployment"), ("name", "web")})
    assert {name: value for (name, labels), value in found.items() if labels == web} == {
        "trafficmetrics_failure_ratio": 0.1,
        "trafficmetrics_requests_per_second": 2,
        "trafficmetrics_success_ratio": 0.9,
    }
    assert found["trafficmetrics_response_latency_seconds", web | {("percentile", "99")}] == 0.012
    assert found["trafficmetrics_window_requests", web | {("outcome", "failure")}] == 6
    assert found["trafficmetrics_incomplete", frozenset()] == 0
    assert not [labels for _, labels in found if dict(labels).get("name") == "idle"]


async def test_open_metrics_are_the_same_numbers_with_units_and_an_end(shop: TestClient[Any, Any]):
    reply = await shop.get(PAGE, headers={"Accept": OPEN})
    assert reply.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    text = await reply.text()
    assert text.endswith("\n# EOF\n")
    assert "# UNIT trafficmetrics_response_latency_seconds seconds\n" in text
    assert series(open_metrics(text)) == await page(await shop.get(PAGE))


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (OPEN, "application/openmetrics-text"),
        ("application/openmetrics-text", "application/openmetrics-text"),
        ("text/plain;version=0.0.4;q=1,application/openmetrics-text;q=0.5", "text/plain"),
        ("application/openmetrics-text;q=0", "text/plain"),
        ("*/*", "text/plain"),
        ("", "text/plain"),
        ("application/json, text/html;q=x", "text/plain"),
    ],
)
async def test_the_form_is_what_the_scraper_likes_best_and_never_refused(shop: TestClient[Any, Any], accept: str, kind: str):
    reply = await shop.get(PAGE, headers={"Accept": accept})
    assert (reply.status, reply.content_type) == (200, kind)


async def test_pages_are_compressed_for_who_asks_for_it(shop: TestClient[Any, Any]):
    compressed = await shop.get(PAGE, headers={"Accept-Encoding": "gzip"})
    plain = await shop.get(PAGE, headers={"Accept-Encoding": "identity"})
    assert (compressed.headers.get("Content-Encoding"), plain.headers.get("Content-Encoding")) == ("gzip", None)
    assert await compressed.text() == await plain.text()


@pytest.mark.parametrize("accept", [OPEN, "text/plain"])
async def test_a_large_page_is_whole_and_made_while_it_is_sent(accept: str):
    rows = tuple(total(ResourceRef("Deployment", "shop", f"d{number}"), number, 0) for number in range(3_000))
    async with client(Shop(rows=rows)) as session:
        reply = await session.get(PAGE, headers={"Accept": accept, "Accept-Encoding": "gzip"})
        assert reply.headers["Transfer-Encoding"] == "chunked"
        text = await reply.text()
        found = series(open_metrics(text) if accept == OPEN else plain_text(text))
        assert values(found, "trafficmetrics_requests_per_second") == {f"d{number}": number / 30 for number in range(3_000)}
        # Of d0 ratios are unknown.
        assert len(found) == 3_000 * 8 - 2 + 1


@pytest.mark.parametrize("accept", [OPEN, "text/plain"])
async def test_edges_stand_on_a_page_of_their_own_and_no_name_breaks_it(shop: TestClient[Any, Any], accept: str):
    text = await (await shop.get(f"{PAGE}?edges=true", headers={"Accept": accept})).text()
    found = series(open_metrics(text) if accept == OPEN else plain_text(text))
    assert values(found, "trafficmetrics_requests_per_second", "peer_name") == {"api": 3, "db": 40 / 30, "web": 3, HOST: 0.1}
    assert all(dict(labels).get("direction") for name, labels in found if name != "trafficmetrics_incomplete")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("kind=Pod", {"web-1"}),
        ("kind=pod", {"web-1"}),
        ("resource=pods", {"web-1"}),
        ("kind=Pod&resource=statefulsets", {"web-1", "db"}),
        ("kind=Namespace", {"data", "shop"}),
        ("kind=Pod&kind=pods", {"web-1"}),
    ],
)
async def test_other_kinds_can_be_asked_for(shop: TestClient[Any, Any], query: str, names: set[str]):
    found = await page(await shop.get(f"{PAGE}?{query}"))
    assert set(values(found, "trafficmetrics_requests_per_second")) == names
    assert found["trafficmetrics_incomplete", frozenset()] == 0


async def test_the_window_can_be_asked_for(shop: TestClient[Any, Any]):
    found = await page(await shop.get(f"{PAGE}?window=5m"))
    assert values(found, "trafficmetrics_requests_per_second")["cart"] == 20 / 300


async def test_below_a_namespace_the_page_is_about_that():
    shop = Shop()
    async with client(shop) as session:
        found = await page(await session.get(f"{ROOT}/namespaces/data/prometheus/metrics"))
        assert set(values(found, "trafficmetrics_requests_per_second")) == {"db"}
        assert shop.asked_of == [("trafficmetrics", "data")]


@pytest.mark.parametrize(("accept", "when"), [("text/plain", f"{INSTANT}000"), (OPEN, str(INSTANT))])
async def test_samples_have_times_only_for_who_asks_for_them(shop: TestClient[Any, Any], accept: str, when: str):
    for query, words in (("", 2), ("?timestamps=true", 3)):
        lines = [
            line
            for line in (await (await shop.get(PAGE + query, headers={"Accept": accept})).text()).splitlines()
            if line[0] != "#"
        ]
        assert {len(line.split()) for line in lines} == {words}
        assert words == 2 or {line.split()[2] for line in lines} == {when}


async def test_an_answer_with_holes_says_so():
    async with client(Shop(incomplete=True, warnings=('source "a": gone',))) as session:
        reply = await session.get(PAGE)
        assert (await page(reply))["trafficmetrics_incomplete", frozenset()] == 1
        assert reply.headers["Warning"] == '299 - "source \\"a\\": gone"'


async def test_federation_gives_what_is_selected_each_series_once(shop: TestClient[Any, Any]):
    match = [
        '{kind="Pod"}',
        'trafficmetrics_requests_per_second{name=~"web|api",cluster=""}',
        '{__name__=~".*_per_second",name="web",cluster=""}',
    ]
    found = await page(await shop.get(FEDERATE, params=[("match[]", text) for text in match]))
    assert values(found, "trafficmetrics_requests_per_second") == {"api": 10 / 3, "web": 2, "web-1": 1}
    assert [name for name, _ in found if name == "trafficmetrics_incomplete"] == []
    assert (await page(await shop.get(FEDERATE, params={"match[]": "trafficmetrics_incomplete"}))) == {
        ("trafficmetrics_incomplete", frozenset()): 0
    }


async def test_federation_without_selectors_is_empty(shop: TestClient[Any, Any]):
    assert await (await shop.get(FEDERATE)).text() == ""
    assert await (await shop.get(FEDERATE, headers={"Accept": OPEN})).text() == "# EOF\n"


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        (f"{FEDERATE}?match[]=a{{", 400, 'invalid parameter "match[]": 1:3: parse error'),
        (f"{FEDERATE}?match[]=rate(a[5m])", 422, "rate() is not evaluated here"),
        (f"{PAGE}?window=soon", 400, "is not a duration"),
        (f"{PAGE}?kind=gizmo", 400, '"gizmo" is not a kind; known are'),
        (f"{PAGE}?edges=maybe", 400, 'invalid parameter "edges": it is "true" or "false"'),
        (f"{PAGE}?kind=TrafficSplit", 422, "some for each backend"),
        (f"{PAGE}?kind=Namespace&edges=true", 422, 'add name="…"'),
    ],
)
async def test_what_cannot_be_scraped_is_told_as_text(shop: TestClient[Any, Any], path: str, code: int, told: str):
    reply = await shop.get(path)
    text = await reply.text()
    assert (reply.status, reply.content_type) == (code, "text/plain")
    assert told in text
    assert text.endswith("\n")


async def test_pages_are_read_only(shop: TestClient[Any, Any]):
    reply = await shop.post(PAGE)
    assert (reply.status, reply.headers["Allow"], reply.content_type) == (405, "GET, HEAD", "text/plain")
    head = await shop.head(PAGE)
    assert (head.status, await head.read()) == (200, b"")


@pytest.mark.parametrize(
    "error", [BackendUnavailable("mesh", "gone"), BackendTimeout("mesh", "late")], ids=lambda error: type(error).__name__
)
async def test_a_scrape_fails_with_its_sources(error: Exception):
    async with client(Shop(failure=error)) as session:
        assert (await session.get(PAGE)).status == 503
