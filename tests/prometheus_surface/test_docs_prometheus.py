"""The page about this surface is true: its configuration is taken by Prometheus, its queries are answered, its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from apiservice.surfaces.prometheus.expression import parse_expression
from apiservice.surfaces.prometheus.facade import _API, _PAGES
from apiservice.surfaces.prometheus.selector import Selector
from apiservice.surfaces.prometheus.vocabulary import FAMILIES, MEASURE_LABELS, ROW_LABELS, WINDOW
from tests.doubles.stores import parse_errors
from tests.grafana.shop import Shop as Server
from tests.prometheus_surface.conftest import BASE
from tests.prometheus_surface.scraper import promtool, run_scraper

PAGE = (Path(__file__).parents[2] / "docs" / "prometheus.md").read_text(encoding="utf-8")
SCRAPING, QUERIES = PAGE.split("\n## Queries\n")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def rows(text: str, heading: str) -> list[str]:
    """The names in the first column of the table with this heading."""
    (table,) = re.findall(rf"^\| {heading} \|.*?\n\n", text, re.DOTALL | re.MULTILINE)
    return [name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def jobs() -> list[dict[str, Any]]:
    (block,) = (block for block in blocks(SCRAPING, "yaml") if block.startswith("scrape_configs"))
    found: list[dict[str, Any]] = yaml.safe_load(block)["scrape_configs"]
    return found


def test_all_metrics_and_labels_are_documented():
    assert sorted(rows(PAGE, "metric")) == sorted(family.name for family in FAMILIES)
    assert sorted(rows(PAGE, "label")) == sorted([*ROW_LABELS, WINDOW])
    assert all(f"`{label}`" in PAGE for label in MEASURE_LABELS)


def test_all_paths_are_documented():
    found = {path.partition("?")[0] for path in rows(PAGE, "path")}
    assert found == {*_PAGES, *(f"api/v1/{path}" for path in _API), "api/v1/label/NAME/values"}


@pytest.mark.real
async def test_the_scrape_configuration_is_one(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.touch()
    file = tmp_path / "prometheus.yml"
    text = yaml.safe_dump({"scrape_configs": jobs()})
    file.write_text(re.sub(r"/var/run/secrets/kubernetes.io/serviceaccount/[a-z.]+", str(secret), text), encoding="utf-8")
    code, out, err = await promtool("check", "config", str(file))
    assert code == 0, out + err


@pytest.mark.real
async def test_the_scrape_configuration_scrapes(server: Server, tmp_path: Path):
    """In plain HTTP, where there is no kube-apiserver."""
    address = urlsplit(server.url).netloc
    plain = [
        {key: value for key, value in job.items() if key not in ("authorization", "tls_config", "scrape_interval")}
        | {"scheme": "http", "static_configs": [{"targets": [address]}]}
        for job in jobs()
    ]
    async with run_scraper(tmp_path, plain) as prometheus:
        for job in plain:
            await prometheus.until(f'trafficmetrics_requests_per_second{{job="{job["job_name"]}"}}', bool)
        for query in blocks(SCRAPING, "promql"):
            assert await prometheus.vector(query)


@pytest.mark.real
def test_rules_and_queries_are_promql(tmp_path: Path):
    (block,) = (block for block in blocks(SCRAPING, "yaml") if block.startswith("groups:"))
    expressions = [rule["expr"] for group in yaml.safe_load(block)["groups"] for rule in group["rules"]]
    selectors = [query for text in blocks(QUERIES, "promql") for query in text.splitlines()]
    assert len(selectors) > 5
    assert parse_errors([*expressions, *selectors, *blocks(SCRAPING, "promql")], tmp_path) == ""


@pytest.mark.real
@pytest.mark.parametrize("query", [query for text in blocks(QUERIES, "promql") for query in text.splitlines()])
async def test_the_queries_are_answered(server: Server, query: str):
    assert isinstance(parse_expression(query), Selector)
    async with server.session.post(f"{server.url}{BASE}/api/v1/query", data={"query": query}) as response:
        document = await response.json()
        assert response.status == 200
        assert document["data"]["result"]
        assert "warnings" not in document


MATCHERS = dict.fromkeys(re.findall(r"`([a-z_]+(?:=~?|!=)\"[^`]*\")`", QUERIES))


@pytest.mark.real
@pytest.mark.parametrize("matcher", [matcher for matcher in MATCHERS if not matcher.startswith("cluster=")])
async def test_the_matchers_are_understood(server: Server, matcher: str):
    name = ',name="web"' if "name" not in matcher else ""
    query = f"trafficmetrics_success_ratio{{{matcher}{name}}}".replace("\\|", "|")
    async with server.session.get(f"{server.url}{BASE}/api/v1/query", params={"query": query}) as response:
        document = await response.json()
    # Whoever set up this mesh has its proxies not say on which node they are.
    told = "" if matcher != 'kind="Node"' else "Linkerd's scrape jobs add no node label"
    assert told in document.get("error", "")
    assert response.status == (422 if told else 200)
