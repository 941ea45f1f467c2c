"""Reading with kubectl: every way to get and to print that people use works for this API as for any other."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.controlplane.served.api import Api
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

DEPLOYMENTS = "deployments.metrics.smi-spec.io"
BUSY = ["data/api", "shop/api", "shop/web"]
WORKLOADS = ["data/deployment.api", "data/statefulset.db", "shop/deployment.api", "shop/deployment.web"]


async def test_traffic_is_the_first_thing_kubectl_shows(api: Api):
    text = await api.prints("get", "trafficmetrics", "-A")
    header, *rows = [line.split() for line in text.splitlines()]
    assert header == ["NAMESPACE", "NAME", "SUCCESS", "RPS", "P50", "P90", "P99"]
    assert rows[0] == ["data", "deployment.api", "100.00%", "6.0rps", "5ms", "20ms", "100ms"]
    assert [f"{namespace}/{name}" for namespace, name, *_ in rows] == WORKLOADS


@pytest.mark.parametrize("word", ["trafficmetrics", "tm", "trafficmetrics.metrics.smi-spec.io", "traffic"])
async def test_traffic_has_short_names(api: Api, word: str):
    rows = await api.table(word, "-n", "shop")
    assert [name for name, *_ in rows] == ["deployment.api", "deployment.web"]


async def test_wide_adds_columns(api: Api):
    narrow = await api.prints("get", DEPLOYMENTS, "-n", "data")
    wide = await api.prints("get", DEPLOYMENTS, "-n", "data", "-o", "wide")
    assert wide.split() == [
        *narrow.splitlines()[0].split(),
        *("FAILURES", "WINDOW", "SIDE", "SOURCE"),
        *narrow.splitlines()[1].split(),
        *("0", "10s", "server", "mesh"),
    ]


async def test_a_namespace_without_traffic_has_no_resources(api: Api):
    run = await api.kubectl("get", DEPLOYMENTS, "-n", "other")
    assert (run.code, run.stdout, run.stderr) == (0, "", "No resources found in other namespace.\n")


async def test_one_object_is_a_table_of_one_row(api: Api):
    (row,) = await api.table(DEPLOYMENTS, "-n", "data", "api")
    assert row == ["api", "100.00%", "6.0rps", "5ms", "20ms", "100ms"]


async def test_several_objects_by_name_come_in_the_order_asked(api: Api):
    rows = await api.table(DEPLOYMENTS, "-n", "shop", "web", "api")
    assert [name for name, *_ in rows] == ["web", "api"]


async def test_json_and_yaml_hold_the_same_object(api: Api):
    asked = ("get", "statefulsets.metrics.smi-spec.io", "-n", "data", "db")
    from_json = json.loads(await api.prints(*asked, "-o", "json"))
    from_yaml = yaml.safe_load(await api.prints(*asked, "-o", "yaml"))
    assert from_json["kind"] == "TrafficMetrics"
    assert from_json["resource"] == {"kind": "StatefulSet", "namespace": "data", "name": "db"}
    assert from_json["edge"] == {"direction": "from", "side": "server", "resource": {}}
    assert from_json["metadata"]["labels"] == {"app": "db", "tier": "back"}
    assert from_json["window"] == "10s"
    assert set(from_yaml) == set(from_json)
    assert [metric["name"] for metric in from_yaml["metrics"]] == [metric["name"] for metric in from_json["metrics"]]


async def test_a_list_as_json_holds_whole_objects(api: Api):
    listed = await api.document(DEPLOYMENTS, "-A")
    assert listed["kind"] == "List"
    assert [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in listed["items"]] == BUSY
    assert {item["kind"] for item in listed["items"]} == {"TrafficMetrics"}
    assert all(len(item["metrics"]) == 5 and item["timestamp"] and item["edge"] for item in listed["items"])


@pytest.mark.parametrize("asked", [["-n", "shop"], ["-n", "shop", "api", "web"]], ids=["a list", "objects"])
async def test_names_can_be_printed(api: Api, asked: list[str]):
    assert (await api.prints("get", DEPLOYMENTS, *asked, "-o", "name")).split() == [
        "trafficmetrics.metrics.smi-spec.io/api",
        "trafficmetrics.metrics.smi-spec.io/web",
    ]


async def test_a_jsonpath_reaches_into_objects(api: Api):
    path = "{.items[*].metrics[?(@.name=='success_count')].value}"
    assert await api.prints("get", DEPLOYMENTS, "-n", "data", "-o", f"jsonpath={path}") == "60"


async def test_columns_can_be_chosen(api: Api):
    columns = "NAME:.metadata.name,OK:.metrics[3].value,UNIT:.metrics[0].unit"
    text = await api.prints("get", DEPLOYMENTS, "-n", "data", "-o", f"custom-columns={columns}")
    assert text.split() == ["NAME", "OK", "UNIT", "api", "60", "seconds"]


async def test_rows_can_be_printed_with_labels_and_kinds(api: Api):
    text = await api.prints("get", "tm", "-n", "data", "--show-labels", "--show-kind")
    header, *rows = [line.split() for line in text.splitlines()]
    assert header[-1] == "LABELS"
    assert [(row[0].rpartition("/")[2], row[-1]) for row in rows] == [
        ("deployment.api", "app=api,release=7,tier=back"),
        ("statefulset.db", "app=db,tier=back"),
    ]
    assert {row[0].partition("/")[0] for row in rows} == {"trafficmetrics.metrics.smi-spec.io"}


async def test_a_client_can_print_for_itself(api: Api):
    text = await api.prints("get", DEPLOYMENTS, "-n", "shop", "--server-print=false")
    header, *rows = [line.split() for line in text.splitlines()]
    assert header == ["NAME", "AGE"]
    assert [name for name, *_ in rows] == ["api", "web"]


async def test_a_condition_can_be_waited_for(api: Api):
    text = await api.prints("wait", "tm/deployment.web", "-n", "shop", "--for=jsonpath={.window}=10s", "--timeout=30s")
    assert text == "trafficmetrics.metrics.smi-spec.io/deployment.web condition met\n"


async def test_a_condition_that_does_not_come_is_given_up(api: Api):
    run = await api.kubectl("wait", "tm/deployment.web", "-n", "shop", "--for=jsonpath={.window}=1h", "--timeout=2s")
    assert (run.code, run.stdout) == (1, "")
    assert run.stderr == "error: timed out waiting for the condition on trafficmetrics/deployment.web\n"


@pytest.mark.parametrize(
    ("key", "order"),
    [
        pytest.param(".metadata.name", ["api", "api", "web"], id="by name"),
        pytest.param(".metrics[3].value", ["data/api", "shop/web", "shop/api"], id="by successes"),
        pytest.param(".metrics[0].value", ["data/api", "shop/web", "shop/api"], id="by latency"),
    ],
)
async def test_rows_can_be_sorted(api: Api, key: str, order: list[str]):
    rows = await api.table(DEPLOYMENTS, "-A", f"--sort-by={key}")
    assert [f"{row[0]}/{row[1]}" if "/" in order[0] else row[1] for row in rows] == order


@pytest.mark.parametrize("size", [1, 3, 4, 500, 0])
async def test_pages_hold_every_object_once(api: Api, size: int):
    assert await api.names("tm", "-A", f"--chunk-size={size}") == WORKLOADS


async def test_pages_are_asked_for_one_after_the_other(api: Api):
    run = await api.kubectl("get", "tm", "-A", "--chunk-size=3", "-v=6")
    requests = [line for line in run.stderr.splitlines() if "/trafficmetrics?" in line]
    assert len(requests) == 2
    assert "continue=" in requests[1]
    assert len(run.stdout.splitlines()) == 1 + len(WORKLOADS)


async def test_an_object_can_be_described(api: Api):
    text = await api.prints("describe", DEPLOYMENTS, "-n", "shop", "web")
    described = [" ".join(line.split()) for line in text.splitlines()]
    for line in ("Name: web", "Labels: app=web", "Kind: TrafficMetrics", "Name: p99_response_latency", "Window: 10s"):
        assert line in described


async def test_all_objects_can_be_described(api: Api):
    text = await api.prints("describe", "tm", "-n", "shop")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("Name:")] == ["deployment.api", "deployment.web"]


@pytest.mark.parametrize("path", ["", "/namespaces/shop/deployments", "/namespaces", "/namespaces/shop/deployments/web/edges"])
async def test_a_slash_at_the_end_changes_nothing(api: Api, path: str):
    without, with_slash = await api.raw(path), await api.raw(f"{path}/")
    assert without["kind"] == with_slash["kind"]
    for key in ("items", "resources"):
        ids = [
            [(item.get("name"), item.get("resource"), item.get("edge")) for item in found.get(key, ())]
            for found in (without, with_slash)
        ]
        assert ids[0] == ids[1]
    reply = await api.proxied(f"{GV}{path}/")
    assert reply.status == 200


async def test_core_objects_are_not_shadowed(api: Api):
    run = await api.kubectl("get", "pods", "-n", "shop", "-v=6")
    assert run.stdout.split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert "/api/v1/namespaces/shop/pods" in run.stderr
    assert "/apis/metrics.smi-spec.io/v1alpha1/namespaces" not in run.stderr
    for resource in ("deployments", "services", "namespaces", "statefulsets"):
        assert (await api.prints("get", resource, "-n", "shop", "-o", "name")).find("smi-spec") == -1
