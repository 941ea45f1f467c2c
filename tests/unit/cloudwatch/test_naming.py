"""Names that configuration explains: what is answered because of it, and what is not paid for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.cloudwatch.naming import asked_for, configured, refused_objects
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import ANY_WORKLOAD, ResourceRef, TrafficQuery, Window

WEB, ORDERS = ResourceRef("Deployment", "shop", "web"), ResourceRef("Service", "shop", "orders")
BARE = ResourceRef(ANY_WORKLOAD, "shop", "batch")
PLAIN = CloudWatchSettings("aws", "ecs-service-connect")
SETTINGS = replace(PLAIN, services={("web", ""): WEB, ("web", "test"): BARE, ("api", ""): ORDERS})
TOTALS = TrafficQuery(("Deployment",), Window(60), 0)
EDGES = replace(TOTALS, edges=True)


@pytest.mark.parametrize(
    ("name", "place", "ref"), [("web", "test", BARE), ("web", "prod", WEB), ("web", "", WEB), ("orders", "", None)]
)
def test_what_is_said_of_a_place_goes_before_what_is_said_of_all(name: str, place: str, ref: ResourceRef | None) -> None:
    assert configured(SETTINGS, name, place) == ref


@pytest.mark.parametrize(
    ("query", "answered"),
    [
        pytest.param(replace(TOTALS, kinds=("Service",)), True, id="a kind that is configured"),
        pytest.param(replace(EDGES, peer_kind="Service"), True, id="peers of a kind that is configured"),
        pytest.param(replace(EDGES, kinds=("Service",)), True, id="edges of a kind that is configured"),
        pytest.param(replace(EDGES, kinds=("Service",), peer_kind="Pod"), False, id="pods that call it"),
    ],
)
def test_a_kind_that_configuration_gives_is_answered(query: TrafficQuery, *, answered: bool) -> None:
    assert (refused_objects(query, SETTINGS) is None) is answered
    assert refused_objects(query, PLAIN) is not None


@pytest.mark.parametrize(
    ("query", "refs"),
    [
        pytest.param(TOTALS, {WEB, BARE}, id="workloads"),
        pytest.param(replace(TOTALS, kinds=("Namespace",)), {WEB, BARE, ORDERS}, id="namespaces"),
        pytest.param(replace(TOTALS, kinds=("Service",)), {ORDERS}, id="Services"),
        pytest.param(replace(TOTALS, kinds=("Service",), members=(ANY_WORKLOAD,)), {WEB, BARE, ORDERS}, id="Services of workloads"),
    ],
)
def test_what_is_of_no_use_is_not_asked_for(query: TrafficQuery, refs: set[ResourceRef]) -> None:
    assert {ref for ref in (WEB, BARE, ORDERS) if asked_for(ref, query)} == refs
