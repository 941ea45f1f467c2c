"""One fleet through two sources: viz and its Prometheus asked directly tell the same, but for the differences in the table."""

from __future__ import annotations

import pytest

from backends.dialects import load_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from metrics_api import Backend, Sample, Window
from tests.backends.linkerd.agreement import DIFFERENCES, REFUSALS, Difference, Numbers, numbers, unexplained
from tests.backends.linkerd.questions import ANSWERABLE, ASKED, Ask, keyed
from tests.doubles.backfill import INSTANT
from tests.doubles.linkerd.fleet import ODD
from tests.doubles.mesh_truth import Asked, Key
from tests.truth.questions import query_of

pytestmark = pytest.mark.real

MINUTE = Window(60)


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_both_tell_the_same_but_for_what_is_in_the_table(ask_viz: Ask, fleet_direct: Backend, asked: Asked):
    direct = await fleet_direct.answer(query_of(asked, MINUTE, INSTANT))
    ours, theirs = keyed(await ask_viz(asked)), keyed(direct)
    assert ours
    assert not unexplained(ours, theirs)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.why)
async def test_they_differ_as_the_table_says(ask_viz: Ask, fleet_direct: Backend, difference: Difference):
    direct = await fleet_direct.answer(query_of(difference.asked, MINUTE, INSTANT))
    viz = await ask_viz(difference.asked)
    assert _near(numbers(_row(viz.samples, difference.key)), difference.viz)
    assert _near(numbers(_row(direct.samples, difference.key)), difference.direct)
    assert difference.viz != difference.direct


def _row(samples: tuple[Sample, ...], key: Key) -> Sample | None:
    found = [sample for sample in samples if (sample.resource, sample.peer, sample.direction.value) == key]
    assert len(found) < 2
    return found[0] if found else None


def _near(got: Numbers | None, want: Numbers | None) -> bool:
    return got == want if got is None or want is None else got == pytest.approx(want, abs=1e-6)


async def test_nothing_else_differs_where_everything_is_different(ask_viz: Ask, fleet_direct: Backend):
    asked = Asked(("Deployment",), namespace=ODD)
    viz, direct = await ask_viz(asked), await fleet_direct.answer(query_of(asked, MINUTE, INSTANT))
    ours, theirs = ({sample.resource.name: sample for sample in found.samples} for found in (viz, direct))
    # These two have pods in the mesh and no series, as the table says of another one.
    assert ours.keys() - theirs.keys() == {"quiet", "half", "caller"}
    assert {name for name in theirs if numbers(ours[name]) == numbers(theirs[name])} == set()
    counted = {name for name in theirs if (ours[name].success, ours[name].failure) != (theirs[name].success, theirs[name].failure)}
    assert counted == {"fraction", "probed"}


@pytest.mark.parametrize("what", REFUSALS)
def test_viz_refuses_what_prometheus_answers(fleet_viz: Backend, what: str):
    query = query_of(REFUSALS[what], MINUTE, INSTANT)
    sources = [
        PrometheusBackend(PrometheusSettings(name=name, url="http://127.0.0.1:1", dialect=load_dialect(name))) for name in _DIALECTS
    ]
    assert fleet_viz.refusal(query)
    assert None in [source.refusal(query) for source in sources]


_DIALECTS = ("linkerd", "linkerd-policy")


def test_prometheus_refuses_nothing_that_viz_answers(fleet_direct: Backend):
    assert not [title for title, asked in ANSWERABLE.items() if fleet_direct.refusal(query_of(asked, MINUTE, INSTANT))]


@pytest.mark.parametrize("source", ["viz", "direct"])
def test_neither_tells_nodes(fleet_viz: Backend, fleet_direct: Backend, source: str):
    backend = fleet_viz if source == "viz" else fleet_direct
    assert backend.refusal(query_of(Asked(("Node",)), MINUTE, INSTANT))


async def test_viz_alone_tells_identities_and_weights(ask_viz: Ask, fleet_direct: Backend):
    edges = Asked(("Deployment",), edges=True, direction="to", namespace="ledger", name="gate")
    leaves = Asked(("Service",), namespace=ODD, name="front")
    viz = [sample for asked in (edges, leaves) for sample in (await ask_viz(asked)).samples]
    direct = [
        sample for asked in (edges, leaves) for sample in (await fleet_direct.answer(query_of(asked, MINUTE, INSTANT))).samples
    ]
    assert any(sample.identities for sample in viz)
    assert any(sample.backend for sample in viz)
    assert not [sample for sample in direct if sample.identities or sample.backend]
