"""What the doctor says of Linkerd viz, each finding seen on a server that gives cause for it."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

import grpc
import pytest

from backends.linkerd import LinkerdBackend
from backends.linkerd import viz_pb2 as viz
from backends.linkerd.diagnosis import diagnose
from backends.linkerd.settings import LinkerdSettings
from backends.transport import TlsSettings
from metrics_api import TrafficQuery, Window
from metrics_api.diagnosis import Diagnosis, Finding, Level, Mesh
from tests.backends.linkerd.checks import SHOP, Refusal, Script, check, edge, pod, row, serve
from tests.doubles.backfill import INSTANT
from tests.doubles.linkerd import VizDouble, run_viz
from tests.doubles.linkerd.fleet import fleet_cluster

HALF_A_MINUTE = Window(30)
OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM
QUERY = 'Query failed: "max(process_start_time_seconds{pod=\\"web\\"}) by (pod, namespace)": '


async def examined(script: Script, window: Window = HALF_A_MINUTE, **settings: object) -> Diagnosis:
    async with serve(script) as address:
        return await diagnose(replace(LinkerdSettings("viz", address), **settings), window)


def found(diagnosis: Diagnosis, check: str) -> Finding:
    (finding,) = (finding for finding in diagnosis.findings if finding.check == check)
    return finding


def told(diagnosis: Diagnosis) -> set[tuple[Level, str]]:
    return {(finding.level, finding.check) for finding in diagnosis.findings}


async def test_of_a_mesh_that_is_well_there_is_little_to_say():
    diagnosis = await examined(Script())
    assert told(diagnosis) == {(OK, "percentiles")}
    assert diagnosis.level is OK
    assert diagnosis.summary.startswith("Linkerd viz at 127.0.0.1:")
    assert diagnosis.summary.endswith(" ms; 6 namespaces, 10 of 19 pods in the mesh")
    facts = dict(diagnosis.facts)
    assert str(facts.pop("address")).startswith("127.0.0.1:")
    assert 0 <= facts.pop("milliseconds") < 4000
    assert 0 <= facts.pop("secondsPerList") < 1
    assert facts == {
        "type": "linkerd",
        "dialects": "viz",
        "namespaces": 6,
        "pods": 19,
        "meshedPods": 10,
        "connections": 1,
        "mutualTls": 1,
    }


async def test_it_says_what_can_be_asked():
    able = {able.resources: (able.told, able.lost) for able in (await examined(Script())).abilities}
    assert able == {
        "workloads": (("received", "to", "from"), ()),
        "pods": (("received", "to", "from"), ()),
        "namespaces": (("received", "to", "from"), ()),
        "services": (("received", "from"), ()),
        "nodes": ((), ()),
    }


async def test_it_names_the_mesh_its_versions_and_where_it_is():
    pods = [pod("shop/web-1", version="stable-2.14.0"), pod("shop/api-1", version="stable-2.9.1"), pod("shop/db-1", namespace="")]
    diagnosis = await examined(Script(pods=pods))
    assert diagnosis.meshes == (Mesh("Linkerd", "viz", ("stable-2.9.1", "stable-2.14.0"), "proxy"),)
    assert diagnosis.namespaces == {"idle", "data", "shop", "linkerd", "linkerd-viz"}


async def test_the_dialect_is_that_of_what_it_answers():
    script = Script(rows={"deployment": [viz_row("deployment", "shop", "web")]})
    async with serve(script) as address, LinkerdBackend(LinkerdSettings("viz", address)) as backend:
        (sample,) = (await backend.answer(TrafficQuery(("Deployment",), HALF_A_MINUTE, int(time.time())))).samples
        (mesh,) = (await backend.diagnose(HALF_A_MINUTE)).meshes
    assert sample.dialect == mesh.dialect


def viz_row(kind: str, namespace: str, name: str) -> viz.StatTable.PodGroup.Row:
    found = row(name, 1)
    found.resource.MergeFrom(viz.Resource(type=kind, namespace=namespace))
    return found


async def test_the_namespace_that_is_looked_at_is_the_busiest_that_is_not_linkerds_own():
    script = Script()
    async with serve(script) as address:
        named = address.replace("127.0.0.1", "metrics-api.linkerd-viz.localhost")
        await diagnose(LinkerdSettings("viz", named), HALF_A_MINUTE)
    asked = [request for request in script.asked if isinstance(request, viz.StatSummaryRequest)]
    places = {request.selector.resource.namespace or request.to_resource.name or request.from_resource.name for request in asked}
    assert places == {"", "shop"}


async def test_windows_are_asked_for_in_whole_seconds():
    script = Script()
    await examined(script, Window(90))
    assert {request.time_window for request in script.asked if isinstance(request, viz.StatSummaryRequest)} == {"90s"}


async def test_nobody_there():
    diagnosis = await diagnose(LinkerdSettings("viz", "127.0.0.1:1"), HALF_A_MINUTE)
    assert told(diagnosis) == {(PROBLEM, "reach")}
    assert found(diagnosis, "reach").what == "it cannot be reached at 127.0.0.1:1"
    assert "lets us in" in found(diagnosis, "reach").advice


async def test_somebody_who_never_answers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.linkerd.diagnosis._FIRST_ANSWER", 0.2)
    diagnosis = await examined(Script(slow={"SelfCheck": 5}))
    assert told(diagnosis) == {(PROBLEM, "reach")}
    assert "does not answer within 0.2s" in found(diagnosis, "reach").what


async def test_what_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.linkerd.diagnosis._DEADLINE", 0.3)
    diagnosis = await examined(Script(slow={"StatSummary": 5}))
    assert told(diagnosis) == {(WARNING, "time")}
    assert "milliseconds" in diagnosis.facts


@pytest.mark.parametrize("code", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED], ids=lambda code: code.name)
async def test_a_policy_of_the_mesh_that_keeps_us_out(code: grpc.StatusCode):
    diagnosis = await examined(Script(refusals={"SelfCheck": Refusal(code, "unauthorized request on route")}))
    assert told(diagnosis) == {(PROBLEM, "access")}
    finding = found(diagnosis, "access")
    for word in ("AuthorizationPolicy", "MeshTLSAuthentication", "deploy/linkerd", "inject"):
        assert word in f"{finding.what} {finding.advice}"


async def test_something_else_that_speaks_grpc():
    diagnosis = await examined(Script(refusals={"SelfCheck": Refusal(grpc.StatusCode.UNIMPLEMENTED, "unknown service")}))
    assert told(diagnosis) == {(PROBLEM, "reach")}
    assert "metrics-api of Linkerd viz" in found(diagnosis, "reach").what


async def test_something_that_speaks_no_grpc():
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        diagnosis = await diagnose(LinkerdSettings("viz", f"{host}:{port}"), HALF_A_MINUTE)
    assert told(diagnosis) == {(PROBLEM, "reach")}


async def test_a_file_of_tls_that_is_not_there():
    diagnosis = await diagnose(LinkerdSettings("viz", "127.0.0.1:1", tls=TlsSettings(ca_file="/nowhere/ca.crt")), HALF_A_MINUTE)
    assert found(diagnosis, "access").what == 'the file "/nowhere/ca.crt" of "tls" cannot be read'


@pytest.mark.parametrize("status", [viz.FAIL, viz.ERROR], ids=["fail", "error"])
async def test_a_prometheus_that_does_not_answer_it(status: viz.CheckStatus):
    why = f'{QUERY}Post "http://prometheus:9090/api/v1/query": dial tcp: lookup prometheus: no such host'
    checks = [check("kubernetes"), check("prometheus", status, f"Error calling Prometheus from the control plane: {why}")]
    script = Script(checks=checks)
    diagnosis = await examined(script)
    assert told(diagnosis) == {(PROBLEM, "prometheus")}
    what = found(diagnosis, "prometheus").what
    assert what.startswith("its Prometheus does not answer it: Post ")
    assert what.endswith("no such host")
    assert "process_start_time_seconds" not in what


async def test_a_kubernetes_that_does_not_answer_it():
    message = "Error calling the Kubernetes API: pods is forbidden"
    diagnosis = await examined(Script(checks=[check("kubernetes", viz.ERROR, message), check("prometheus")]))
    assert told(diagnosis) == {(PROBLEM, "kubernetes")}
    assert found(diagnosis, "kubernetes").what == "it cannot read the objects of the cluster: pods is forbidden"


async def test_without_a_prometheus_it_is_not_asked_for_numbers():
    script = Script(checks=[check("kubernetes")])
    diagnosis = await examined(script)
    assert told(diagnosis) == {(PROBLEM, "prometheus")}
    assert "prometheusUrl" in found(diagnosis, "prometheus").advice
    assert [type(request).__name__ for request in script.asked] == ["SelfCheckRequest"]


async def test_a_check_that_nobody_knew_of():
    diagnosis = await examined(Script(checks=[check("kubernetes"), check("prometheus"), check("tap", viz.FAIL, "gone.")]))
    assert found(diagnosis, "tap").what == "its check of tap fails: gone"


async def test_a_window_that_is_shorter_than_a_scrape():
    diagnosis = await examined(Script(later=list(SHOP["namespace"])), Window(5))
    problem = found(diagnosis, "interval")
    assert problem.level is PROBLEM
    assert "5s" in problem.what
    assert "every 10s" in problem.what
    # What can be said for a window that is long enough is said all the same.
    assert diagnosis.abilities


async def test_a_window_that_holds_one_scrape():
    diagnosis = await examined(Script(), Window(15))
    assert found(diagnosis, "interval").level is WARNING
    assert found(diagnosis, "interval").advice == "metrics.window: 40s"


@pytest.mark.parametrize(("interval", "advice"), [(5, ""), (8, "metrics.window: 32s"), (60, "metrics.window: 4m0s")])
async def test_how_often_its_prometheus_scrapes_is_what_was_configured(interval: int, advice: str):
    diagnosis = await examined(Script(), Window(15), scrape_interval=interval)
    assert [finding.advice for finding in diagnosis.findings if finding.check == "interval"] == ([advice] if advice else [])


async def test_a_failure_behind_it():
    refusals = {"StatSummary": Refusal(grpc.StatusCode.UNKNOWN, f"{QUERY}server_error: 503")}
    diagnosis = await examined(Script(refusals=refusals))
    assert found(diagnosis, "reach").what.startswith("the Prometheus of Linkerd viz")
    assert "process_start_time" not in f"{diagnosis}"


async def test_nobody_in_the_mesh_but_linkerd_itself():
    rows = {**SHOP, "namespace": [row("shop", meshed=0, running=5), row("linkerd", 10)]}
    diagnosis = await examined(Script(rows=rows))
    assert told(diagnosis) == {(PROBLEM, "mesh")}
    assert found(diagnosis, "mesh").what == "none of the 5 pods outside of Linkerd itself is in its mesh"
    assert "linkerd.io/inject: enabled" in found(diagnosis, "mesh").advice


async def test_pods_that_are_not_in_the_mesh_beside_others():
    rows = {**SHOP, "namespace": [row("shop", 100, meshed=2, running=5)]}
    finding = found(await examined(Script(rows=rows)), "mesh")
    assert finding.level is OK
    assert finding.what.endswith("in shop")


QUIET = {"namespace": [row("shop"), row("linkerd", 10)]}


async def test_nobody_has_called_of_late():
    diagnosis = await examined(Script(rows=QUIET, later=[row("shop", 7)]))
    assert told(diagnosis) == {(WARNING, "requests")}
    assert found(diagnosis, "requests").what == "no request was counted in the last 30s, and there were some in the last 10m0s"


async def test_nobody_seems_to_have_called_in_a_window_that_may_hold_one_scrape():
    diagnosis = await examined(Script(rows=QUIET, later=[row("shop", 7)]), Window(15))
    assert told(diagnosis) == {(WARNING, "interval"), (PROBLEM, "requests")}


async def test_nobody_calls():
    diagnosis = await examined(Script(rows=QUIET, later=[row("shop"), row("linkerd", 99)]))
    assert told(diagnosis) == {(WARNING, "requests")}
    assert found(diagnosis, "requests").what == "no request was counted in the last 10m0s"


async def test_a_prometheus_that_does_not_scrape_the_mesh():
    pods = [pod("shop/web-1", scraped=False), pod("shop/api-1", scraped=False), pod("shop/cron-1", namespace="")]
    diagnosis = await examined(Script(rows=QUIET, later=[row("shop")], pods=pods))
    assert told(diagnosis) == {(PROBLEM, "series")}
    assert (
        found(diagnosis, "series").what
        == "its Prometheus has nothing of the proxies of the 2 pods in the mesh, so that all counts are 0"
    )
    assert "prometheusUrl" in found(diagnosis, "series").advice


@pytest.mark.parametrize(("kind", "resources"), [("deployment", "workloads"), ("pod", "pods")])
async def test_series_that_do_not_name_what_they_are_of(kind: str, resources: str):
    diagnosis = await examined(Script(rows={**SHOP, kind: [row("web")]}))
    assert told(diagnosis) == {(PROBLEM, "labels"), (OK, "percentiles")}
    assert f"none of its {resources}" in found(diagnosis, "labels").what
    assert "relabel_configs" in found(diagnosis, "labels").advice
    (able,) = (able for able in diagnosis.abilities if able.resources == resources)
    assert (able.told, able.lost) == (("to", "from"), ("received",))


async def test_requests_without_latencies():
    rows = {**SHOP, **{kind: [row("web", 60, milliseconds=0)] for kind in ("deployment", "pod")}}
    finding = found(await examined(Script(rows=rows)), "latencies")
    assert (finding.level, finding.advice) == (WARNING, "metrics.window: 1m0s")


async def test_nobody_in_the_mesh_calls():
    diagnosis = await examined(Script(rows={**SHOP, "to": [], "from": []}))
    assert told(diagnosis) == {(WARNING, "peers"), (OK, "percentiles")}
    assert "ingress" in found(diagnosis, "peers").advice
    assert {able.lost for able in diagnosis.abilities} == {("to", "from"), ("from",), ()}


async def test_p90_is_not_told_and_where_it_is_to_be_had():
    finding = found(await examined(Script()), "percentiles")
    assert "no p90" in finding.what
    assert "type: prometheus" in finding.advice
    assert "dialect: linkerd" in finding.advice


async def test_connections_that_are_not_secured():
    diagnosis = await examined(Script(edges=[edge(), edge("Not Provided By Service Discovery"), edge()]))
    assert found(diagnosis, "identities").what.startswith("1 of the 3 connections looked at have no mutual TLS: Not Provided")
    assert (diagnosis.facts["connections"], diagnosis.facts["mutualTls"]) == (3, 2)


async def test_identities_that_are_not_wanted_are_not_asked_for():
    script = Script()
    await examined(script, identities=False)
    assert not [request for request in script.asked if isinstance(request, viz.EdgesRequest)]


@pytest.mark.parametrize(("call", "check"), [("Edges", "identities"), ("ListPods", "pods")])
async def test_what_is_of_less_use_may_fail(call: str, check: str):
    diagnosis = await examined(Script(refusals={call: Refusal(grpc.StatusCode.INTERNAL, "boom")}))
    assert told(diagnosis) >= {(WARNING, check), (OK, "percentiles")}
    assert diagnosis.abilities


async def test_a_list_that_takes_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.linkerd.findings._SLOW", 0.1)
    diagnosis = await examined(Script(slow={"StatSummary": 0.15}))
    assert found(diagnosis, "load").level is WARNING
    assert "19 pods" in found(diagnosis, "load").what


async def test_a_cluster_with_many_pods():
    rows = {**SHOP, "namespace": [row("shop", 100, meshed=4_000, running=4_000)]}
    finding = found(await examined(Script(rows=rows)), "load")
    assert finding.level is OK
    assert "4000 pods" in finding.what
    assert "covers" in finding.advice


async def test_what_it_said_in_its_own_words_is_in_the_log_alone(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "backends.linkerd")
    secret = f"{QUERY}server_error: s3cr3t"
    diagnosis = await examined(Script(refusals={"StatSummary": Refusal(grpc.StatusCode.UNKNOWN, secret)}))
    assert "s3cr3t" not in f"{diagnosis}"
    assert "s3cr3t" in caplog.text


@pytest.mark.real
async def test_of_a_fleet_in_a_real_prometheus_it_says_who_is_in_the_mesh_and_what_can_be_asked(viz_double: VizDouble):
    diagnosis = await diagnose(LinkerdSettings("viz", viz_double.address), Window(60))
    assert told(diagnosis) == {(OK, "mesh"), (OK, "percentiles"), (OK, "identities")}
    assert diagnosis.namespaces == {"shop", "ledger", "odd"}
    assert [able.lost for able in diagnosis.abilities] == [()] * 5
    assert 0 < diagnosis.facts["meshedPods"] < diagnosis.facts["pods"]


@pytest.mark.real
async def test_of_a_fleet_whose_prometheus_is_gone_it_says_that():
    async with run_viz(fleet_cluster(), "http://127.0.0.1:1", instant=INSTANT) as viz_alone:
        diagnosis = await diagnose(LinkerdSettings("viz", viz_alone.address), Window(60))
    assert told(diagnosis) == {(PROBLEM, "prometheus")}
    assert "process_start_time" not in f"{diagnosis}"
