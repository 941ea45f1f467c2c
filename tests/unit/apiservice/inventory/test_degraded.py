"""What readers are told when what an answer is made of is not known: never that it does not exist, nor a list that looks complete."""

from __future__ import annotations

import pytest

from apiservice.inventory import ClusterObjects, Store
from metrics_api import BackendUnavailable, BadQuery, Unsupported
from tests.doubles.inventory import custom, obj, pod, ref, synced
from tests.unit.apiservice.test_traffic import Source, answer, total

WEB = obj("Deployment", "web", app="web")
CART_1 = obj("ReplicaSet", "cart-bcdfg", custom("Rollout", "cart"))
CART = ref("Rollout", "cart")
PODS = pod("cart-bcdfg-xk2p9", CART_1)


async def asked(store: Store, path: str, query: str = "", *, refuses: str | None = None) -> tuple[list[str], tuple[str, ...]]:
    """The names of the rows, and the warnings."""
    source = Source((total(ref("Deployment", "web")), total(CART)), refuses=refuses)
    result = await answer([source], ClusterObjects(store, patience=0.01), path, query)
    return [row.name for row in result.rows], result.warnings


async def test_what_could_be_added_up_from_a_kind_that_may_not_be_read_is_unavailable():
    store = synced(PODS)
    with pytest.raises(Unsupported, match="no node label"):
        await asked(store, "nodes", refuses="no node label")
    store.fail("Pod", "pods cannot be listed: forbidden")
    with pytest.raises(
        BackendUnavailable, match=r"pods are needed to add them up: pods cannot be listed: forbidden.*no node label"
    ):
        await asked(store, "nodes", refuses="no node label")


@pytest.mark.parametrize("forbidden", ["Pod", "ReplicaSet"])
async def test_a_custom_kind_is_no_mistake_while_nobody_knows_which_there_are(forbidden: str):
    store, selected = synced(WEB), "fieldSelector=resource.kind=Rollout"
    with pytest.raises(BadQuery, match='"Rollout" is not a kind'):
        await asked(store, "namespaces/shop/trafficmetrics", selected)
    store.fail(forbidden, "forbidden by somebody")
    with pytest.raises(BackendUnavailable, match="which rollouts there are is not known: forbidden by somebody"):
        await asked(store, "namespaces/shop/trafficmetrics", selected)


async def test_a_label_selector_says_of_which_workloads_the_labels_are_not_read():
    names, warnings = await asked(synced(WEB, CART_1), "namespaces/shop/trafficmetrics", "labelSelector=app=web")
    assert names == ["deployment.web"]
    assert warnings == (
        "labelSelector takes objects of custom controllers for objects without labels, as theirs are not read: Rollout",
    )
    assert (await asked(synced(WEB, CART_1), "namespaces/shop/deployments", "labelSelector=app=web"))[1] == ()


async def test_a_custom_kind_is_spelt_as_kubernetes_has_it():
    with pytest.raises(BadQuery, match=r'"rollout" is not a kind; .* custom controllers, spelt as Kubernetes has them \(Rollout\)'):
        await asked(synced(CART_1), "namespaces/shop/trafficmetrics", "fieldSelector=resource.kind=rollout")
