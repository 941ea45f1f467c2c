"""Who owns whom: every shape of owner references that clusters have."""

from __future__ import annotations

import pytest

from apiservice.inventory.ownership import above, workload_of
from apiservice.inventory.records import Owner, Record
from apiservice.inventory.store import Store
from metrics_api import WORKLOAD_KINDS, ResourceRef
from tests.doubles.clock import ManualClock
from tests.doubles.inventory import custom, fill, obj, owner_of, pod, ref, slice_of, synced

DEFAULT = (*WORKLOAD_KINDS, "Workload")

web = obj("Deployment", "web")
web_1 = obj("ReplicaSet", "web-5d4f6c7b8", web)
web_pod = pod("web-5d4f6c7b8-x2x9z", web_1)
tick = obj("CronJob", "tick")
tick_1 = obj("Job", "tick-29000000", tick)
rollout = custom("Rollout", "cart")
cart_1 = obj("ReplicaSet", "cart-bcdfg", rollout)
config = custom("DeploymentConfig", "old", "apps.openshift.io/v1")
old_1 = obj("ReplicationController", "old-1", config)


@pytest.mark.parametrize(
    ("records", "workload"),
    [
        pytest.param([web, web_1, pod("p", web_1)], ref("Deployment", "web"), id="deployment"),
        pytest.param([obj("StatefulSet", "db"), pod("p", obj("StatefulSet", "db"))], ref("StatefulSet", "db"), id="statefulset"),
        pytest.param([obj("DaemonSet", "log"), pod("p", obj("DaemonSet", "log"))], ref("DaemonSet", "log"), id="daemonset"),
        pytest.param([obj("Job", "once"), pod("p", obj("Job", "once"))], ref("Job", "once"), id="job"),
        pytest.param([tick, tick_1, pod("p", tick_1)], ref("Job", "tick-29000000"), id="job-of-a-cronjob"),
        pytest.param([cart_1, pod("p", cart_1)], ref("Rollout", "cart"), id="rollout-over-replicaset"),
        pytest.param([old_1, pod("p", old_1)], ref("DeploymentConfig", "old"), id="deploymentconfig-over-rc"),
        pytest.param([pod("p", custom("CloneSet", "cart"))], ref("CloneSet", "cart"), id="cloneset-owns-pods"),
        pytest.param(
            [pod("p", custom("StatefulSet", "kv", "apps.kruise.io/v1beta1"))], ref("StatefulSet", "kv"), id="namesake-of-a-kind"
        ),
        pytest.param([pod("p")], ref("Pod", "p"), id="bare-pod"),
        pytest.param([pod("p", custom("Node", "node-1", "v1"))], ref("Pod", "p"), id="mirror-pod"),
        pytest.param(
            [obj("ReplicaSet", "lone"), pod("p", obj("ReplicaSet", "lone"))], ref("ReplicaSet", "lone"), id="orphaned-replicaset"
        ),
        pytest.param([web_1, pod("p", web_1)], ref("ReplicaSet", "web-5d4f6c7b8"), id="replicaset-of-no-deployment"),
        pytest.param([pod("p", obj("StatefulSet", "gone"))], ref("Pod", "p"), id="dangling-owner"),
        pytest.param(
            [obj("ReplicaSet", "web-5d4f6c7b8", uid="second"), pod("p", obj("ReplicaSet", "web-5d4f6c7b8", web, uid="first"))],
            ref("Pod", "p"),
            id="owner-made-again",
        ),
        pytest.param(
            [obj("Deployment", "web"), pod("driver"), pod("p", pod("driver"))], ref("Pod", "driver"), id="pod-owned-by-a-pod"
        ),
        pytest.param(
            [obj("Deployment", "web", custom("Shop", "all", "example.org/v1")), web_1, pod("p", web_1)],
            ref("Deployment", "web"),
            id="deployment-of-an-operator",
        ),
    ],
)
def test_the_workload_of_a_pod(records: list[Record], workload: ResourceRef):
    store = synced(*records)
    assert workload_of(store, ref("Pod", "p")) == workload
    expected = () if workload.kind == "Pod" else (workload,)
    assert above(store, ref("Pod", "p"), DEFAULT) == expected


def test_references_in_a_circle_have_an_end():
    one, two = pod("one", uid="1"), pod("two", uid="2")
    store = synced(pod("one", two, uid="1"), pod("two", one, uid="2"))
    assert above(store, ref("Pod", "one"), DEFAULT) == ()


@pytest.mark.parametrize(
    ("asked", "kinds", "found"),
    [
        (ref("Pod", web_pod.name), ("ReplicaSet",), [ref("ReplicaSet", web_1.name)]),
        (ref("Pod", web_pod.name), ("Deployment",), [ref("Deployment", "web")]),
        (ref("Pod", web_pod.name), ("Pod",), [ref("Pod", web_pod.name)]),
        (ref("Pod", web_pod.name), ("Node",), [ref("Node", "node-1")]),
        (ref("Pod", web_pod.name), ("Namespace",), [ref("Namespace", "shop")]),
        (ref("Pod", web_pod.name), ("CronJob",), []),
        (ref("Pod", web_pod.name), ("Pod", "Deployment"), [ref("Deployment", "web")]),
        (ref("Pod", "tick-29000000-bcdfg"), ("CronJob",), [ref("CronJob", "tick")]),
        (ref("Pod", "tick-29000000-bcdfg"), ("Job",), [ref("Job", "tick-29000000")]),
        (ref("Job", "tick-29000000"), ("CronJob",), [ref("CronJob", "tick")]),
        (ref("Job", "tick-29000000"), ("Workload",), [ref("Job", "tick-29000000")]),
        (ref("CronJob", "tick"), ("Workload",), [ref("CronJob", "tick")]),
        (ref("CronJob", "tick"), ("Job",), []),
        (ref("ReplicaSet", web_1.name), ("Deployment",), [ref("Deployment", "web")]),
        (ref("ReplicaSet", web_1.name), DEFAULT, [ref("Deployment", "web")]),
        (ref("ReplicaSet", web_1.name), ("ReplicaSet",), [ref("ReplicaSet", web_1.name)]),
        (ref("ReplicaSet", "cart-bcdfg"), ("Workload",), [ref("Rollout", "cart")]),
        (ref("ReplicaSet", "cart-bcdfg"), ("Rollout",), [ref("Rollout", "cart")]),
        (ref("ReplicationController", "old-1"), ("Workload",), [ref("DeploymentConfig", "old")]),
        (ref("Deployment", "web"), DEFAULT, [ref("Deployment", "web")]),
        (ref("Deployment", "web"), ("Namespace",), [ref("Namespace", "shop")]),
        (ref("Deployment", "never-seen"), ("Deployment",), [ref("Deployment", "never-seen")]),
        (ref("Deployment", "web"), ("Node",), []),
        (ref("Node", "node-1"), ("Node",), [ref("Node", "node-1")]),
        (ref("Namespace", "shop"), ("Namespace",), [ref("Namespace", "shop")]),
        (ref("Service", "web"), ("Workload",), []),
        (ref("Service", "web"), ("Service",), [ref("Service", "web")]),
        (ref("Pod", "never-seen"), ("Workload",), []),
        (ref("Pod", "never-seen"), ("Pod",), [ref("Pod", "never-seen")]),
        (ref("Pod", "never-seen"), ("Node",), []),
        (ref("Pod", "never-seen"), ("Namespace",), [ref("Namespace", "shop")]),
        (ResourceRef("", "", "example.com"), ("Namespace",), []),
        (ResourceRef("", "", "example.com"), DEFAULT, []),
    ],
    ids=str,
)
def test_what_an_object_belongs_to(asked: ResourceRef, kinds: tuple[str, ...], found: list[ResourceRef]):
    store = synced(web, web_1, web_pod, tick, tick_1, pod("tick-29000000-bcdfg", tick_1), cart_1, old_1)
    assert above(store, asked, kinds) == tuple(found)


def test_a_pod_of_the_host_network_is_on_its_node_and_of_its_workload():
    log = obj("DaemonSet", "log")
    store = synced(log, pod("log-bcdfg", log, node="node-7", host_network=True))
    assert above(store, ref("Pod", "log-bcdfg"), ("Node",)) == (ref("Node", "node-7"),)
    assert above(store, ref("Pod", "log-bcdfg"), ("DaemonSet",)) == (ref("DaemonSet", "log"),)


def test_a_pod_behind_two_services_belongs_to_both():
    store = synced(
        web, web_1, web_pod, obj("Service", "a"), obj("Service", "b"), slice_of("a", web_pod.name), slice_of("b", web_pod.name)
    )
    both = (ref("Service", "a"), ref("Service", "b"))
    assert above(store, ref("Pod", web_pod.name), ("Service",)) == both
    assert above(store, ref("Deployment", "web"), ("Service",)) == both
    assert above(store, ref("ReplicaSet", web_1.name), ("Service",)) == both
    assert above(store, ref("Pod", f"{web_1.name}-bcdfg"), ("Service",)) == both


def test_a_pod_that_no_service_selects_is_behind_none_though_others_of_its_workload_are():
    aside = pod(f"{web_1.name}-bcdfg", web_1)
    store = synced(web, web_1, web_pod, aside, obj("Service", "a"), slice_of("a", web_pod.name))
    assert above(store, ref("Pod", aside.name), ("Service",)) == ()


def test_a_service_without_selector_has_no_pods():
    store = synced(web_pod, obj("Service", "db"), slice_of("db"))
    assert above(store, ref("Pod", web_pod.name), ("Service",)) == ()


def test_slices_of_a_service_that_does_not_exist_make_none():
    store = synced(web_pod, slice_of("leftover", web_pod.name))
    assert above(store, ref("Pod", web_pod.name), ("Service",)) == ()


def test_a_workload_is_behind_the_services_of_any_of_its_pods():
    canary = obj("ReplicaSet", "web-canary", web)
    one, two = pod("one", web_1), pod("two", canary)
    store = synced(
        web, web_1, canary, one, two, obj("Service", "a"), obj("Service", "b"), slice_of("a", "one"), slice_of("b", "two")
    )
    assert above(store, ref("Deployment", "web"), ("Service",)) == (ref("Service", "a"), ref("Service", "b"))
    assert above(store, ref("ReplicaSet", "web-canary"), ("Service",)) == (ref("Service", "b"),)


@pytest.mark.parametrize(
    ("owners", "name", "owner"),
    [
        pytest.param([web, web_1], "web-5d4f6c7b8-bcdfg", ref("Deployment", "web"), id="replicaset"),
        pytest.param([obj("DaemonSet", "log")], "log-bcdfg", ref("DaemonSet", "log"), id="daemonset"),
        pytest.param([obj("Job", "many")], "many-3-bcdfg", ref("Job", "many"), id="indexed-job"),
        pytest.param([obj("StatefulSet", "db")], "db-3", ref("StatefulSet", "db"), id="statefulset"),
        pytest.param([pod("cart-vwxzz", custom("CloneSet", "cart"))], "cart-bcdfg", ref("CloneSet", "cart"), id="cloneset"),
        pytest.param([obj("DaemonSet", "a" * 60)], "a" * 58 + "bcdfg", ref("DaemonSet", "a" * 60), id="name-of-63-characters"),
        pytest.param([obj("Job", "j" * 60)], "j" * 54 + "-12-bcdfg", ref("Job", "j" * 60), id="indexed-job-cut"),
        pytest.param([obj("DaemonSet", "log"), obj("Job", "log")], "log-bcdfg", None, id="two-kinds-share-a-name"),
        pytest.param([obj("DaemonSet", "db"), obj("StatefulSet", "db")], "db-22222", None, id="number-or-random"),
        pytest.param([web], "web-bcdfg", None, id="deployments-make-no-pods"),
        pytest.param([cart_1], "cart-bcdfg", None, id="nor-do-rollouts"),
        pytest.param([obj("StatefulSet", "db", namespace="other")], "db-3", None, id="other-namespace"),
    ],
)
def test_the_owner_of_a_pod_that_was_never_seen_is_told_by_its_name(owners: list[Record], name: str, owner: ResourceRef | None):
    assert workload_of(synced(*owners), ref("Pod", name)) == owner


def test_replicasets_whose_names_are_cut_alike_have_one_deployment():
    deployment = obj("Deployment", "d" * 55)
    sets = [obj("ReplicaSet", f"{deployment.name}-{tail}", deployment) for tail in ("bcdfghjkl", "bcmnpqrst")]
    store = synced(deployment, *sets)
    never_seen = ref("Pod", f"{deployment.name}-bc" + "vwxzz")
    assert above(store, never_seen, ("Deployment",)) == (ref("Deployment", deployment.name),)
    assert above(store, never_seen, ("ReplicaSet",)) == ()


def test_the_name_of_a_pod_that_exists_tells_nothing():
    assert workload_of(synced(obj("StatefulSet", "db"), pod("db-0")), ref("Pod", "db-0")) == ref("Pod", "db-0")


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([web], [ref("Deployment", "web")]),
        ([obj("ReplicaSet", "web-bcdfg", custom("Rollout", "web"))], [ref("Rollout", "web")]),
        ([], []),
    ],
    ids=["deployment", "rollout", "nothing"],
)
def test_a_replicaset_that_was_never_seen_is_of_the_deployment_its_name_tells(others: list[Record], found: list[ResourceRef]):
    assert above(synced(*others), ref("ReplicaSet", "web-5d4f6c7b8"), ("Deployment", "Rollout")) == tuple(found)


def test_a_replicaset_whose_name_fits_two_is_of_neither():
    store = synced(web, obj("ReplicaSet", "web-bcdfg", custom("Rollout", "web")))
    assert above(store, ref("ReplicaSet", "web-5d4f6c7b8"), ("Deployment",)) == ()


def test_where_replicasets_may_not_be_read_their_names_have_to_do():
    store = fill(Store(), [web, web_pod], without=["ReplicaSet"])
    store.fail("ReplicaSet", "forbidden")
    assert workload_of(store, ref("Pod", web_pod.name)) == ref("Deployment", "web")
    assert above(store, ref("Pod", web_pod.name), ("ReplicaSet",)) == (ref("ReplicaSet", web_1.name),)


def test_where_nodes_may_not_be_read_a_mirror_pod_is_bare_all_the_same():
    store = fill(Store(), [pod("p", custom("Node", "node-1", "v1"))], without=["Node"])
    assert workload_of(store, ref("Pod", "p")) == ref("Pod", "p")


def test_where_deployments_may_not_be_read_references_to_them_are_believed():
    store = fill(Store(), [web_1, web_pod], without=["Deployment"])
    assert workload_of(store, ref("Pod", web_pod.name)) == ref("Deployment", "web")


class TestWhatIsGone:
    def test_belongs_where_it_did_for_ten_minutes(self):
        clock = ManualClock()
        store = synced(web, web_1, web_pod, obj("Service", "web"), slice_of("web", web_pod.name), clock=clock.monotonic)
        store.put("EndpointSlice", slice_of("web"))
        store.remove("Pod", "shop", web_pod.name)
        store.remove("ReplicaSet", "shop", web_1.name)
        asked = ref("Pod", web_pod.name)
        kinds = ("Deployment", "Node", "Service")
        clock.advance(600)
        assert [above(store, asked, (kind,)) for kind in kinds] == [
            (ref("Deployment", "web"),),
            (ref("Node", "node-1"),),
            (ref("Service", "web"),),
        ]
        assert above(store, ref("Deployment", "web"), ("Service",)) == (ref("Service", "web"),)
        clock.advance(1)
        assert [above(store, asked, (kind,)) for kind in kinds] == [(ref("Deployment", "web"),), (), ()]

    @pytest.mark.parametrize(
        ("name", "kinds", "expected"),
        [
            pytest.param("web-5d4f6c7b8-x2x9z", ("Deployment",), ref("Deployment", "web"), id="of a ReplicaSet"),
            pytest.param("tick-29000000-bcdfg", ("CronJob",), ref("CronJob", "tick"), id="of a Job"),
            pytest.param("tick-29000000-0-bcdfg", ("CronJob",), ref("CronJob", "tick"), id="of an indexed Job"),
            pytest.param("tick-29000000-bcdfg", ("Workload",), ref("Job", "tick-29000000"), id="to the Job"),
            pytest.param("web-aeiou-x2x9z", ("Deployment",), None, id="that is no hash"),
            pytest.param("other-5d4f6c7b8-x2x9z", ("Deployment",), None, id="of nobody who is there"),
            pytest.param("tick-2900-bcdfg", ("CronJob",), None, id="that is no minute"),
        ],
    )
    def test_what_made_the_owner_is_told_by_the_name_if_the_owner_was_never_seen(
        self, name: str, kinds: tuple[str, ...], expected: ResourceRef | None
    ):
        store = synced(web, tick)
        assert above(store, ref("Pod", name), kinds) == ((expected,) if expected else ())

    def test_a_live_pod_is_behind_no_service_that_it_has_left(self):
        store = synced(web_pod, obj("Service", "web"), slice_of("web", web_pod.name))
        store.put("EndpointSlice", slice_of("web"))
        assert above(store, ref("Pod", web_pod.name), ("Service",)) == ()

    def test_an_owner_that_was_made_again_is_another(self):
        lone = obj("ReplicaSet", "lone", web, uid="first")
        store = synced(web, lone, pod("p", lone))
        store.put("ReplicaSet", obj("ReplicaSet", "lone", uid="second"))
        assert above(store, ref("Pod", "p"), ("Deployment",)) == (ref("Deployment", "web"),)
        assert above(store, ref("Pod", "p"), ("ReplicaSet",)) == ()
        assert above(store, ref("ReplicaSet", "lone"), ("Deployment",)) == ()

    def test_a_pod_of_the_same_name_is_told_by_the_one_that_exists(self):
        db, kv = obj("StatefulSet", "db"), obj("StatefulSet", "kv")
        store = synced(db, kv, pod("db-0", db, uid="first", node="node-1"))
        store.put("Pod", pod("db-0", kv, uid="second", node="node-2"))
        assert above(store, ref("Pod", "db-0"), ("StatefulSet", "Workload")) == (ref("StatefulSet", "kv"),)
        assert above(store, ref("Pod", "db-0"), ("Node",)) == (ref("Node", "node-2"),)
        store.remove("Pod", "shop", "db-0")
        assert above(store, ref("Pod", "db-0"), ("Node",)) == (ref("Node", "node-2"),)

    def test_a_reference_without_a_uid_means_the_one_that_exists(self):
        owner = owner_of(web_1)
        assert owner is not None
        store = synced(web, web_1, pod("p", Owner(owner.kind, owner.name, "", owner.api_version)))
        assert workload_of(store, ref("Pod", "p")) == ref("Deployment", "web")
