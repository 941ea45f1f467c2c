"""What people see when an answer is not what they hoped for, word for word as docs/troubleshooting.md has it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.controlplane.controllers import run_controllers
from tests.controlplane.plane import SERVER, Person, Run
from tests.controlplane.served.api import Api, measured
from tests.controlplane.served.cluster import SHOP_READER, STRANGER, workload
from tests.controlplane.served.mesh import Pod
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, Server, configured, run_server
from tests.doubles.sluggish import run_sluggish
from tests.troubleshooting.page import entries, expect

pytestmark = pytest.mark.real

GROUP = "metrics.smi-spec.io"
PODS = f"{GV}/namespaces/shop/pods"
NOBODY = "--kubeconfig=/dev/null"
SCALED = Pod("shop", "unscaled", "none")


async def directly(api: Api, server: Server, path: str, *more: str, user: Person = SHOP_READER) -> Run:
    """What kubectl makes of the answer of a server that it asks without kube-apiserver."""
    return await api.kubectl("get", "--raw", path, f"--server={server.url}", "--insecure-skip-tls-verify", *more, user=user)


# Who is refused


async def test_who_has_no_right_is_told_which(api: Api):
    for person, arguments in ((STRANGER, ("-n", "shop")), (SHOP_READER, ("-A",))):
        refused = await api.kubectl("get", "tm", *arguments, user=person)
        expect("Forbidden, for the right user", refused.stderr, 0 if person is STRANGER else 1)


async def test_all_namespaces_at_once_take_the_role_that_the_page_binds(api: Api):
    heading = "Forbidden, for the right user"
    (command,) = re.findall(r"`kubectl (create clusterrolebinding .*?) --user=USER`", entries()[heading].body)
    helped, lost = Person("helped-by-the-page"), Person("helped-by-the-wrong-role")
    wrong = command.replace("traffic-of-all", "traffic-of-none").replace("trafficmetrics-reader", "trafficmetrics-cluster-reader")
    try:
        await api.prints(*command.split(), f"--user={helped.name}")
        await api.prints(*wrong.split(), f"--user={lost.name}")
        await until_allowed(api, "trafficmetrics", helped)
        await until_allowed(api, "nodes", lost)
        assert "shop" in await api.prints("get", "tm", "-A", user=helped)
        expect(heading, (await api.kubectl("get", "tm", "-A", user=lost)).stderr, 1)
    finally:
        await api.prints("delete", "clusterrolebinding", "--ignore-not-found", "traffic-of-all", "traffic-of-none")


async def until_allowed(api: Api, resource: str, person: Person) -> None:
    """Wait until kube-apiserver has taken note that this person may list these in all namespaces."""
    for _ in range(50):
        if (await api.kubectl("auth", "can-i", "list", f"{resource}.{GROUP}", "-A", user=person)).code == 0:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{person.name} may not list {resource}")


async def test_who_asks_the_server_itself_and_shows_nothing_is_anonymous(api: Api):
    reply = await api.direct(PODS)
    expect("Forbidden, for system:anonymous", f"{reply.status} {reply.document['message']}")


async def test_a_token_that_nobody_issued_is_not_accepted(api: Api):
    expect("Unauthorized", (await directly(api, api.server, PODS, NOBODY, "--token=nobody-issued-this")).stderr)


async def test_permissions_that_cannot_be_asked_for_are_an_internal_error(api: Api, tmp_path: Path):
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(api.plane.kubeconfig(SERVER).read_text().replace(api.plane.url, "https://127.0.0.1:1"))
    configuration = configured(api.plane, "http://127.0.0.1:1")
    configuration["kubernetes"]["authorizationKubeconfig"] = str(nowhere)
    async with run_server(api.plane, tmp_path, configuration) as server:
        expect("InternalError, with subjectaccessreviews in it", (await directly(api, server, PODS)).stderr)


async def test_a_panel_of_grafana_has_no_data_where_its_account_may_not_ask(api: Api):
    path = f"{GV}/namespaces/shop/grafana/query"
    reply = await api.proxied(path, method="POST", user=STRANGER, body={"targets": []})
    expect("Grafana shows no data", f"{reply.status} {reply.document['message']}")


# Numbers


async def test_a_namespace_without_traffic_has_no_rows(api: Api):
    expect("No resources found", (await api.kubectl("get", "tm", "-n", "nowhere")).stderr)


async def test_an_object_without_traffic_has_dashes(api: Api):
    expect("All values are -", await api.prints("get", "deployments.metrics.smi-spec.io", "-n", "shop", "idle"))


async def test_a_window_of_one_sample_is_warned_of(api: Api):
    run = await api.kubectl("get", "tm", "-n", "shop", "--field-selector=window=1s")
    expect("Warning: a window is too short", run.stderr)


async def test_a_panel_that_adds_what_both_proxies_saw_shows_more(api: Api, prometheus: Prometheus):
    document = await api.document("deployments.metrics.smi-spec.io", "-n", "shop", "web")
    values = measured(document)
    ours = (float(values["success_count"] or 0) + float(values["failure_count"] or 0)) / 10
    web = '{namespace="shop",deployment="web"}'
    both = await ask(prometheus, f"sum(rate(response_total{web}[10s]))")
    received = await ask(prometheus, f"sum(rate(response_total{web[:-1]},direction='inbound'}}[10s]))")
    assert ours == pytest.approx(received, rel=0.02)
    assert both > 1.5 * ours
    expect("Numbers are lower than in Grafana", f"Grafana {both:.0f}rps, kubectl {ours:.0f}rps")


async def ask(prometheus: Prometheus, query: str) -> float:
    """The one value of a query."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{prometheus.url}/api/v1/query", params={"query": query}) as response,
    ):
        (element,) = (await response.json())["data"]["result"]
    return float(element["value"][1])


# Too much, too long, too late


@pytest.fixture(scope="module")
async def complaints(api: Api, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """What kubectl says in the end of a server whose only slot is taken, and of one whose source is away; it asks for ten seconds."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(run_sluggish())
        busy = configured(api.plane, store.url, timeout="30s") | {"server": {"maxRequestsInflight": 1}}
        busy["metrics"] |= {"deadline": "30s"}
        cut_off = configured(api.plane, "http://127.0.0.1:1")
        one = await stack.enter_async_context(run_server(api.plane, tmp_path_factory.mktemp("busy"), busy))
        other = await stack.enter_async_context(run_server(api.plane, tmp_path_factory.mktemp("away"), cut_off))
        taking = asyncio.create_task(Api(api.plane, one).direct(f"{PODS}?window=61s", user=SHOP_READER))
        await store.until(lambda store: store.waiting > 0)
        refused, away = await asyncio.gather(directly(api, one, PODS), directly(api, other, PODS))
        store.go.set()
        await taking
        yield {"busy": refused.stderr, "away": away.stderr}


def test_a_server_without_a_slot_says_so(complaints: dict[str, str]):
    expect("TooManyRequests", complaints["busy"])


def test_a_source_that_is_away_is_named(complaints: dict[str, str]):
    expect("ServiceUnavailable, with the name of a source", complaints["away"])


async def test_a_watch_from_long_ago_has_to_begin_anew(api: Api):
    run = await api.kubectl("get", "--raw", f"{PODS}?watch=true&resourceVersion=1000")
    expect("A watch ends with 410", run.stdout)


# Autoscalers


async def test_an_autoscaler_without_the_metrics_api_says_so(api: Api, kube_controller_manager: str):
    target = workload(SCALED)
    target["spec"]["replicas"] = 1
    flags = ("--horizontal-pod-autoscaler-sync-period=1s", "--use-service-account-credentials=true")
    told: dict[str, Any] = {}
    try:
        await api.plane.apply(target, _autoscaler())
        running = run_controllers(kube_controller_manager, api.plane, "horizontal-pod-autoscaler-controller", flags=flags)
        async with running as controllers:
            for _ in range(60):
                status = await api.prints("get", "hpa", SCALED.owner, "-n", "shop", "-o", "jsonpath={.status.conditions}")
                told = {condition["type"]: condition for condition in json.loads(status or "[]")}
                if "ScalingActive" in told:
                    break
                await asyncio.sleep(0.5)
            assert "ScalingActive" in told, controllers.tail()
    finally:
        await api.prints("delete", "deployment,hpa", SCALED.owner, "-n", "shop")
    active = told["ScalingActive"]
    expect(
        "An autoscaler is unable to get its metric", f"{active['type']} {active['status']} {active['reason']} {active['message']}"
    )


def _autoscaler() -> dict[str, Any]:
    metric = {"metric": {"name": "requests_per_second"}, "target": {"type": "AverageValue", "averageValue": "5"}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": SCALED.owner}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": SCALED.owner, "namespace": SCALED.namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3, "metrics": [{"type": "Pods", "pods": metric}]},
    }
