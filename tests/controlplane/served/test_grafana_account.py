"""Grafana's account: with the roles of ``deploy/grafana`` the dashboards work, through kube-apiserver and at the server, and no more."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import yaml

from tests.controlplane.served.api import Api
from tests.grafana.dashboards import DEPLOY, PROVISIONED, opened_with, panel, panels, reached
from tests.grafana.rig import Grafana, MissingGrafana, Refused, Run, do_without, run_grafana

pytestmark = pytest.mark.real

CLUSTER, NAMESPACE = "trafficmetrics-grafana", "trafficmetrics-grafana-shop"
CHOSEN = {
    "namespace": {"namespace": "shop", "window": "30s"},
    "topology": {"window": "30s"},
    "workload": {"namespace": "shop", "kind": "Deployment", "name": "web", "window": "30s"},
}


@pytest.fixture(scope="module")
async def grafana(api: Api, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Grafana]:
    """A Grafana whose accounts are those of the manifests."""
    await api.plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}})
    for name in ("rbac.yaml", "rbac-namespace.yaml"):
        await api.plane.apply(*yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))
    directory = tmp_path_factory.mktemp("grafana")
    authorities = directory / "authorities.crt"
    authorities.write_bytes(api.plane.cluster_ca.certificate + api.server.ca_bundle)
    try:
        async with run_grafana(directory / "log", authorities) as running:
            yield running
    except MissingGrafana as missing:
        do_without(missing)


async def run(api: Api, way: str, account: str, name: str, namespace: str = "") -> Run:
    """A dashboard, opened by a Grafana that was provisioned by one of the files."""
    token = (await api.prints("create", "token", account, "-n", "monitoring")).strip()
    url = api.plane.url if way == PROVISIONED[0] else api.server.url
    now = int(time.time())
    return Run(reached(url, way, token, namespace), now - 10, now, opened_with(name, CHOSEN[name]))


def names(table: Any) -> set[str]:
    """Those in a table."""
    return {row["cells"]["Name"] for row in table["rows"]}


@pytest.mark.parametrize("way", PROVISIONED)
@pytest.mark.parametrize("name", CHOSEN)
async def test_an_account_for_the_cluster_may_read_every_panel(grafana: Grafana, api: Api, way: str, name: str) -> None:
    opened = await run(api, way, CLUSTER, name)
    for each in panels(name):
        assert await grafana.panel(each, opened), each["title"]
    table = {"namespace": "Workloads", "topology": "Namespaces", "workload": "Callees"}[name]
    found = names(await grafana.panel(panel(name, table), opened))
    assert found >= {"namespace": {"api", "web"}, "topology": {"data", "shop"}, "workload": {"api"}}[name]


@pytest.mark.parametrize("way", PROVISIONED)
async def test_an_account_for_a_namespace_reads_the_panels_of_that_one(grafana: Grafana, api: Api, way: str) -> None:
    for name in ("namespace", "workload"):
        opened = await run(api, way, NAMESPACE, name, namespace="shop")
        for each in panels(name):
            assert await grafana.panel(each, opened), each["title"]
    opened = await run(api, way, NAMESPACE, "topology", namespace="shop")
    assert (await grafana.panel(panel("topology", "Who calls whom"), opened))["edges"]
    assert names(await grafana.panel(panel("topology", "Workloads"), opened)) >= {"api", "web"}


@pytest.mark.parametrize("way", PROVISIONED)
@pytest.mark.parametrize("namespace", ["", "data"], ids=["all namespaces", "another namespace"])
async def test_an_account_for_a_namespace_is_refused_everything_else(grafana: Grafana, api: Api, way: str, namespace: str) -> None:
    for title in ("Workloads", "Who calls whom"):
        with pytest.raises(Refused, match="forbidden"):
            await grafana.panel(panel("topology", title), await run(api, way, NAMESPACE, "topology", namespace=namespace))
    opened = await run(api, way, NAMESPACE, "namespace", namespace=namespace)
    (tile,) = await grafana.panel(panel("namespace", "Requests"), opened)
    assert tile["text"] == "unknown"
    check = {"refId": "__healthcheck__", "expr": "1+1", "instant": True, "range": False}
    with pytest.raises(Refused, match="403 Forbidden"):
        await grafana.query("trafficmetrics", [check], opened)
