"""The fleet through a real Prometheus, the metrics-api of the tests and the source: what comes out is what happened."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from backends.linkerd.backend import LinkerdBackend
from backends.linkerd.settings import LinkerdSettings
from metrics_api import Backend, Identities, ResourceRef, Sample, SplitBackend, Window
from tests.backends.linkerd.questions import ANSWERABLE, ASKED, Ask, keyed
from tests.doubles.backfill import INSTANT
from tests.doubles.linkerd import VizDouble
from tests.doubles.linkerd.fleet import ODD, identity_of
from tests.doubles.linkerd.truth import told, wrong_latencies
from tests.doubles.mesh_truth import Asked
from tests.truth.comparison import wrong_counts, wrong_rows
from tests.truth.questions import QUESTIONS, query_of

pytestmark = pytest.mark.real

MINUTE = Window(60)
DEPLOYMENTS = Asked(("Deployment",))
OUTSIDE = "peers outside the mesh"


async def one(viz: Backend, asked: Asked) -> Sample | None:
    """The only row of an answer; None if there is none."""
    samples = (await viz.answer(query_of(asked, MINUTE, INSTANT))).samples
    assert len(samples) < 2
    return samples[0] if samples else None


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
async def test_viz_answers_the_truth(ask_viz: Ask, asked: Asked):
    want = told(asked)
    found = await ask_viz(asked)
    got = keyed(found)
    assert (found.instant, found.window, found.incomplete) == (INSTANT, MINUTE, False)
    assert any(OUTSIDE in warning for warning in found.warnings) == asked.edges
    assert not wrong_rows(got, want)
    assert not wrong_counts(got, want, MINUTE.seconds, error=1e-12)
    assert not wrong_latencies(got, want)


def test_much_is_asked():
    assert len(ASKED) > 35
    assert sum(len(told(asked)) for asked in ASKED.values()) > 300
    assert {kind for asked in ASKED.values() for kind in asked.kinds if asked.edges} > {"Namespace", "Pod", "Service", "ReplicaSet"}


def test_what_viz_can_never_answer_is_refused_with_a_reason(fleet_viz: Backend):
    reasons = {title: fleet_viz.refusal(query_of(asked, MINUTE, INSTANT)) for title, asked in QUESTIONS.items()}
    assert {title for title, reason in reasons.items() if reason} == QUESTIONS.keys() - ANSWERABLE.keys()
    assert all(reason is None or len(reason) > 40 for reason in reasons.values())


# What is not there, and what is zero


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        pytest.param("quiet", (0.0, 0.0), id="in the mesh and never called: zero"),
        pytest.param("half", (0.0, 0.0), id="one of its pods in the mesh: zero"),
        pytest.param("bare", None, id="no proxy: unknown"),
        pytest.param("scaled-down", None, id="no pods: unknown"),
        pytest.param("gone", None, id="no such object: nothing"),
    ],
)
async def test_nothing_is_zero_only_where_a_proxy_would_have_counted(
    fleet_viz: Backend, name: str, counts: tuple[float, float] | None
):
    sample = await one(fleet_viz, replace(DEPLOYMENTS, namespace=ODD, name=name))
    assert (None if sample is None else (sample.success, sample.failure)) == counts
    assert sample is None or sample.latency is None


async def test_idle_series_are_zero_without_percentiles(fleet_viz: Backend):
    sample = await one(fleet_viz, replace(DEPLOYMENTS, namespace="shop", name="idle"))
    assert sample is not None
    assert (sample.success, sample.failure, sample.latency) == (0.0, 0.0, None)


async def test_a_replicaset_of_a_deployment_is_not_said_to_be_idle(fleet_viz: Backend):
    found = await fleet_viz.answer(query_of(Asked(("ReplicaSet",)), MINUTE, INSTANT))
    assert [sample.resource.name for sample in found.samples] == ["pinned"]


async def test_a_self_call_is_an_edge_in_both_directions(fleet_viz: Backend):
    asked = replace(DEPLOYMENTS, namespace="shop", name="api", edges=True)
    api = ResourceRef("Deployment", "shop", "api")
    got = keyed(await fleet_viz.answer(query_of(asked, MINUTE, INSTANT)))
    assert {(api, api, "to"), (api, api, "from")} <= got.keys()


# Services that are split


async def test_a_split_service_has_its_total_and_a_row_for_each_leaf_with_its_weight(fleet_viz: Backend):
    found = await fleet_viz.answer(query_of(Asked(("Service",), namespace=ODD, name="front"), MINUTE, INSTANT))
    told_of = {sample.resource.name: (sample.success, sample.backend) for sample in found.samples}
    v1, v2 = told_of["front-v1"][1], told_of["front-v2"][1]
    assert told_of == {"front": (6000.0, None), "front-v1": (5400.0, v1), "front-v2": (600.0, v2)}
    assert isinstance(v1, SplitBackend)
    assert isinstance(v2, SplitBackend)
    assert [(each.apex, each.name, each.weight) for each in (v1, v2)] == [("front", "front-v1", 900), ("front", "front-v2", 100)]


async def test_percentiles_of_leaves_are_their_own_and_never_put_together(fleet_viz: Backend):
    found = await fleet_viz.answer(query_of(Asked(("Service",), namespace=ODD, name="front"), MINUTE, INSTANT))
    medians = {each.resource.name: each.latency.quantile(0.5) if each.latency else None for each in found.samples}
    assert medians == {"front": None, "front-v1": 0.25, "front-v2": 0.002}


# Who is who


@pytest.fixture(scope="module")
async def identities(fleet_viz: Backend) -> dict[tuple[str, str], Identities | None]:
    """The identities of all edges between pods of the namespace shop, by the names of callers and callees."""
    asked = Asked(("Pod",), edges=True, direction="to", namespace="shop")
    found = await fleet_viz.answer(query_of(asked, MINUTE, INSTANT))
    return {(sample.resource.name, sample.peer.name): sample.identities for sample in found.samples}


def test_both_ends_of_a_secured_edge_are_identified(identities: dict[tuple[str, str], Identities | None]):
    (known,) = {who for (caller, callee), who in identities.items() if (caller[:3], callee[:4]) == ("web", "cart")}
    assert known == Identities(identity_of("shop", "web"), identity_of("shop", "cart"))


def test_an_edge_without_tls_says_why(identities: dict[tuple[str, str], Identities | None]):
    (known,) = {who for (_, callee), who in identities.items() if callee.startswith("logs-")}
    assert known is not None
    assert (known.server, known.insecure) == ("", "Not Provided By Service Discovery")


def test_an_edge_whose_connections_are_closed_has_no_identities(identities: dict[tuple[str, str], Identities | None]):
    assert {who for (caller, _), who in identities.items() if caller.startswith("pinned-")} == {None}


def test_a_connection_without_requests_makes_no_edge(identities: dict[tuple[str, str], Identities | None]):
    assert not [pair for pair in identities if pair[0].startswith("relic-") and pair[1].startswith("pinned-")]


async def test_identities_are_the_same_seen_from_the_callee(fleet_viz: Backend):
    asked = replace(DEPLOYMENTS, edges=True, direction="from", namespace="ledger", name="prometheus")
    sample = await one(fleet_viz, asked)
    assert sample is not None
    assert sample.identities == Identities(identity_of("ledger", "gate"), identity_of("ledger", "prometheus"))


# Now, and no other time


async def test_the_window_reaches_prometheus_as_it_was_asked_for(viz_double: VizDouble, fleet_viz: Backend):
    before = len(viz_double.queries)
    await fleet_viz.answer(query_of(DEPLOYMENTS, Window(40), INSTANT))
    sent = viz_double.queries[before:]
    assert len(sent) == 4
    assert all("[40s]" in query for query in sent)


async def test_nobody_claims_to_know_the_past(viz_double: VizDouble):
    async with LinkerdBackend(LinkerdSettings(name="viz", address=viz_double.address), time.time) as backend:
        with pytest.raises(Exception, match="of now alone"):
            await backend.answer(query_of(DEPLOYMENTS, MINUTE, INSTANT))
