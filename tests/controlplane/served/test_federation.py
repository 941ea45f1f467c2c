"""kubectl and kube-apiserver before two clusters and three sources: Istio at home with Linkerd viz beside it, and Linkerd in the west."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.plane import SERVER, ControlPlane, Person
from tests.controlplane.served.api import Api, measured
from tests.controlplane.served.cluster import CLUSTER_READER, SHOP_READER, bind, user
from tests.controlplane.served.server import GV, run_server
from tests.doubles.line import Line, State, open_line
from tests.doubles.linkerd import run_viz
from tests.doubles.mesh_series import Row, counter
from tests.federation.facts import Flow
from tests.federation.series import istio, linkerd, objects, samples
from tests.federation.store import run_store

pytestmark = pytest.mark.real

GROUP = "metrics.smi-spec.io"
DEPLOYMENTS = f"deployments.{GROUP}"
ABOUT = f"{GROUP}/"
"""How the names of annotations begin."""

EAST_FLOWS = (
    Flow(("other", "web"), ("shop", "web"), 20, 0, 10, 25),
    Flow(("shop", "web"), ("shop", "api"), 9, 1, 5, 10),
)
WEST_FLOWS = (
    Flow(("shop", "gate"), ("shop", "web"), 6, 2, 20, 30),
    Flow(("shop", "web"), ("shop", "cart"), 3, 0, 4, 5),
)
VIZ_FLOWS = (Flow(("other", "web"), ("data", "api"), 5, 0, 30, 40),)

WESTERNER = Person("wes")
"""Reads the Deployment ``web@west`` of "shop", and nothing else."""

_PAST, _FUTURE = 60, 300
"""For how many seconds before and after the start there are samples."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """The API registered from a server that tells of two clusters, and the line to the store of the other one."""

    api: Api
    west: Line

    async def warned(self, *args: str) -> tuple[str, str]:
        """What kubectl prints, and what it complains of, when it succeeds."""
        run = await self.api.kubectl(*args)
        assert run.code == 0, run
        return run.stdout, run.stderr


@pytest.fixture(scope="module")
async def clusters(api: Api, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clusters]:
    """The two clusters; the usual one is there again afterwards."""
    directory = tmp_path_factory.mktemp("clusters")
    now = int(time.time())
    homely = chain(istio(EAST_FLOWS), linkerd(VIZ_FLOWS), _connections())
    async with AsyncExitStack() as stack:
        east, west = await asyncio.gather(
            *(
                stack.enter_async_context(run_store(directory / name, samples(rows, now - _PAST, now + _FUTURE)))
                for name, rows in (("east", homely), ("west", linkerd(WEST_FLOWS)))
            )
        )
        line = await stack.enter_async_context(open_line(west.address))
        viz = await stack.enter_async_context(run_viz(objects(VIZ_FLOWS), east.url))
        configuration = _configured(api.plane, east.url, f"http://{line.address}", viz.address)
        (directory / "server").mkdir()
        served = Api(api.plane, await stack.enter_async_context(run_server(api.plane, Path(directory / "server"), configuration)))
        try:
            await asyncio.gather(served.register(), api.plane.apply(*_rights()))
            yield Clusters(served, line)
        finally:
            await api.register()


def _configured(plane: ControlPlane, east: str, west: str, viz: str) -> dict[str, Any]:
    store = {"type": "prometheus", "scrapeInterval": "1s"}
    return {
        "kubernetes": {"kubeconfig": str(plane.kubeconfig(SERVER)), "clusterName": "east"},
        "metrics": {"window": "10s", "refresh": "1s"},
        "backends": [
            {**store, "name": "prom-east", "url": east, "dialect": "istio"},
            {**store, "name": "prom-west", "url": west, "dialect": "linkerd", "covers": {"cluster": "west"}},
            {"name": "viz", "type": "linkerd", "address": viz, "scrapeInterval": "1s", "covers": {"namespaces": ["data"]}},
        ],
    }


def _connections() -> list[Row]:
    """By open connections viz knows who the two ends of an edge are."""
    labels = {
        "direction": "outbound",
        "peer": "dst",
        "tls": "true",
        "server_id": "api.data.serviceaccount.identity.linkerd.cluster.local",
    }
    labels |= {"namespace": "other", "deployment": "web", "pod": "web-1-abcde"}
    labels |= {"dst_namespace": "data", "dst_deployment": "api", "dst_pod": "api-1-abcde"}
    return [counter("tcp_open_connections", labels, 0)]


def _rights() -> list[dict[str, Any]]:
    rule = {"apiGroups": [GROUP], "resources": ["deployments"], "resourceNames": ["web@west"], "verbs": ["get"]}
    metadata = {"name": "web-of-the-west", "namespace": "shop"}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": [rule]}
    binding = bind("RoleBinding", "shop", "web-of-the-west", user(WESTERNER))
    binding["roleRef"]["kind"] = "Role"
    return [role, binding]


def _of(item: dict[str, Any]) -> dict[str, str]:
    """The annotations of an object, by the ends of their names."""
    return {name.removeprefix(ABOUT): text for name, text in item["metadata"]["annotations"].items()}


async def test_a_list_has_the_rows_of_both_clusters_beside_each_other(clusters: Clusters):
    assert await clusters.api.table("tm", "-n", "shop") == [
        ["deployment.api", "90.00%", "10.0rps", "8ms", "10ms", "10ms"],
        ["deployment.cart@west", "100.00%", "3.0rps", "4ms", "5ms", "5ms"],
        ["deployment.web", "100.00%", "20.0rps", "18ms", "24ms", "25ms"],
        ["deployment.web@west", "75.00%", "8.0rps", "25ms", "29ms", "30ms"],
    ]


async def test_a_row_of_another_cluster_is_asked_for_by_its_name(clusters: Clusters):
    item = await clusters.api.document(DEPLOYMENTS, "-n", "shop", "web@west")
    assert (item["metadata"]["name"], item["resource"]["name"], item["resource"]["kind"]) == ("web@west", "web", "Deployment")
    assert measured(item)["success_count"] == pytest.approx(60)
    assert measured(item)["failure_count"] == pytest.approx(20)
    assert _of(item) == {
        "source": "prom-west",
        "dialect": "linkerd",
        "cluster": "west",
        "effective-window": "10s",
        "staleness": "0s",
    }


async def test_a_row_of_home_says_so_and_has_the_numbers_of_home_alone(clusters: Clusters):
    item = await clusters.api.document(DEPLOYMENTS, "-n", "shop", "web")
    assert measured(item)["success_count"] == pytest.approx(200)
    assert _of(item) == {
        "source": "prom-east",
        "dialect": "istio",
        "cluster": "east",
        "effective-window": "10s",
        "staleness": "0s",
    }


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("cluster=west", ["shop/deployment.cart@west", "shop/deployment.web@west"]),
        ("cluster!=west", ["shop/deployment.api", "shop/deployment.web"]),
        ("cluster=east", ["shop/deployment.api", "shop/deployment.web"]),
        ("metadata.name=deployment.web@west", ["shop/deployment.web@west"]),
    ],
    ids=["that one", "not that one", "home by its name", "by a name"],
)
async def test_a_selector_chooses_the_cluster(clusters: Clusters, selector: str, names: list[str]):
    assert await clusters.api.names("tm", "-n", "shop", "--field-selector", selector) == names


async def test_a_cluster_that_there_is_not_is_a_bad_request(clusters: Clusters):
    run = await clusters.api.kubectl("get", "tm", "-n", "shop", "--field-selector", "cluster=north")
    assert run.code == 1
    assert "BadRequest" in run.stderr
    assert "east" in run.stderr
    assert "west" in run.stderr


async def test_a_wide_table_names_the_source_of_each_row(clusters: Clusters):
    header, *rows = [line.split() for line in (await clusters.api.prints("get", "tm", "-A", "-o", "wide")).splitlines()]
    assert header[-1] == "SOURCE"
    assert [f"{row[0]}/{row[1]} {row[-1]}" for row in rows] == [
        "data/deployment.api viz",
        "shop/deployment.api prom-east",
        "shop/deployment.cart@west prom-west",
        "shop/deployment.web prom-east",
        "shop/deployment.web@west prom-west",
    ]


async def test_rows_of_viz_have_no_p90_and_end_with_p95(clusters: Clusters):
    (row,) = await clusters.api.table("tm", "-n", "data")
    assert row == ["deployment.api", "100.00%", "5.0rps", "35ms", "-", "40ms"]
    item = await clusters.api.document(DEPLOYMENTS, "-n", "data", "api")
    assert [metric["name"] for metric in item["metrics"]][5:] == ["p95_response_latency"]
    assert measured(item)["p95_response_latency"] == pytest.approx(0.04, abs=0.0011)
    assert measured(item)["p90_response_latency"] is None
    assert (_of(item)["source"], _of(item)["dialect"]) == ("viz", "viz")


async def test_edges_of_viz_say_who_both_ends_are(clusters: Clusters):
    printed, complaint = await clusters.warned("get", DEPLOYMENTS, "-n", "data", "api", "--subresource=edges", "-o", "json")
    assert 'Warning: source "viz" lists no peers outside the mesh' in complaint
    (item,) = json.loads(printed)["items"]
    assert (item["edge"]["direction"], item["edge"]["resource"]["name"]) == ("from", "web")
    about = _of(item)
    assert about["client-identity"] == "web.other.serviceaccount.identity.linkerd.cluster.local"
    assert about["server-identity"] == "api.data.serviceaccount.identity.linkerd.cluster.local"
    assert "no-identity" not in about


async def test_edges_of_another_cluster_are_its_own(clusters: Clusters):
    items = (await clusters.api.document(DEPLOYMENTS, "-n", "shop", "web@west", "--subresource=edges"))["items"]
    assert [(item["edge"]["direction"], item["edge"]["resource"]["name"]) for item in items] == [("from", "gate"), ("to", "cart")]
    assert {_of(item)["cluster"] for item in items} == {"west"}


async def test_the_sources_tell_what_they_are_and_how_they_are(clusters: Clusters):
    await clusters.api.names("tm", "-A")
    items = {item["metadata"]["name"]: item for item in (await clusters.api.raw("/sources", CLUSTER_READER))["items"]}
    assert list(items) == ["prom-east", "prom-west", "viz"]
    assert {name: item["spec"]["covers"] for name, item in items.items()} == {
        "prom-east": {"cluster": "east", "namespaces": ["*"]},
        "prom-west": {"cluster": "west", "namespaces": ["*"]},
        "viz": {"cluster": "east", "namespaces": ["data"]},
    }
    assert {item["status"]["health"]["state"] for item in items.values()} == {"ok"}
    assert {name: [mesh["dialect"] for mesh in item["status"]["meshes"]] for name, item in items.items()} == {
        "prom-east": ["istio"],
        "prom-west": ["linkerd"],
        "viz": ["viz"],
    }
    assert items["viz"]["status"]["percentiles"] == ["50", "95", "99"]
    assert (await clusters.api.raw("/sources/prom-west"))["status"]["health"]["state"] == "ok"


@pytest.mark.parametrize("path", ["/sources", "/sources/prom-west"])
async def test_who_reads_a_namespace_does_not_read_the_sources(clusters: Clusters, path: str):
    # kube-apiserver forbids it, and so does the server itself.
    for asked in (clusters.api.proxied, clusters.api.direct):
        reply = await asked(f"{GV}{path}", user=SHOP_READER)
        assert (reply.status, reply.document["reason"]) == (403, "Forbidden")
        assert b"prom-east" not in reply.body


async def test_who_reads_a_namespace_reads_it_in_both_clusters_and_no_other(clusters: Clusters):
    assert "shop/deployment.web@west" in await clusters.api.names("tm", "-n", "shop", user=SHOP_READER)
    run = await clusters.api.kubectl("get", "tm", "-n", "data", user=SHOP_READER)
    assert (run.code, "Forbidden" in run.stderr) == (1, True)


async def test_who_may_read_one_name_reads_that_of_that_cluster_alone(clusters: Clusters):
    item = await clusters.api.document(DEPLOYMENTS, "-n", "shop", "web@west", user=WESTERNER)
    assert _of(item)["cluster"] == "west"
    for asked in (["web"], ["cart@west"], []):
        run = await clusters.api.kubectl("get", DEPLOYMENTS, "-n", "shop", *asked, user=WESTERNER)
        assert (run.code, "Forbidden" in run.stderr) == (1, True), run


async def test_not_found_names_the_cluster_that_has_it(clusters: Clusters):
    run = await clusters.api.kubectl("get", DEPLOYMENTS, "-n", "shop", "cart")
    assert (run.code, run.stdout) == (1, "")
    assert "Error from server (NotFound)" in run.stderr
    assert '"cart" not found; another cluster has one: ask for "cart@west"' in run.stderr


@pytest.fixture
async def cut_off(clusters: Clusters) -> AsyncIterator[Clusters]:
    """The west cannot be reached, and no answer of before is kept; afterwards it can be reached again, and answers are whole."""
    await clusters.west.turn(State.CUT)
    await _until(clusters, whole=False)
    yield clusters
    await clusters.west.turn(State.CLEAR)
    await _until(clusters, whole=True)


async def _until(clusters: Clusters, *, whole: bool) -> None:
    async with asyncio.timeout(10):
        while ((await clusters.warned("get", "tm", "-n", "shop"))[1] == "") is not whole:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_without_the_other_cluster_home_is_told_of_with_a_warning(cut_off: Clusters):
    printed, complaint = await cut_off.warned("get", "tm", "-n", "shop", "-o", "json")
    items = json.loads(printed)["items"]
    assert {item["metadata"]["name"]: _of(item).get("incomplete") for item in items} == {
        "deployment.api": "true",
        "deployment.web": "true",
    }
    (warning,) = complaint.splitlines()
    assert warning.startswith('Warning: cluster "west" did not answer: source "prom-west": ')
    assert f"cannot be reached at http://{cut_off.west.address}" in warning


async def test_without_the_other_cluster_its_rows_are_not_said_to_be_gone(cut_off: Clusters):
    reply = await cut_off.api.proxied(f"{GV}/namespaces/shop/deployments/web@west")
    assert (reply.status, reply.document["reason"]) == (503, "ServiceUnavailable")
    whole = await cut_off.api.proxied(f"{GV}/namespaces/shop/deployments/web")
    assert (whole.status, whole.headers.get("Warning")) == (200, None)


async def test_a_watch_tells_of_both_clusters_and_takes_none_that_fails_for_gone(clusters: Clusters):
    arguments = ("get", "tm", "-n", "shop", "-w", "--output-watch-events")
    async with clusters.api.plane.following(*arguments, user=SHOP_READER) as watching:
        await watching.until_printed(lambda line: "deployment.web@west" in line)
        for state in (State.CUT, State.CLEAR):
            mark = watching.printed()
            await clusters.west.turn(state)
            # That answers lack something is a change of every row, and so is that they do not any more.
            await watching.until_printed(lambda line: line.split()[:2] == ["MODIFIED", "deployment.web"], since=mark, patience=15)
        events = [tuple(line.split()[:2]) for line in watching.lines()][1:]
    assert events[:4] == [("ADDED", f"deployment.{name}") for name in ("api", "cart@west", "web", "web@west")]
    assert {event for event, _ in events[4:]} == {"MODIFIED"}
