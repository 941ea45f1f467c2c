"""What a real Prometheus has after it scraped us is what the API itself says."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from apiservice.question import Question
from apiservice.result import Result
from metrics_api.golden import golden
from metrics_api.reading import row_of
from tests.grafana.shop import Shop as Server
from tests.prometheus_surface.conftest import BASE
from tests.prometheus_surface.scraper import Scraper, promtool, run_scraper
from tests.unit.surfaces.prometheus.shop import BASE as SMALL
from tests.unit.surfaces.prometheus.shop import Shop, client

pytestmark = pytest.mark.real

FIELDS = {
    "trafficmetrics_requests_per_second": "requests_per_second",
    "trafficmetrics_success_ratio": "success_rate",
    "trafficmetrics_failure_ratio": "failure_ratio",
}
MEASURES = {
    ("percentile", "50"): "p50",
    ("percentile", "90"): "p90",
    ("percentile", "99"): "p99",
    ("outcome", "success"): "success",
    ("outcome", "failure"): "failure",
}


def field_of(labels: dict[str, str]) -> str:
    """The golden metric that a series is."""
    return FIELDS.get(labels["__name__"]) or next(field for pair, field in MEASURES.items() if labels.get(pair[0]) == pair[1])


def series(items: list[dict[str, Any]]) -> dict[tuple[str, ...], float]:
    """The numbers of the API by what they are of: namespace, kind, name, direction, peer and golden metric; unknown ones are left out."""
    found = {}
    for item in items:
        row = row_of(item)
        total = row.edge.peer == ("", "", "")
        peer = (
            ("", "", "", "")
            if total
            else (row.edge.direction.value, row.edge.peer.namespace, row.edge.peer.kind, row.edge.peer.name)
        )
        for field, value in golden(row)._asdict().items():
            if value is not None:
                found[row.resource.namespace, row.resource.kind, row.resource.name, *peer, field] = value
    return found


def scraped(vector: list[tuple[dict[str, str], float]]) -> dict[tuple[str, ...], float]:
    names = ("namespace", "kind", "name", "direction", "peer_namespace", "peer_kind", "peer_name")
    return {(*(labels.get(name, "") for name in names), field_of(labels)): value for labels, value in vector}


@pytest.mark.parametrize(("job", "selector"), [("totals", ""), ("edges", "edge.resource.name!=")])
async def test_a_prometheus_that_scrapes_has_the_numbers_of_the_api(server: Server, scraper: Scraper, job: str, selector: str):
    document = await server.get("/trafficmetrics", fieldSelector=selector)
    told = series(document["items"])
    found = scraped(await scraper.vector(f'{{__name__=~"trafficmetrics_.*",__name__!="trafficmetrics_incomplete",job="{job}"}}'))
    assert len(found) > 30
    assert found == pytest.approx(told, rel=1e-3)


async def test_every_page_is_scraped_without_a_fault(server: Server, scraper: Scraper):
    assert await scraper.vector("min by (job) (up) == 0") == []
    assert {value for _, value in await scraper.vector("trafficmetrics_incomplete")} == {0}
    # What is dropped as a duplicate, or out of order, is missing here.
    assert await scraper.vector("scrape_samples_scraped != scrape_samples_post_metric_relabeling") == []
    for job, path in (("totals", "metrics"), ("edges", "metrics?edges=true")):
        async with server.session.get(f"{server.url}{BASE}/{path}") as response:
            lines = [line for line in (await response.text()).splitlines() if not line.startswith("#")]
        kept = await scraper.vector(f'{{__name__=~"trafficmetrics_.*",job="{job}"}}')
        assert len(kept) == len(lines)


async def test_pages_of_other_kinds_and_windows(scraper: Scraper):
    ((_, short),) = await scraper.vector('trafficmetrics_window_requests{job="totals",name="db",outcome="success"}')
    ((_, long),) = await scraper.vector('trafficmetrics_window_requests{job="pods",kind="Deployment",name="db",outcome="success"}')
    assert long == pytest.approx(5 * short, rel=0.01)
    assert await scraper.vector('count(trafficmetrics_requests_per_second{job="pods",kind="Pod"}) > 3')


async def test_a_federating_prometheus_has_what_it_selected(scraper: Scraper):
    for metric, only in (
        ("trafficmetrics_success_ratio", 'namespace="shop"'),
        ("trafficmetrics_failure_ratio", 'namespace="shop"'),
    ):
        assert await scraper.vector(f'{metric}{{job="federate"}}') == await scraper.vector(f'{metric}{{job="totals",{only}}}') != []
    edges = 'trafficmetrics_requests_per_second{{job="{}",direction="to"}}'
    assert await scraper.vector(edges.format("federate")) == await scraper.vector(edges.format("edges")) != []
    names = await scraper.vector('count by (__name__) ({__name__=~"trafficmetrics_.*",job="federate"})')
    selected = ["trafficmetrics_failure_ratio", "trafficmetrics_requests_per_second", "trafficmetrics_success_ratio"]
    assert sorted(labels["__name__"] for labels, _ in names) == selected


@pytest.mark.parametrize(
    "path", ["metrics", "metrics?edges=true", "metrics?timestamps=true", 'federate?match[]={__name__=~"traffic.*"}']
)
async def test_promtool_has_nothing_against_a_page(server: Server, path: str):
    async with server.session.get(f"{server.url}{BASE}/{path}") as response:
        page = await response.read()
    assert page.count(b"\n") > 10
    assert await promtool("check", "metrics", given=page) == (0, "", "")


@dataclass
class Ticking(Shop):
    """A shop whose numbers are always of now."""

    async def answer(self, question: Question, instant: int | None = None) -> Result:
        found = await Shop.answer(self, question, instant)
        now = int(time.time())
        return replace(found, instant=now, rows=tuple(replace(row, instant=now) for row in found.rows))


async def test_a_workload_that_goes_ends_with_the_next_scrape(tmp_path: Path):
    """Which is why samples have no times unless somebody wants them: with them it goes on for five minutes."""
    shop = Ticking()
    async with client(shop) as small:
        target = [{"targets": [f"127.0.0.1:{small.port}"]}]
        jobs = [
            {"job_name": "plain", "metrics_path": f"{SMALL}/metrics", "static_configs": target},
            {"job_name": "timed", "metrics_path": f"{SMALL}/metrics", "params": {"timestamps": ["true"]}, "static_configs": target},
        ]
        async with run_scraper(tmp_path, jobs) as prometheus:
            there = 'trafficmetrics_success_ratio{{job="{}",name="cart"}}'
            for job in ("plain", "timed"):
                await prometheus.until(there.format(job), lambda found: len(found) == 1)
            shop.rows = tuple(row for row in shop.rows if row.resource.name != "cart")
            await prometheus.until(there.format("plain"), lambda found: not found)
            assert await prometheus.vector('trafficmetrics_success_ratio{job="plain",name="api"}')
            assert await prometheus.vector(there.format("timed"))
