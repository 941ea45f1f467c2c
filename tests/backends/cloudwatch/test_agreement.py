"""One fleet in several stores: what CloudWatch and X-Ray tell of a minute is what Prometheus tells of it, and all is what happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.backends.cloudwatch.agreement import INSTANT, MINUTE, Stores, keyed, open_stores, pairs, same_counts, same_percentiles
from tests.doubles.cloudwatch_fleet import Signals
from tests.doubles.mesh_truth import Asked, refused, rows
from tests.doubles.xray_fleet import Traced
from tests.truth.comparison import wrong_counts, wrong_percentiles, wrong_rows
from tests.truth.questions import QUESTIONS, query_of

pytestmark = pytest.mark.real

KNOWN = {mesh.name: mesh for mesh in (Signals(), Traced())}
ANSWERABLE = {
    f"{source}-{title}": (source, asked)
    for source, mesh in KNOWN.items()
    for title, asked in QUESTIONS.items()
    if not refused(mesh, asked)
}
SHARED = {title: (source, replace(asked, side="client" if asked.edges else "")) for title, (source, asked) in ANSWERABLE.items()}
"""The same, of the end that all stores have: of edges, what callers saw."""


@pytest.fixture(scope="module")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stores]:
    """The stores and the sources over them."""
    async with open_stores(tmp_path_factory.mktemp("prometheus")) as opened:
        yield opened


@pytest.mark.parametrize(("source", "asked"), ANSWERABLE.values(), ids=ANSWERABLE)
async def test_cloudwatch_answers_the_truth(stores: Stores, source: str, asked: Asked):
    mesh = KNOWN[source]
    want = {key: truth for key, truth in rows(mesh, asked).items() if source != "xray" or truth.success or truth.failure}
    found = await stores.sources[source].answer(query_of(asked, MINUTE, INSTANT))
    assert (found.instant, found.window, found.incomplete) == (INSTANT, MINUTE, False)
    got = keyed(found)
    assert not wrong_rows(got, want)
    assert not wrong_counts(got, want, MINUTE.seconds, error=1e-12)
    if source == "xray":
        assert not wrong_percentiles(mesh, got, want, margin=1e-9)
        assert {sample.marks for sample in found.samples} <= {frozenset({"sampled"})}
        assert [warning for warning in found.warnings if "a sample" in warning] == list(found.warnings)
        assert len(found.warnings) == 1
    elif asked.kinds == ("Namespace",):
        lost = {sample.resource.name for sample in got.values() if sample.latency is None and sample.success}
        (warning,) = found.warnings
        assert "cannot be added up" in warning
        assert lost
        assert all(name in warning for name in lost)
    else:
        assert not wrong_percentiles(mesh, got, want, margin=1e-9)
        assert found.warnings == ()


@pytest.mark.parametrize(("source", "asked"), SHARED.values(), ids=SHARED)
async def test_cloudwatch_and_prometheus_agree(stores: Stores, source: str, asked: Asked):
    query = query_of(asked, MINUTE, INSTANT)
    ours, theirs = keyed(await stores.sources[source].answer(query)), keyed(await stores.prometheus.answer(query))
    if source == "xray":
        # A graph has nothing of what was not called.
        theirs = {key: sample for key, sample in theirs.items() if sample.success or sample.failure}
    assert ours.keys() == theirs.keys()
    assert [f"{key}: {mine} {other}" for key, mine, other in pairs(ours, theirs) if not same_counts(key, mine, other)] == []
    if source == "application-signals" and asked.kinds == ("Namespace",):
        # Those of an edge that is one workload's are there; whatever was added up has none.
        ours = {key: sample for key, sample in ours.items() if sample.latency is not None}
    assert [f"{key}: {mine} {other}" for key, mine, other in pairs(ours, theirs) if not same_percentiles(mine, other)] == []


def test_many_questions_are_asked_of_both():
    assert len(SHARED) > 40
    assert {asked.edges for _, asked in SHARED.values()} == {True, False}
    assert {kind for _, asked in SHARED.values() for kind in asked.kinds} >= {"Namespace", "Deployment", "StatefulSet", "Job"}


@pytest.mark.parametrize("name", ["pay", "pinned"])
async def test_percentiles_are_the_same_to_the_microsecond_where_all_latencies_are_in_one_bucket(stores: Stores, name: str):
    query = query_of(Asked(("Deployment",), namespace="shop", name=name), MINUTE, INSTANT)
    (exact,) = [_percentiles(sample.latency) for sample in (await stores.prometheus.answer(query)).samples]
    for source in stores.sources.values():
        (sample,) = (await source.answer(query)).samples
        assert _percentiles(sample.latency) == pytest.approx(exact, abs=1e-6)


def _percentiles(latency: object) -> list[float]:
    return [latency.quantile(quantile) for quantile in (0.5, 0.9, 0.99)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", KNOWN)
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        pytest.param(Asked(("Pod",)), "no pods", id="pods"),
        pytest.param(Asked(("Node",)), "no nodes", id="nodes"),
        pytest.param(Asked(("Pod",), edges=True), "no pods", id="edges of pods"),
        pytest.param(Asked(("Service",)), "with Kubernetes alone", id="services without a cluster"),
        pytest.param(Asked(("Deployment",), edges=True, side="server"), "client, and not", id="edges seen by servers"),
        pytest.param(Asked(("Deployment",), side="client"), "server, and not", id="totals seen by callers"),
        pytest.param(Asked(("TrafficSplit",), edges=True, direction="to"), "no trafficsplits", id="splits"),
    ],
)
async def test_what_no_store_of_aws_tells_is_refused_with_the_reason(stores: Stores, source: str, asked: Asked, told: str):
    reason = stores.sources[source].refusal(query_of(asked, MINUTE, INSTANT))
    assert reason is not None
    assert told in reason


async def test_each_metric_is_paid_for_once_whoever_asks(stores: Stores):
    query = query_of(Asked(("Deployment",)), MINUTE, INSTANT)
    source = stores.sources["application-signals"]
    await source.answer(query)
    billed = stores.aws.billed
    for _ in range(3):
        await source.answer(replace(query, namespace="shop"))
        await source.answer(replace(query, kinds=("Namespace",)))
    assert stores.aws.billed == billed > 0
