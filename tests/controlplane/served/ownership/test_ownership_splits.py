"""What divides traffic: a row for each backend of a TrafficSplit, an HTTPRoute and a GRPCRoute, of what clients sent there."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.controlplane.served.ownership.asking import Answer, Asking, differences
from tests.controlplane.served.ownership.lifting import KNOWN_TO, called_service
from tests.controlplane.served.ownership.truth import Row, totals

pytestmark = pytest.mark.real

TWO, ONE = {"front-v1": 90, "front-v2": 10}, {"front-v1": 90}
KINDS = {"trafficsplits": ("TrafficSplit", TWO), "httproutes": ("HTTPRoute", TWO), "grpcroutes": ("GRPCRoute", ONE)}


def sent(mesh: str, instant: int) -> dict[str, Row]:
    """What clients sent to each Service: all that has to do with its pods, or what they called by its name."""
    lift = KNOWN_TO[mesh].resource("Service") if mesh == "cilium" else called_service
    return {ref[2]: row for (ref, _, _), row in totals(lift, instant, side="client").items() if ref[1] == "mall"}


def about(answer: Answer, kind: str, backends: Mapping[str, int]) -> None:
    """The rows must be about these backends."""
    assert [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in answer.items] == [("mall", "front")] * len(
        backends
    )
    assert [item["resource"] for item in answer.items] == [{"kind": kind, "namespace": "mall", "name": "front"}] * len(backends)
    found = [item["backend"] for item in answer.items]
    assert found == [{"apex": "front", "name": name, "weight": weight} for name, weight in backends.items()]
    assert {item["edge"]["side"] for item in answer.items} == {"client"}


@pytest.mark.parametrize("path", ["", "/front"], ids=["list", "get"])
@pytest.mark.parametrize("resource", KINDS)
@pytest.mark.parametrize("mesh", ["cilium", "linkerd", "envoy", "istio"])
async def test_backends_have_what_clients_sent_to_them(meshes: Mapping[str, Asking], mesh: str, resource: str, path: str):
    answer = await meshes[mesh].told(f"/namespaces/mall/{resource}{path}")
    # None of these meshes says which route a request came by; a split is its Services.
    assert bool(answer.warnings) == (resource != "trafficsplits")
    assert all("no source tells" in warning and "those of its Service" in warning for warning in answer.warnings)
    kind, backends = KINDS[resource]
    about(answer, kind, backends)
    expected = sent(mesh, answer.instant)
    found = {item["backend"]["name"]: item for item in answer.items}
    assert not list(differences(found, {name: expected[name] for name in backends}))


async def test_weights_of_the_first_version_are_in_the_same_proportion(meshes: Mapping[str, Asking]):
    answer = await meshes["istio"].get("/namespaces/vault/trafficsplits/old")
    assert [item["backend"] for item in answer.items] == [
        {"apex": "vault", "name": "db", "weight": 900},
        {"apex": "vault", "name": "web", "weight": 100},
    ]
    sent = totals(called_service, answer.instant, side="client")
    expected = {ref[2]: row for (ref, _, _), row in sent.items() if ref[1] == "vault"}
    assert not list(differences({item["backend"]["name"]: item for item in answer.items}, expected))


async def test_a_selector_is_over_the_labels_of_the_split(meshes: Mapping[str, Asking]):
    assert len((await meshes["cilium"].get("/trafficsplits?labelSelector=team=front")).items) == 2
    assert not (await meshes["cilium"].get("/trafficsplits?labelSelector=team=back")).items
