"""The source against a metrics-api that is really Linkerd's, when there is one.

``TRAFFICMETRICS_TEST_VIZ`` is its host and port; ``TRAFFICMETRICS_TEST_VIZ_PROMETHEUS`` the URL of the Prometheus behind it, with which its
rows are compared then. Nothing is changed in the cluster, and nothing is known of it: what is right is right for every cluster.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator

import pytest

from backends.linkerd.backend import LinkerdBackend
from backends.linkerd.settings import LinkerdSettings
from metrics_api import Answer, BackendForgot, BackendRefused, ResourceRef, Sample, Window
from metrics_api.diagnosis import Level
from tests.doubles.linkerd.promql import of_objects, stat_queries
from tests.doubles.linkerd.schema import message
from tests.doubles.linkerd.store import Row, Store
from tests.doubles.linkerd.truth import VIZ_QUANTILES
from tests.doubles.mesh_truth import Asked
from tests.truth.questions import query_of

ADDRESS = os.environ.get("TRAFFICMETRICS_TEST_VIZ", "")
PROMETHEUS = os.environ.get("TRAFFICMETRICS_TEST_VIZ_PROMETHEUS", "")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not ADDRESS, reason="TRAFFICMETRICS_TEST_VIZ names no metrics-api of Linkerd viz, as host:port"),
]
needs_prometheus = pytest.mark.skipif(not PROMETHEUS, reason="TRAFFICMETRICS_TEST_VIZ_PROMETHEUS is not the URL of its Prometheus")

MINUTE = Window(60)
KINDS = (
    "Namespace",
    "Pod",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "CronJob",
    "ReplicaSet",
    "ReplicationController",
    "Service",
)
_NOWHERE = "no-such-namespace"


@pytest.fixture(scope="module")
async def real() -> AsyncIterator[LinkerdBackend]:
    """The source that asks it."""
    async with LinkerdBackend(LinkerdSettings(name="viz", address=ADDRESS)) as backend:
        yield backend


async def answer(real: LinkerdBackend, asked: Asked, window: Window = MINUTE) -> Answer:
    """What it says about now."""
    return await real.answer(query_of(asked, window, int(time.time())))


async def busiest(real: LinkerdBackend) -> ResourceRef:
    """The Deployment that received the most."""
    received = {
        each.resource: (each.success or 0) + (each.failure or 0) for each in (await answer(real, Asked(("Deployment",)))).samples
    }
    if not any(received.values()):
        pytest.skip("no Deployment received anything")
    return max(received, key=lambda ref: received[ref])


def edges_of(ref: ResourceRef, direction: str = "") -> Asked:
    """The question about the edges of one object."""
    return Asked((ref.kind,), edges=True, direction=direction, namespace=ref.namespace, name=ref.name)


def wrong(sample: Sample) -> list[str]:
    """What no row of viz can say."""
    latency = sample.latency
    values = [latency.quantile(quantile) for quantile in VIZ_QUANTILES] if latency else []
    known = [value for value in values if value is not None]
    return [
        *(
            f"{sample.resource}: {count} requests"
            for count in (sample.success, sample.failure)
            if count is None or count % 1 or count < 0
        ),
        *(f"{sample.resource}: {value}s" for value in known if value <= 0 or abs(value * 1000 - round(value * 1000)) > 1e-9),
        *([f"{sample.resource}: {known} do not rise"] if known != sorted(known) else []),
        *([f"{sample.resource}: a p90"] if latency and latency.quantile(0.9) is not None else []),
    ]


async def test_it_is_well(real: LinkerdBackend):
    found = await real.diagnose(MINUTE)
    assert not [finding for finding in found.findings if finding.level is Level.PROBLEM]


@pytest.mark.parametrize("kind", KINDS)
async def test_totals_of_every_kind_are_numbers_that_viz_can_say(real: LinkerdBackend, kind: str):
    found = await answer(real, Asked((kind,)))
    assert not [complaint for sample in found.samples for complaint in wrong(sample)]
    assert {sample.resource.kind for sample in found.samples} <= {kind}
    assert not found.incomplete


async def test_namespaces_narrow_and_names_as_well(real: LinkerdBackend):
    ref = await busiest(real)
    inside = await answer(real, Asked(("Deployment",), namespace=ref.namespace))
    assert {sample.resource.namespace for sample in inside.samples} == {ref.namespace}
    alone = await answer(real, Asked(("Deployment",), namespace=ref.namespace, name=ref.name))
    assert [sample.resource for sample in alone.samples] == [ref]


async def test_what_does_not_exist_has_no_row(real: LinkerdBackend):
    assert (await answer(real, Asked(("Deployment",), namespace=_NOWHERE, name="nothing"))).samples == ()
    assert (await answer(real, Asked(("Pod",), namespace=_NOWHERE))).samples == ()


async def test_an_edge_is_the_same_from_both_its_ends(real: LinkerdBackend):
    ref = await busiest(real)
    callers = [each for each in (await answer(real, edges_of(ref, "from"))).samples if each.success and each.success > 10]
    if not callers:
        pytest.skip("nobody in the mesh called it")
    for sample in callers:
        assert not wrong(sample)
        back = await answer(real, edges_of(sample.peer, "to"))
        (mirror,) = [each for each in back.samples if each.peer == ref]
        assert mirror.side == sample.side == "client"
        assert mirror.success == pytest.approx(sample.success, rel=0.2)


async def test_an_edge_with_identities_has_both_or_a_reason(real: LinkerdBackend):
    ref = await busiest(real)
    known = [each.identities for each in (await answer(real, edges_of(ref))).samples if each.identities]
    assert not [who for who in known if not who.insecure and not (who.client and who.server)]


async def test_the_past_is_forgotten(real: LinkerdBackend):
    with pytest.raises(BackendForgot):
        await real.answer(query_of(Asked(("Deployment",)), MINUTE, int(time.time()) - 3600))


@needs_prometheus
async def test_a_window_shorter_than_the_interval_of_scraping_is_refused(real: LinkerdBackend):
    store = Store(PROMETHEUS, None)
    store.open()
    reason = await store.refusal("1s")
    await store.close()
    if not reason:
        pytest.skip("its Prometheus scrapes every second")
    with pytest.raises(BackendRefused, match="too short"):
        await answer(real, Asked(("Deployment",)), Window(1))


@needs_prometheus
@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset", "pod"])
async def test_rows_are_those_of_its_prometheus(real: LinkerdBackend, kind: str):
    """Time goes on between two answers, so Prometheus is asked before and after."""
    name = {"statefulset": "StatefulSet", "daemonset": "DaemonSet"}.get(kind, kind.title())
    request = message("StatSummaryRequest")(selector={"resource": {"type": kind}}, time_window="60s")
    queries = stat_queries(of_objects(request), "60s", tcp=False)
    store = Store(PROMETHEUS, None)
    store.open()
    try:
        before = {what: await store.query(query) for what, query in queries.items()}
        found = await answer(real, Asked((name,)))
        after = {what: await store.query(query) for what, query in queries.items()}
    finally:
        await store.close()
    counted, again = _successes(before["requests"], kind), _successes(after["requests"], kind)
    compared = 0
    for sample in found.samples:
        place = (sample.resource.namespace, sample.resource.name)
        if place in counted and place in again:
            compared += 1
            low, high = sorted((counted[place], again[place]))
            assert sample.success is not None
            assert low * 0.95 - 2 <= sample.success <= high * 1.05 + 2, place
            told = sample.latency.quantile(0.5) if sample.latency else None
            possible = [_median(rows, kind, place) for rows in (before["latency_ms_p50"], after["latency_ms_p50"])]
            assert told in possible, place
    assert compared == len(
        {(ref.namespace, ref.name) for ref in (each.resource for each in found.samples)} & counted.keys() & again.keys()
    )


def _successes(rows: list[Row], kind: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        place = (row.labels.get("namespace", ""), row.labels.get(kind, ""))
        found[place] = found.get(place, 0.0) + (row.whole if row.labels.get("classification") == "success" else 0)
    return found


def _median(rows: list[Row], kind: str, place: tuple[str, str]) -> float | None:
    """The median in seconds, as viz has it."""
    found = [row.whole / 1000 for row in rows if (row.labels.get("namespace", ""), row.labels.get(kind, "")) == place]
    return found[0] if found and found[0] else None
