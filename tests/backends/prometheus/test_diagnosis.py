"""What the doctor says of a real store, for each fault that a store of a mesh can have, and for none."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from apiservice.doctor import render
from apiservice.sources.examination import Examined
from backends.dialects import Sign, builtin_dialects, load_dialect, parse_dialect, parse_matchers
from backends.dialects.overrides import Overrides, override
from backends.prometheus import PrometheusBackend, PrometheusSettings
from backends.prometheus.diagnosis import diagnose
from metrics_api import Source, Window
from metrics_api.diagnosis import Diagnosis, Finding, Level, Mesh
from tests.backends.prometheus.cases import CASES, NOW, history, mesh, store_of
from tests.doubles.backfill import INSTANT, STEP, exposition, series
from tests.doubles.meshes.all import MESHES
from tests.doubles.stores import victoria_metrics

pytestmark = pytest.mark.real

MINUTE = Window(60)
ISTIO = load_dialect("istio")
OWN = parse_dialect(
    """
    name: own
    views:
    - name: served
      side: server
      requests: other_total
      outcome: [{success: {}}]
      destination: [{Namespace: {name: destination_workload_namespace}}]
    """,
    "own.yaml",
)
OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM


def every_mesh() -> Iterator[str]:
    """Five samples of every mesh there is, each a case of its own."""
    instants = [INSTANT - STEP * back for back in reversed(range(5))]
    for name, double in MESHES.items():
        kept = {f'{text.removesuffix("}")},case="{name}"}}': moves for text, moves in series(double).items()}
        yield exposition(kept, instants).removesuffix("# EOF\n").rstrip()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with store_of(tmp_path_factory.mktemp("cases"), (*CASES.values(), *every_mesh())) as store:
        yield store


def source(url: str, case: str, dialect: str = "istio", **changes: object) -> PrometheusSettings:
    """A source that sees one case alone."""
    ours = Overrides(match=parse_matchers(f'case=~"{case}"'))
    known = None if dialect == "auto" else override(load_dialect(dialect), ours)
    made = PrometheusSettings("mesh", url, known, overrides=ours)
    return replace(made, **changes)  # type: ignore[arg-type] # the names are those of the fields


async def examine(url: str, case: str, dialect: str = "istio", window: Window = MINUTE, **changes: object) -> Diagnosis:
    return await diagnose(source(url, case, dialect, **changes), window, NOW)


def told(diagnosis: Diagnosis) -> list[tuple[Level, str]]:
    return [(finding.level, finding.check) for finding in diagnosis.findings]


FAULTS: dict[str, tuple[Level, str, str, str]] = {
    "no-node": (WARNING, "labels", 'no series has the label "node", which is needed for nodes', "__meta_kubernetes_pod_node_name"),
    "no-source": (WARNING, "labels", '"source_workload", which is needed for workloads (to, from)', "configuration"),
    "no-grpc-status": (WARNING, "trap", "gRPC calls have no grpc_response_status", "tagOverrides"),
    "pod-renamed": (
        PROBLEM,
        "labels",
        'the label "pod", which is needed for pods',
        "overrides: {labels: {pod: kubernetes_pod_name}}",
    ),
    "namespace-exported": (
        PROBLEM,
        "labels",
        '"destination_workload_namespace", which is needed for',
        "overrides: {labels: {destination_workload_namespace: exported_destination_workload_namespace}}",
    ),
    "server-off": (WARNING, "observers", 'callees report nothing: no series has reporter="destination" or "waypoint"', "switch on"),
    "client-off": (WARNING, "observers", 'callers report nothing: no series has reporter="source"', "switch on"),
    "no-latency": (PROBLEM, "latencies", "istio_request_duration_milliseconds has no series", "_bucket"),
    "connections": (PROBLEM, "requests", "only connections are counted (istio_tcp_connections_opened_total)", "read HTTP"),
    "slow": (PROBLEM, "interval", "a sample comes every 1m0s", "metrics.window: 4m0s, or scrape every 15s"),
    "gaps": (WARNING, "gaps", "one comes every 10s, and once none came for 40s", "scrape_duration_seconds"),
    "late": (WARNING, "age", "the newest sample is 1m30s old, though one comes every 10s", "remote write"),
    "ended": (PROBLEM, "dialect", "istio_requests_total (istio) had samples in the last hour", "targets"),
    "doubled": (
        PROBLEM,
        "replicas",
        'there 2 times, told apart by "replica"',
        'overrides: {match: \'case=~"doubled", replica="a"\'}',
    ),
    "doubled-at-once": (PROBLEM, "replicas", 'there 2 times, told apart by "prometheus"', "or let the store deduplicate"),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_a_fault_is_told_with_what_to_do_and_nothing_else_is(url: str, case: str):
    level, check, what, advice = FAULTS[case]
    (finding,) = (await examine(url, case)).findings
    assert (finding.level, finding.check) == (level, check)
    assert what in finding.what
    assert advice in finding.advice


@pytest.mark.parametrize("case", ["healthy", "native", "two-clusters", "alike"])
async def test_nothing_is_wrong_with_a_healthy_store_whatever_form_histograms_have_and_whatever_else_its_labels_tell_apart(
    url: str, case: str
):
    diagnosis = await examine(url, case)
    assert diagnosis.findings == ()
    assert not [able for able in diagnosis.abilities if able.lost]


@pytest.mark.parametrize("name", builtin_dialects())
@pytest.mark.parametrize("configured", ["by name", "auto"])
async def test_nothing_is_wrong_with_a_healthy_mesh_of_any_dialect(url: str, name: str, configured: str):
    diagnosis = await diagnose(source(url, name, "auto" if configured == "auto" else name), Window(120), INSTANT)
    assert diagnosis.findings == ()
    assert diagnosis.facts["dialects"] == name
    assert {able.dialect for able in diagnosis.abilities} == {name}
    assert not [able for able in diagnosis.abilities if able.lost]


@pytest.mark.parametrize("dialect", ["cilium", "auto"])
async def test_series_that_look_like_a_dialect_and_are_of_no_use_are_told(url: str, dialect: str):
    (finding,) = (await examine(url, "hubble-v1", dialect)).findings
    assert (finding.level, finding.check, finding.advice) == (PROBLEM, "trap", "configure httpV2 in its place")


async def test_without_any_code_failures_cannot_be_told(url: str):
    first, second = (await examine(url, "no-code")).findings
    assert (first.level, first.check, second.check) == (PROBLEM, "outcomes", "trap")
    assert '"grpc_response_status" and "response_code"' in first.what


async def test_what_is_lost_is_told_resource_by_resource(url: str):
    abilities = (await examine(url, "server-off")).abilities
    assert {able.resources: (able.told, able.lost) for able in abilities} == {
        "workloads": (("received", "to", "from"), ()),
        "namespaces": (("received", "to", "from"), ()),
        "nodes": (("to",), ("received", "from")),
        "pods": (("to",), ("received", "from")),
        "services": (("received", "from"), ()),
    }


@pytest.mark.parametrize(
    ("window", "found"),
    [
        (19, [(PROBLEM, "interval")]),
        (20, [(WARNING, "interval")]),
        (39, [(WARNING, "interval")]),
        (40, []),
    ],
)
async def test_a_window_of_two_samples_is_the_least_and_of_four_is_enough(url: str, window: int, found: list[object]):
    assert told(await examine(url, "healthy", window=Window(window))) == found


async def test_an_interval_that_is_configured_otherwise_than_it_is_is_told(url: str):
    (finding,) = (await examine(url, "healthy", scrape_interval=30)).findings
    assert (finding.level, finding.check) == (WARNING, "interval")
    assert finding.what == "scrapeInterval: 30s is configured, and a sample comes every 10s"


async def test_the_dialect_of_another_mesh_is_named(url: str):
    (finding,) = (await examine(url, "healthy", "linkerd")).findings
    assert finding == Finding(
        PROBLEM, "mesh", "dialect", "dialect: linkerd is configured, and the series are those of istio", "dialect: istio"
    )


async def test_series_that_only_look_like_those_of_the_dialect_are_another_meshs(url: str):
    # Consul's proxies are Envoys: the counters are there, the tags are Consul's.
    (finding,) = (await diagnose(source(url, "consul", "envoy"), Window(120), INSTANT)).findings
    assert (finding.level, finding.advice) == (PROBLEM, "dialect: consul")


async def test_of_two_meshes_the_one_that_is_not_shown_is_mentioned(url: str):
    diagnosis = await diagnose(source(url, "istio|linkerd", "linkerd"), Window(120), INSTANT)
    assert diagnosis.findings == (
        Finding(
            OK,
            "mesh",
            "dialect",
            "the store keeps istio as well, which this source does not show",
            "dialect: auto shows all; or make it another source",
        ),
    )


async def test_a_dialect_of_ones_own_is_examined_and_the_built_in_one_it_resembles_is_not_mentioned(url: str):
    own = replace(source(url, "no-node"), dialect=replace(source(url, "no-node").dialect or ISTIO, name="acme", signs=()))
    (finding,) = (await diagnose(own, MINUTE, NOW)).findings
    assert finding.what == 'acme: no series has the label "node", which is needed for nodes'


async def test_a_dialect_without_its_signs_is_not_taken_for_another_one_that_counts_by_other_metrics(url: str):
    made = source(url, "istio|linkerd", "linkerd")
    signless = replace(made.dialect or ISTIO, signs=(Sign("response_total", parse_matchers('no_such_label!=""')),))
    diagnosis = await diagnose(replace(made, dialect=signless), Window(120), INSTANT)
    assert diagnosis.facts["dialects"] == "linkerd"
    assert [finding.level for finding in diagnosis.findings] == [OK]


async def test_a_label_that_was_renamed_already_is_advised_by_the_name_the_dialect_has_for_it(url: str):
    ours = Overrides(labels={"pod": "pot"}, match=parse_matchers('case="pod-renamed"'))
    made = PrometheusSettings("mesh", url, override(ISTIO, ours), overrides=ours)
    (finding,) = (await diagnose(made, MINUTE, NOW)).findings
    assert '"pot"' in finding.what
    assert finding.advice == "overrides: {labels: {pod: kubernetes_pod_name}}"


async def test_auto_examines_both_of_two_meshes(url: str):
    diagnosis = await diagnose(source(url, "istio|linkerd", "auto"), Window(120), INSTANT)
    assert diagnosis.findings == ()
    assert diagnosis.facts["dialects"] == "istio, linkerd"
    assert {able.dialect for able in diagnosis.abilities} == {"istio", "linkerd"}


async def test_overrides_that_match_nothing_are_told_apart_from_a_store_that_has_nothing(url: str):
    (finding,) = (await examine(url, "no-such-case")).findings
    assert re.fullmatch(r"it keeps .*, .* and \d+ more, but no series with what overrides.match asks for", finding.what)


async def test_a_store_that_scrapes_nothing_is_told_and_one_of_which_nothing_is_matched(tmp_path: Path):
    with store_of(tmp_path, [history([replace(mesh()[0], name="other_total")], "other")]) as url:
        for dialect, what in (("istio", "no series of istio"), ("auto", "no series of a mesh that is known here")):
            known = None if dialect == "auto" else load_dialect(dialect)
            (finding,) = (await diagnose(PrometheusSettings("mesh", url, known), MINUTE, NOW)).findings
            assert finding.level is PROBLEM
            assert finding.what == f"it keeps {what}, nor does it scrape anything at all"
        ours = Overrides(match=parse_matchers('case="nosuch"'))
        made = PrometheusSettings("mesh", url, override(OWN, ours), overrides=ours)
        (finding,) = (await diagnose(made, MINUTE, NOW)).findings
        assert finding.what == "it keeps own, but no series with what overrides.match asks for"
        assert finding.advice == "correct overrides.match"


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A VictoriaMetrics that keeps some of the cases."""
    with victoria_metrics(tmp_path_factory.mktemp("victoria"), (), retention="100y") as url:
        for case in ("healthy", "pod-renamed", "doubled"):
            lines = [f"{line}000" for line in CASES[case].splitlines()]
            lines.append(f'istio_build{{component="pilot",tag="1.24.1",case="{case}"}} 1 {NOW}000')
            post(url, "/api/v1/import/prometheus", "\n".join(lines))
        post(url, "/internal/force_flush", "")
        yield url


def post(url: str, path: str, body: str) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("POST", path, body.encode())
    assert connection.getresponse().status < 300
    connection.close()


@pytest.mark.parametrize("case", ["healthy", "pod-renamed", "doubled"])
async def test_victoria_metrics_is_examined_as_well_and_its_parameters_narrow_it(victoria: str, case: str):
    made = PrometheusSettings("mesh", victoria, load_dialect("istio"), params={"extra_label": f"case={case}"})
    diagnosis = await diagnose(made, MINUTE, NOW)
    assert diagnosis.facts["product"] == "VictoriaMetrics"
    assert (diagnosis.meshes, diagnosis.namespaces) == ((Mesh("Istio", "istio", ("1.24.1",)),), frozenset({"shop"}))
    assert told(diagnosis) == ([FAULTS[case][:2]] if case in FAULTS else [])


SCREEN = """\
mesh: Prometheus VERSION at URL, answered in N ms; istio; a sample every 10s
  workloads, namespaces, nodes  received, to, from
  pods                          - (not received, to, from)
  services                      received, from
  problem  istio: no series has the label "pod", which is needed for pods
           -> overrides: {labels: {pod: kubernetes_pod_name}}
  warning  a sample comes every 10s: a window of 30s has no numbers as soon as one is late
           -> metrics.window: 40s, or scrape every 7s

1 problem and 1 warning, for a window of 30s"""


async def test_the_screen_of_a_store_with_two_faults(url: str):
    window = Window(30)
    mesh = Source(PrometheusBackend(source(url, "pod-renamed")), type="prometheus")
    screen = render([Examined(mesh, await examine(url, "pod-renamed", window=window))], window, "text", 120)
    for pattern, word in ((re.escape(url), "URL"), (r"Prometheus \S+", "Prometheus VERSION"), (r"\d+ ms", "N ms")):
        screen = re.sub(pattern, word, screen, count=1)
    assert screen == SCREEN
