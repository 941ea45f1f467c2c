"""What the specs of TrafficSplits and routes say about who answers whom, in all their versions, and when they make no sense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiservice.inventory.routes import BackendService, Split, split_of
from metrics_api import ResourceRef


def split(spec: Any) -> Split | None:
    return split_of("TrafficSplit", "shop", "web", json.dumps(spec).encode())


def route(spec: Any, kind: str = "HTTPRoute") -> Split | None:
    return split_of(kind, "shop", "web", json.dumps(spec).encode())


def weights(found: Split | None) -> dict[str, int]:
    assert found is not None
    assert {backend.namespace for backend in found.backends} <= {"shop"}
    return {backend.name: backend.weight for backend in found.backends}


def weighted(*pairs: tuple[str, Any]) -> dict[str, Any]:
    return {"service": "web", "backends": [{"service": name, "weight": weight} for name, weight in pairs]}


def to(*names: str, **fields: Any) -> dict[str, Any]:
    """A rule with these backends, all alike."""
    return {"backendRefs": [{"name": name, "port": 80, **fields} for name in names]}


def test_a_split_is_of_its_object_its_apex_and_its_backends_in_their_order():
    expected = Split(
        ResourceRef("TrafficSplit", "shop", "web"),
        "web",
        (BackendService("shop", "web-v2", 10), BackendService("shop", "web-v1", 90)),
    )
    assert split(weighted(("web-v2", 10), ("web-v1", 90))) == expected


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        pytest.param((90, 10), (90, 10), id="v1alpha2 to v1alpha4: whole numbers"),
        pytest.param((100, 0), (100, 0), id="zero"),
        pytest.param(("1", "0"), (1, 0), id="v1alpha1: whole quantities"),
        pytest.param(("900m", "100m"), (900, 100), id="v1alpha1: thousandths"),
        pytest.param(("1", "500m"), (1000, 500), id="v1alpha1: whole and thousandths"),
        pytest.param((1, "0m"), (1, 0), id="v1alpha1: a number beside a quantity"),
        pytest.param(("1k", "2"), (1000, 2), id="v1alpha1: thousands"),
        pytest.param((0.5, 1.5), (500, 1500), id="numbers with fractions"),
        pytest.param((1e-05, 1), (10, 1_000_000), id="millionths"),
        pytest.param(("1n", "1"), (1, 10**9), id="billionths"),
        pytest.param((2**63 - 1, 1), (2**63 - 1, 1), id="the largest"),
    ],
)
def test_weights_are_whole_numbers_in_the_same_proportions(given: tuple[Any, Any], whole: tuple[int, int]):
    assert weights(split(weighted(("web-v1", given[0]), ("web-v2", given[1])))) == {"web-v1": whole[0], "web-v2": whole[1]}


@given(st.lists(st.integers(0, 10**15), min_size=2, max_size=5), st.sampled_from(["", "m", "u"]))
def test_proportions_stay_whatever_the_suffix(counts: list[int], suffix: str):
    found = weights(split(weighted(*((f"v{at}", f"{count}{suffix}") for at, count in enumerate(counts)))))
    assert all(found["v0"] * count == found[f"v{at}"] * counts[0] for at, count in enumerate(counts))


def test_the_routes_that_a_split_matches_do_not_matter():
    spec = {**weighted(("web-v1", 1)), "matches": [{"kind": "HTTPRouteGroup", "name": "ab-test"}]}
    assert weights(split(spec)) == {"web-v1": 1}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="a list"),
        pytest.param({}, id="nothing in it"),
        pytest.param({"backends": [{"service": "web-v1", "weight": 1}]}, id="no apex"),
        pytest.param({"service": "", "backends": []}, id="an empty apex"),
        pytest.param({"service": 7, "backends": []}, id="an apex that is a number"),
        pytest.param({"service": "web", "backends": {}}, id="backends that are no list"),
        pytest.param({"service": "web", "backends": [None]}, id="a backend that is null"),
        pytest.param({"service": "web", "backends": [{"service": "web-v1"}]}, id="no weight"),
        pytest.param({"service": "web", "backends": [{"weight": 1}]}, id="no service"),
        pytest.param(weighted(("", 1)), id="a service without a name"),
        pytest.param(weighted(("web-v1", -1)), id="a negative weight"),
        pytest.param(weighted(("web-v1", "-100m")), id="a negative quantity"),
        pytest.param(weighted(("web-v1", "most")), id="a word for a weight"),
        pytest.param(weighted(("web-v1", True)), id="a boolean for a weight"),
        pytest.param(weighted(("web-v1", None)), id="null for a weight"),
        pytest.param(weighted(("web-v1", 2**63)), id="a weight no client can read"),
        pytest.param(weighted(("web-v1", "9E"), ("web-v2", "1n")), id="weights too far from each other"),
    ],
)
def test_a_split_that_makes_no_sense_is_none(spec: Any):
    assert split(spec) is None


@pytest.mark.parametrize(
    "noise",
    [b"", b"{", b"\xff", b'{"service": "\xff", "backends": []}', b"[" * 100_000, b'{"matches": ' + b"[" * 100_000],
    ids=["nothing", "half", "no text", "no text inside", "depths", "depths inside"],
)
def test_what_is_no_json_is_none(noise: bytes):
    assert split_of("TrafficSplit", "shop", "web", noise) is None


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
@pytest.mark.parametrize("group", ["", "core"])
def test_the_apex_of_a_route_of_a_mesh_is_its_parent(kind: str, group: str):
    spec = {"parentRefs": [{"name": "web", "kind": "Service", "group": group, "port": 80}], "rules": [to("web-v1"), {}]}
    expected = Split(ResourceRef(kind, "shop", "web"), "web", (BackendService("shop", "web-v1", 1),))
    assert route(spec, kind) == expected


@pytest.mark.parametrize(
    ("parents", "apex"),
    [
        pytest.param([], "", id="no parent"),
        pytest.param(None, "", id="null"),
        pytest.param([{"name": "edge"}], "", id="a Gateway, which is meant where nothing is said"),
        pytest.param([{"name": "web", "kind": "Service"}], "", id="a Service of the Gateway API, which has none"),
        pytest.param([{"name": "all", "kind": "EgressNetwork", "group": "policy.linkerd.io"}], "", id="another kind"),
        pytest.param([{"name": "web-1", "kind": "Pod", "group": ""}], "", id="another kind of the core group"),
        pytest.param([{"name": "edge"}, {"name": "api", "kind": "Service", "group": ""}], "api", id="a Gateway and a Service"),
        pytest.param(
            [{"name": name, "kind": "Service", "group": ""} for name in ("web", "api")], "web", id="the first of two Services"
        ),
        pytest.param([{"name": "web", "kind": "Service", "group": "", "namespace": "shop"}], "web", id="its own namespace"),
        pytest.param([{"name": "web", "kind": "Service", "group": "", "namespace": "data"}], "web.data", id="another namespace"),
    ],
)
def test_only_a_service_is_an_apex(parents: Any, apex: str):
    found = route({"parentRefs": parents, "rules": [to("web-v1")]})
    assert found is not None
    assert found.apex == apex


def test_a_weight_is_one_unless_it_is_given():
    rule = {"backendRefs": [{"name": "web-v1"}, {"name": "web-v2", "weight": None}, {"name": "web-v3", "weight": 0}]}
    assert weights(route({"rules": [rule]})) == {"web-v1": 1, "web-v2": 1, "web-v3": 0}


def test_a_service_of_several_rules_or_ports_is_one_backend_with_the_sum_of_its_weights():
    rules = [to("web-v1", weight=90), to("web-v2", weight=10), to("web-v2"), to("web-v1", "web-v1", weight=5)]
    assert list(weights(route({"rules": rules})).items()) == [("web-v1", 100), ("web-v2", 11)]


def test_backends_are_in_the_namespace_of_the_route_unless_they_say_otherwise():
    found = route({"rules": [to("web"), to("web", namespace="data"), to("web", namespace="shop"), to("web", namespace="")]})
    assert found is not None
    assert found.backends == (BackendService("shop", "web", 3), BackendService("data", "web", 1))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"kind": "ServiceImport", "group": "multicluster.x-k8s.io"}, id="of another cluster"),
        pytest.param({"kind": "Service", "group": "serving.knative.dev"}, id="Services of another group"),
        pytest.param({"group": "net.gke.io"}, id="another group"),
        pytest.param({"kind": "Pod"}, id="another kind"),
    ],
)
def test_backends_that_are_no_services_are_left_out(fields: dict[str, str]):
    assert weights(route({"rules": [to("far", **fields), to("near")]})) == {"near": 1}


def test_mirrors_are_no_backends():
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "shadow", "port": 80}}}
    assert weights(route({"rules": [{**to("web-v1"), "filters": [mirror]}]})) == {"web-v1": 1}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"rules": {}}, id="rules that are no list"),
        pytest.param({"rules": [to("web", weight=-1)]}, id="a negative weight"),
        pytest.param({"rules": [to("web", weight="1")]}, id="a text for a weight"),
        pytest.param({"rules": [to("web", weight=2**62, times=1), to("web", weight=2**62)]}, id="a sum no client can read"),
        pytest.param({"rules": [to("")]}, id="a backend without a name"),
        pytest.param({"rules": [{"backendRefs": [{"port": 80}]}]}, id="no name"),
        pytest.param({"parentRefs": [{"kind": "Service", "group": ""}]}, id="a parent without a name"),
    ],
)
def test_a_route_that_makes_no_sense_is_none(spec: Any):
    assert route(spec) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "service": JSON | st.just("web"),
        "backends": JSON | st.lists(st.fixed_dictionaries({}, optional={"service": JSON, "weight": JSON}), max_size=4),
        "parentRefs": JSON | st.lists(st.fixed_dictionaries({}, optional={"name": JSON, "kind": st.just("Service")}), max_size=3),
        "rules": JSON
        | st.lists(
            st.fixed_dictionaries(
                {}, optional={"backendRefs": st.lists(st.fixed_dictionaries({"name": JSON}, optional={"weight": JSON}))}
            ),
            max_size=3,
        ),
    },
)
"""Specs that are right in parts."""


@given(st.sampled_from(["TrafficSplit", "HTTPRoute", "GRPCRoute"]), NEARLY | JSON)
def test_whatever_a_spec_holds_it_is_read_or_left_alone(kind: str, spec: Any):
    found = split_of(kind, "shop", "web", json.dumps(spec).encode())
    if found is not None:
        assert all(backend.name and 0 <= backend.weight < 2**63 for backend in found.backends)
        assert len({backend[:2] for backend in found.backends}) == len(found.backends)


@given(st.sampled_from(["TrafficSplit", "HTTPRoute"]), st.binary(max_size=60))
def test_noise_is_read_or_left_alone(kind: str, noise: bytes):
    assert split_of(kind, "shop", "web", noise) is None or noise.strip().startswith(b"{")
