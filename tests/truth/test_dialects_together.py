"""Dialects of one store that tell of the same requests, or of the same namespace: nothing counts twice, and nothing is hidden unsaid.

Cilium sees what Istio's sidecars see, traces tell of requests where an ambient mesh knows connections alone, and a namespace moves from
one mesh to another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from apiservice.federation.fanout import Fanout
from metrics_api import Answer, ResourceRef, Sample, best_observers, rename
from tests.truth.written import Series, Written, counted, numbers, question, store

pytestmark = pytest.mark.real


def istio(name: str, rate: float, namespace: str = "shop", *, tcp: bool = False) -> Series:
    called = {"destination_workload": name, "destination_workload_namespace": namespace}
    labels = {**called, "reporter": "destination", "source_workload": "web", "source_workload_namespace": "shop"}
    if tcp:
        return counted("istio_tcp_connections_opened_total", rate, **labels)
    return counted("istio_requests_total", rate, **labels, response_code="200")


def hubble(name: str, rate: float) -> Series:
    callee = {"destination_namespace": "shop", "destination_workload": name, "destination_workload_kind": "Deployment"}
    caller = {"source_namespace": "shop", "source_workload": "web", "source_workload_kind": "Deployment"}
    return counted("hubble_http_requests_total", rate, reporter="server", status="200", **caller, **callee)


def traces(name: str, rate: float, caller: str = "web") -> Series:
    ends = {f"{end}_k8s_namespace_name": "shop" for end in ("client", "server")}
    kinds = {"client_k8s_deployment_name": caller, "server_k8s_deployment_name": name}
    return counted("traces_service_graph_request_total", rate, client=caller, server=name, **ends, **kinds)


KEPT = (
    istio("api", 10),
    hubble("api", 10),
    istio("cart", 3, tcp=True),
    traces("cart", 20),
    istio("cache", 4, tcp=True),
    traces("api", 1),
    traces("bank", 2, "cache"),
    istio("old", 5, "move"),
    counted("response_total", 7, direction="inbound", tls="true", namespace="move", deployment="new", classification="success"),
    istio("db", 6, "left", tcp=True),
    counted("response_total", 8, direction="inbound", tls="true", namespace="left", deployment="new", classification="success"),
)


@pytest.fixture(scope="module")
async def together(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Written]:
    async with store(tmp_path_factory.mktemp("dialects"), *KEPT) as written:
        yield written


def told(answer: Answer) -> list[Sample]:
    """The samples once Kubernetes has said that every bare name is that of a Deployment."""
    return best_observers(rename(answer.samples, lambda ref: ref._replace(kind="Deployment") if ref.kind == "Workload" else ref))


async def test_what_two_dialects_saw_of_one_workload_under_two_names_is_not_added(together: Written):
    samples = told(await together.ask("", "Deployment", name="api", namespace="shop"))
    assert numbers(samples) == {"api": (600.0, 0.0, "server")}


async def test_traces_tell_the_requests_of_which_a_mesh_knows_connections_alone(together: Written):
    answer = await together.ask("", "Deployment", name="cart", namespace="shop")
    assert numbers(answer.samples) == {"cart": (1200.0, 0.0, "server")}
    assert answer.warnings == ()


async def test_that_holds_of_an_edge_whose_other_end_the_mesh_counts(together: Written):
    answer = await together.ask("", "Deployment", name="web", namespace="shop", direction="to")
    assert numbers(told(answer)) == {
        "web to api": (600.0, 0.0, "server"),
        "web to cart": (1200.0, 0.0, "client"),
        "web to cache": (None, None, "server"),
        "web to old": (300.0, 0.0, "server"),
        "web to db": (None, None, "server"),
    }
    (warning,) = answer.warnings
    assert "cache" in warning
    assert "cart" not in warning


async def test_traces_tell_the_edges_of_what_a_mesh_knows_connections_of(together: Written):
    answer = await together.ask("", "Deployment", name="cache", namespace="shop", direction="from")
    assert numbers(told(answer)) == {"cache from web": (None, None, "server")}
    both = await (await together.source("")).answer(replace(question("Deployment", name="cache", direction="to"), direction=None))
    assert numbers(told(both)) == {"cache from web": (None, None, "server"), "cache to bank": (120.0, 0.0, "client")}


async def test_a_namespace_of_two_meshes_has_the_numbers_of_one_and_a_warning(together: Written):
    answer = await together.ask("", "Namespace", name="move")
    assert numbers(answer.samples) == {"move": (300.0, 0.0, "server")}
    (warning,) = answer.warnings
    assert "dialect istio tells of Namespace move; what dialect linkerd counts there is not added" in warning


async def test_a_mesh_that_knows_connections_of_a_namespace_does_not_hide_the_requests_of_another(together: Written):
    answer = await together.ask("", "Namespace", name="left")
    assert numbers(answer.samples) == {"left": (480.0, 0.0, "server")}
    assert answer.warnings == ()


async def test_a_source_that_knows_connections_alone_does_not_hide_the_requests_of_the_next(together: Written):
    sources = [await together.source("istio"), await together.source("linkerd")]
    (sample,) = (await Fanout.of(sources).gather(question("Namespace", name="left"))).samples
    assert (sample.resource, sample.success) == (ResourceRef("Namespace", "", "left"), 480.0)
