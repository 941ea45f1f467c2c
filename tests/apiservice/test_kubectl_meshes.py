"""The command as a newcomer runs it, with a URL and nothing else, over a real Prometheus that keeps two meshes: what kubectl shows.

The samples are of an instant in the past, which every question names, so that each number is known.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from metrics_api import timestamp
from tests.apiservice.test_command import free_port, running
from tests.apiservice.test_kubectl_standalone import Kubectl, kubectl_for
from tests.doubles.backfill import INSTANT, backfilled_prometheus
from tests.truth.written import Series, counted, observed

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH"),
]

THEN = f"time={timestamp(INSTANT)},window=1m"
WEB = {"direction": "inbound", "tls": "true", "namespace": "shop", "deployment": "web"}
BOOKS = {"reporter": "destination", "destination_workload": "books", "destination_workload_namespace": "library"}
STATUS = {"response_code": "200"}
PROVENANCE = ("source", "dialect", "effective-window", "staleness")


def kept() -> Series:
    """Linkerd's web, 9 a second and 1 failing; Istio's books, 5 a second; and a database that only has connections."""
    db = {"reporter": "destination", "destination_workload": "db", "destination_workload_namespace": "library"}
    return {
        **counted("response_total", 9, **WEB, classification="success"),
        **counted("response_total", 1, **WEB, classification="failure"),
        **observed("response_latency_ms", {"10": 10}, **WEB),
        **counted("istio_requests_total", 5, **BOOKS, **STATUS),
        **observed("istio_request_duration_milliseconds", {"100": 5}, **BOOKS, **STATUS),
        **counted("istio_tcp_connections_opened_total", 2, **db),
    }


@pytest.fixture(scope="module")
async def kubectl(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kubectl]:
    """A kubectl whose server found its dialects out itself."""
    folder: Path = tmp_path_factory.mktemp("meshes")
    alone = ("--kubernetes-enabled", "false", "--insecure-port", str(free_port()))
    with backfilled_prometheus(folder, kept()) as url, running("serve", "--prometheus-url", url, *alone) as (_, served):
        yield kubectl_for(int(served.rpartition(":")[2]), folder / "home")


async def test_two_meshes_are_one_table(kubectl: Kubectl):
    got = await kubectl("get", "trafficmetrics", "-A", "--field-selector", THEN)
    assert got.code == 0, got.err
    assert got.table == [
        ["NAMESPACE", "NAME", "SUCCESS", "RPS", "P50", "P90", "P99"],
        ["library", "deployment.books", "100.00%", "5.0rps", "50ms", "90ms", "99ms"],
        ["library", "deployment.db", "-", "-", "-", "-", "-"],
        ["shop", "deployment.web", "90.00%", "10.0rps", "5ms", "9ms", "10ms"],
    ]


async def test_every_object_says_where_its_numbers_come_from(kubectl: Kubectl):
    told = "".join(rf" {{.metadata.annotations.metrics\.smi-spec\.io/{name}}}" for name in PROVENANCE)
    rows = f'jsonpath={{range .items[*]}}{{.metadata.name}}{told}{{"\\n"}}{{end}}'
    got = await kubectl("get", "trafficmetrics", "-A", "--field-selector", THEN, "-o", rows)
    assert got.code == 0, got.err
    assert got.table == [
        ["deployment.books", "prometheus", "istio", "1m0s", "0s"],
        ["deployment.db", "prometheus", "istio", "1m0s", "0s"],
        ["deployment.web", "prometheus", "linkerd", "1m0s", "0s"],
    ]
    wide = await kubectl("get", "trafficmetrics", "-A", "--field-selector", THEN, "-o", "wide")
    assert [row[-1] for row in wide.table] == ["SOURCE", *["prometheus"] * 3]


async def test_what_has_connections_alone_is_null_and_kubectl_says_why(kubectl: Kubectl):
    arguments = ("get", "deployments.metrics.smi-spec.io", "-n", "library", "--field-selector", f"{THEN},metadata.name=db")
    got = await kubectl(*arguments, "-o", "jsonpath={.items[*].metrics}")
    assert got.out.count('"value":null') == 5
    assert "connections and bytes alone (TCP)" in got.err


async def test_what_no_mesh_in_the_store_can_tell_is_refused_with_both_reasons(kubectl: Kubectl):
    got = await kubectl("get", "cronjobs.metrics.smi-spec.io", "-A", "--field-selector", THEN)
    assert got.code == 1
    assert "dialect istio" in got.err
    assert "dialect linkerd" in got.err
