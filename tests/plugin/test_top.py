"""``kubectl traffic top`` shows what ``kubectl get`` shows, and more of it."""

from __future__ import annotations

import asyncio
import csv
import json
from dataclasses import replace
from io import StringIO

import pytest

from kubectl_traffic.kubectl import Kubectl
from kubectl_traffic.reading import read
from metrics_api import EVERYTHING
from tests.apiservice.memory import SHOP_WEB, TOTALS, Memory, total
from tests.plugin.conftest import Plugin

GROUP = "metrics.smi-spec.io"
BASE = f"/apis/{GROUP}/v1alpha1"


@pytest.mark.parametrize(
    ("top", "get"),
    [
        ("-A", "trafficmetrics -A"),
        ("-n shop", "trafficmetrics -n shop"),
        ("deploy -n shop", f"deployments.{GROUP} -n shop"),
        ("deploy/web -n shop", f"deployments.{GROUP} web -n shop"),
        ("deploy web -n shop", f"deployments.{GROUP} web -n shop"),
        ("namespaces", f"namespaces.{GROUP}"),
        ("deploy/api --edges -n shop", f"deployments.{GROUP} api --subresource=edges -n shop"),
        ("--to -n shop", "trafficmetrics --field-selector edge.direction=to -n shop"),
        ("-l app=web -A", "trafficmetrics -l app=web -A"),
        ("deploy --no-headers -n shop", f"deployments.{GROUP} --no-headers -n shop"),
    ],
)
async def test_cells_are_those_of_kubectl_get(plugin: Plugin, top: str, get: str) -> None:
    shown = await plugin.traffic("top", *top.split())
    got = await plugin("get", *get.split())
    assert (shown.code, shown.err) == (0, "")
    if "--to" in top:
        # kubectl has the columns of totals for rows of trafficmetrics.
        assert [line[0] for line in shown.table] == [line[0] for line in got.table]
        return
    assert [line[:-1] for line in shown.table] == got.table
    assert {line[-1] for line in shown.table} <= {"HEALTH", "healthy", "degraded", "failing"}


async def test_the_layout_is_that_of_kubectl(plugin: Plugin) -> None:
    shown = (await plugin.traffic("top", "-A")).out.splitlines()
    got = (await plugin("get", "trafficmetrics", "-A")).out.splitlines()
    assert [line.startswith(known.rstrip()) for line, known in zip(shown, got, strict=True)] == [True] * len(got)


async def test_sorted_by_a_column(plugin: Plugin) -> None:
    shown = await plugin.traffic("top", "-A", "--sort-by", "rps", "--no-headers")
    assert [line[1] for line in shown.table] == ["deployment.api", "deployment.web", "statefulset.db", "deployment.cart"]


async def test_plain_numbers_as_json_and_csv(plugin: Plugin) -> None:
    rows = json.loads((await plugin.traffic("top", "deploy/web", "-n", "shop", "-o", "json")).out)
    assert [(row["name"], row["rps"], row["successRate"], row["p99Ms"]) for row in rows] == [("web", 2.0, 0.9, 12.0)]
    lines = csv.DictReader(StringIO((await plugin.traffic("top", "-A", "-o", "csv")).out))
    assert [line["name"] for line in lines] == ["db", "api", "cart", "web"]


@pytest.mark.parametrize("line", ["deploy -n shop", "deploy/web --edges -n shop", "-A"])
async def test_plain_numbers_are_those_of_the_api(plugin: Plugin, line: str) -> None:
    path = {"deploy -n shop": "namespaces/shop/deployments", "-A": "trafficmetrics"}.get(
        line, "namespaces/shop/deployments/web/edges"
    )
    raw = json.loads((await plugin("get", "--raw", f"{BASE}/{path}?format=numbers")).out)
    # This server does not tell the source, which is an annotation, of objects.
    known = [{**item, "source": ""} for item in raw["items"]]
    assert json.loads((await plugin.traffic("top", *line.split(), "-o", "json")).out) == known


async def test_nothing_there_is_said(plugin: Plugin) -> None:
    assert tuple(await plugin.traffic("top", "-n", "nowhere")) == (0, "", "No resources found in nowhere namespace.\n")


async def test_no_numbers_are_no_zeros(plugin: Plugin, service: Memory) -> None:
    known = service.rows
    service.rows = (replace(total(SHOP_WEB, 0, 0), p50=None, p90=None, p99=None), replace(known[1], success=None, failure=None))
    try:
        shown = await plugin.traffic("top", "-n", "shop", "--no-headers")
    finally:
        service.rows = known
    assert shown.table[0] == ["deployment.web", "-", "0.0rps", "-", "-", "-", "no", "traffic"]
    assert shown.table[1][1:3] + shown.table[1][-1:] == ["-", "-", "unknown"]


async def test_warnings_are_told_beside_the_rows(plugin: Plugin, service: Memory) -> None:
    service.warnings = ('source "far" did not answer',)
    try:
        shown = await plugin.traffic("top", "-n", "shop", "--no-headers")
    finally:
        service.warnings = ()
    assert (shown.code, shown.err, len(shown.table)) == (0, 'Warning: source "far" did not answer\n', 3)


async def test_names_from_outside_do_nothing_to_a_terminal(plugin: Plugin, service: Memory) -> None:
    known = service.edges
    service.edges = tuple(
        replace(row, edge=replace(row.edge, peer=EVERYTHING._replace(name="evil\x1b[2J.example"))) for row in known
    )
    try:
        shown = await plugin.traffic("top", "deploy/web", "--edges", "-n", "shop")
    finally:
        service.edges = known
    assert "evil?[2J.example" in shown.out
    assert "\x1b" not in shown.out


async def test_colours_only_where_they_are_wanted(plugin: Plugin) -> None:
    assert "\x1b" not in (await plugin.traffic("top", "-A")).out
    assert "\x1b[31m90.00%\x1b[0m" in (await plugin.traffic("top", "-A", "--color=always")).out


async def test_every_page_is_read(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in plugin.environment.items():
        monkeypatch.setenv(name, value)
    found = await asyncio.to_thread(read, Kubectl(plugin.flags), f"{BASE}/trafficmetrics", {"limit": "1"})
    assert [row.name for row in found.rows] == ["statefulset.db", "deployment.api", "deployment.cart", "deployment.web"]
    assert [(row.success, row.p99) for row in found.rows] == [(row.success, row.p99) for row in TOTALS]
