"""Several clusters behind one server: who is asked, how rows are told apart, and what is said of what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from apiservice.federation import clusters as clusters_module
from apiservice.federation.observer import Observer
from apiservice.question import fields_of
from metrics_api import (
    EVERYTHING,
    UNKNOWN,
    BackendTimeout,
    BackendUnavailable,
    BadQuery,
    Direction,
    NotFound,
    ResourceRef,
    Sample,
    Side,
    Span,
    TrafficMetrics,
    Unsupported,
    Window,
)
from metrics_api.resources import host
from tests.apiservice.fleets import API, CART, WEB, Mesh, alone, ask, clusters, named, numbers, question
from tests.unit.apiservice.test_traffic import Cluster, edge

CLUSTER = "metrics.smi-spec.io/cluster"


def fleet() -> dict[str, Mesh]:
    """The same workload in three clusters, and one that is in a single one of them."""
    return {"east": named("a", {WEB: 1, API: 2}), "west": named("b", {WEB: 4}), "north": named("c", {WEB: 8, CART: 16})}


def asked(meshes: Mapping[str, Mesh]) -> set[str]:
    return {name for name, mesh in meshes.items() if mesh.asked}


async def test_rows_of_other_clusters_have_their_name_at_the_end_and_every_row_says_where_it_is():
    result = await ask(clusters("east", fleet()), "namespaces/shop/deployments")
    assert numbers(result.rows) == {"api": 2, "web": 1, "web@west": 4, "web@north": 8, "cart@north": 16}
    assert [row.name for row in result.rows] == ["api", "cart@north", "web", "web@north", "web@west"]
    assert {row.name: (row.cluster, row.annotations[CLUSTER]) for row in result.rows if row.resource == WEB} == {
        "web": ("east", "east"),
        "web@north": ("north", "north"),
        "web@west": ("west", "west"),
    }
    assert (result.warnings, result.incomplete) == ((), False)


async def test_rows_of_traffic_are_named_so_too():
    meshes = {"": Mesh((edge(WEB, API),)), "west": Mesh((edge(WEB, API),))}
    result = await ask(clusters("", meshes), "namespaces/shop/trafficmetrics", selector="edge.direction=to")
    assert list(numbers(result.rows)) == ["deployment.web.to.deployment.api", "deployment.web.to.deployment.api@west"]
    assert [CLUSTER in row.annotations for row in result.rows] == [False, True]


async def test_a_host_cannot_take_the_name_of_a_row_of_another_cluster():
    meshes = {"": Mesh((edge(WEB, host("evil@west")),)), "west": Mesh((edge(WEB, host("evil")),))}
    service = clusters("", meshes)
    result = await ask(service, "trafficmetrics", selector="edge.direction=to")
    assert list(numbers(result.rows)) == ["deployment.web.to.evil@@west", "deployment.web.to.evil@west"]
    for row in result.rows:
        (found,) = (await ask(service, f"namespaces/shop/trafficmetrics/{row.name}")).rows
        assert (found.cluster, found.edge.peer) == (row.cluster, row.edge.peer)


async def test_one_cluster_alone_answers_as_it_is():
    mesh = named("a", {WEB: 1, API: 2})
    for path in ("deployments", "namespaces/shop/deployments/web", "trafficmetrics?includeIdle=true"):
        assert await ask(clusters("", {"": mesh}), path) == await ask(alone(mesh), path)


async def test_all_clusters_are_asked_at_the_same_time():
    meshes = fleet()
    together = asyncio.Barrier(len(meshes))
    for mesh in meshes.values():
        mesh.gate = together  # type: ignore[assignment]
    async with asyncio.timeout(5):
        assert len((await ask(clusters("east", meshes), "deployments")).rows) == 5


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        pytest.param("cluster=west", {"west"}, id="one"),
        pytest.param("cluster==east", {"east"}, id="home by its name"),
        pytest.param("cluster=", {"east"}, id="home"),
        pytest.param("cluster!=", {"west", "north"}, id="all but home"),
        pytest.param("cluster!=east", {"west", "north"}, id="all but home by its name"),
        pytest.param("cluster!=west", {"east", "north"}, id="all but one"),
        pytest.param("cluster!=elsewhere", {"east", "west", "north"}, id="all but one that there is not"),
        pytest.param("cluster=west,cluster=east", set(), id="none is two"),
        pytest.param("metadata.name=web", {"east"}, id="a name of home"),
        pytest.param("metadata.name=web@west", {"west"}, id="a name of another"),
        pytest.param("metadata.name!=web@west", {"east", "west", "north"}, id="another name than this"),
        pytest.param("metadata.name=web@west,cluster=north", set(), id="a name of another than is chosen"),
    ],
)
async def test_a_selector_chooses_who_is_asked(selector: str, chosen: set[str]):
    meshes = fleet()
    result = await ask(clusters("east", meshes), "namespaces/shop/deployments", selector=selector)
    assert asked(meshes) == chosen
    rows = (await ask(clusters("east", fleet()), "namespaces/shop/deployments")).rows
    others = [term for term in question("deployments", selector=selector).fields.terms if term.field != "cluster"]
    meant = [row for row in rows if row.cluster in chosen and all(_holds(row, str(term)) for term in others)]
    assert [row.name for row in result.rows] == [row.name for row in meant]


def _holds(row: TrafficMetrics, term: str) -> bool:
    return question("deployments", selector=term).fields.matches(fields_of(row))


async def test_a_cluster_that_there_is_not_cannot_be_chosen():
    with pytest.raises(BadQuery, match='there is no "wets" here; known are "east", "west", "north"'):
        await ask(clusters("east", fleet()), "deployments", selector="cluster=wets")
    with pytest.raises(BadQuery, match="its own cluster alone, which has no name"):
        await ask(clusters("", {"": named("a", {WEB: 1})}), "deployments", selector="cluster=west")


@pytest.mark.parametrize(
    ("path", "name", "success", "cluster"),
    [
        pytest.param("namespaces/shop/deployments/web", "web", 1, "east", id="home"),
        pytest.param("namespaces/shop/deployments/web@west", "web@west", 4, "west", id="another"),
        pytest.param("namespaces/shop/trafficmetrics/deployment.web", "deployment.web", 1, "east", id="a row of home"),
        pytest.param("namespaces/shop/trafficmetrics/deployment.web@west", "deployment.web@west", 4, "west", id="a row of another"),
    ],
)
async def test_a_name_says_which_cluster_is_asked(path: str, name: str, success: float, cluster: str):
    meshes = fleet()
    result = await ask(clusters("east", meshes), path)
    assert numbers(result.rows) == {name: success}
    assert result.rows[0].resource == WEB
    assert asked(meshes) == {cluster}


async def test_edges_of_one_object_are_those_of_the_cluster_its_name_says():
    meshes = {"east": Mesh((edge(WEB, API),)), "west": Mesh((edge(WEB, CART),))}
    service = clusters("east", meshes)
    (here,) = (await ask(service, "namespaces/shop/deployments/web/edges")).rows
    (there,) = (await ask(service, "namespaces/shop/deployments/web@west/edges")).rows
    assert [(row.name, row.edge.peer) for row in (here, there)] == [("web", API), ("web@west", CART)]


async def test_edges_of_a_namespace_are_those_of_every_cluster_and_a_selector_chooses():
    shop, data = ResourceRef("Namespace", "", "shop"), ResourceRef("Namespace", "", "data")
    meshes = {"east": Mesh((edge(shop, data),)), "west": Mesh((edge(shop, data),)), "north": Mesh()}
    everywhere = await ask(clusters("east", meshes), "namespaces/shop/edges")
    assert (list(numbers(everywhere.rows)), everywhere.warnings) == (["shop", "shop@west"], ())
    assert list(numbers((await ask(clusters("east", meshes), "namespaces/shop@west/edges")).rows)) == ["shop@west"]
    chosen = await ask(clusters("east", meshes), "namespaces/shop/edges", selector="cluster=west")
    assert list(numbers(chosen.rows)) == ["shop@west"]
    nowhere = await ask(clusters("east", meshes), "namespaces/shop/edges", selector="cluster=west,cluster=east")
    assert nowhere.rows == ()
    with pytest.raises(NotFound):
        await ask(clusters("east", meshes), "namespaces/nowhere/edges")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("web@east", '"east" is the cluster of this server, whose objects have names without @', id="home"),
        pytest.param("web@wets", 'there is no cluster "wets" here; known are "east", "west", "north"', id="no cluster"),
        pytest.param("cart@west", 'deployments.metrics.smi-spec.io "cart@west" not found$', id="no object"),
        pytest.param("web@west@north", 'deployments.metrics.smi-spec.io "web@west@north" not found$', id="two clusters"),
        pytest.param("web@", 'deployments.metrics.smi-spec.io "web@" not found$', id="no name of a cluster"),
    ],
)
async def test_a_name_that_nothing_has_is_not_found_and_why(name: str, told: str):
    with pytest.raises(NotFound, match=told):
        await ask(clusters("east", fleet()), f"namespaces/shop/deployments/{name}")
    listed = await ask(clusters("east", fleet()), "namespaces/shop/deployments", selector=f"metadata.name={name}")
    assert listed.rows == ()
    assert (listed.warnings == ()) is told.endswith("$")


def test_a_namespace_has_no_cluster_in_its_name():
    for path in ("namespaces/shop@west/deployments", "namespaces/shop@west/trafficmetrics"):
        with pytest.raises(BadQuery, match='ask in "shop" with the field selector cluster=west'):
            question(path)


@pytest.mark.parametrize("path", ["deployments/cart", "trafficmetrics/deployment.cart", "deployments/cart/edges"])
async def test_what_is_in_another_cluster_alone_is_not_found_and_said_to_be_there(path: str):
    meshes = fleet()
    meshes["north"] = Mesh((*meshes["north"].samples, edge(CART, WEB)))
    name = "deployment.cart" if "trafficmetrics" in path else "cart"
    with pytest.raises(NotFound, match=f'"{name}" not found; another cluster has one: ask for "{name}@north"') as caught:
        await ask(clusters("east", meshes), f"namespaces/shop/{path}")
    assert caught.value.name == name
    with pytest.raises(NotFound, match=r"not found$"):
        await ask(clusters("east", meshes), f"namespaces/shop/{path.replace('cart', 'nobody')}")


async def test_a_history_of_what_is_not_there_asks_nobody_else():
    """Each of its instants would ask every other cluster."""
    meshes = fleet()
    asking = replace(question("namespaces/shop/deployments/cart"), span=Span(100, 160, 30))
    with pytest.raises(NotFound, match=r"not found$"):
        await clusters("east", meshes).answer(asking, 160)
    assert asked(meshes) <= {"east"}


async def test_a_404_does_not_wait_for_a_cluster_that_is_slow(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clusters_module, "_PATIENCE", 0.01)
    meshes = fleet()
    meshes["west"].gate = asyncio.Event()
    async with asyncio.timeout(5):
        with pytest.raises(NotFound, match=r'ask for "cart@north"$'):
            await ask(clusters("east", meshes), "namespaces/shop/deployments/cart")


async def test_a_cluster_that_fails_is_named_and_never_silently_missing():
    meshes = fleet()
    meshes["west"].error = BackendUnavailable("b", "is down")
    result = await ask(clusters("east", meshes), "deployments")
    assert {row.cluster for row in result.rows} == {"east", "north"}
    assert result.warnings == ('cluster "west" did not answer: source "b": is down',)
    assert result.incomplete


class Counting(Observer):
    """How many answers lacked something."""

    def __init__(self) -> None:
        self.lacking = 0

    def incomplete(self) -> None:
        self.lacking += 1


@pytest.mark.parametrize(
    ("down", "half", "lacking"),
    [((), (), 0), (("west",), (), 1), (("west", "north"), (), 1), ((), ("west",), 1), (("north",), ("west",), 1)],
    ids=["nothing", "a cluster", "two clusters", "a part of a cluster", "a cluster and a part of another"],
)
async def test_an_answer_that_lacks_something_is_counted_once(down: tuple[str, ...], half: tuple[str, ...], lacking: int):
    meshes, observer = fleet(), Counting()
    for name in down:
        meshes[name].error = BackendUnavailable(name, "is down")
    for name in half:
        meshes[name].warnings = ("half of it is missing",)
    result = await ask(clusters("east", meshes, observer=observer), "deployments")
    assert (observer.lacking, result.incomplete) == (lacking, bool(lacking))


async def test_when_home_fails_the_others_answer_for_the_instant_that_was_asked_about():
    meshes = {"": named("a", {WEB: 1}), "west": named("b", {WEB: 4}, late=60)}
    meshes[""].error = BackendTimeout("a", "did not answer within 10s")
    result = await ask(clusters("", meshes), "deployments", 300)
    assert result.warnings == ('the cluster of this server did not answer: source "a": did not answer within 10s',)
    assert (result.instant, result.window, result.incomplete) == (300, Window(30), True)
    assert [(row.name, row.instant, row.told_at) for row in result.rows] == [("web@west", 240, 300)]


async def test_when_all_fail_the_error_is_that_of_the_first():
    meshes = fleet()
    for name, mesh in meshes.items():
        mesh.error = BackendTimeout(name, "is slow") if name == "east" else BackendUnavailable(name, "is down")
    with pytest.raises(BackendTimeout, match='source "east": is slow'):
        await ask(clusters("east", meshes), "deployments")
    with pytest.raises(BackendUnavailable, match='source "north": is down'):
        await ask(clusters("north", meshes), "deployments")
    meshes["east"].refuses = "no label names it"
    with pytest.raises(BackendUnavailable, match='source "west": is down'):
        await ask(clusters("east", meshes), "deployments")


async def test_what_one_cluster_cannot_tell_is_said_and_nothing_is_incomplete():
    meshes = fleet()
    meshes["west"].refuses = "no label names it"
    result = await ask(clusters("east", meshes), "deployments")
    assert (result.warnings, result.incomplete) == (('cluster "west" cannot tell: source "b": no label names it',), False)
    with pytest.raises(Unsupported, match="no label names it"):
        await ask(clusters("east", meshes), "deployments", selector="cluster=west")
    for mesh in meshes.values():
        mesh.refuses = "no label names it"
    with pytest.raises(Unsupported, match='source "a": no label names it'):
        await ask(clusters("east", meshes), "deployments")


async def test_a_warning_of_another_cluster_says_of_which():
    meshes = fleet()
    for mesh in meshes.values():
        mesh.warnings = ("half of it is missing",)
    result = await ask(clusters("east", meshes), "deployments", selector="cluster!=north")
    assert result.warnings == ("half of it is missing", 'cluster "west": half of it is missing')
    assert result.incomplete
    alone = await ask(clusters("east", meshes), "deployments", selector="cluster=west")
    assert alone.warnings == ("half of it is missing",)


async def test_rows_of_another_instant_keep_it_and_have_the_version_of_the_answer():
    meshes = {"": named("a", {WEB: 1}), "west": named("b", {WEB: 4}, late=60), "north": named("c", {WEB: 8})}
    result = await ask(clusters("", meshes), "deployments", 300)
    assert (result.instant, result.window) == (300, Window(30))
    assert {row.name: (row.instant, row.told_at) for row in result.rows} == {
        "web": (300, 300),
        "web@west": (240, 300),
        "web@north": (300, 300),
    }
    late = {"": named("a", {WEB: 1}, late=60), "west": named("b", {WEB: 4})}
    result = await ask(clusters("", late), "deployments", 300)
    assert {row.name: (row.instant, row.told_at) for row in result.rows} == {"web": (240, 240), "web@west": (300, 240)}
    (only,) = (await ask(clusters("", meshes), "namespaces/shop/deployments/web@west", 300)).rows
    assert (only.instant, only.told_at) == (240, 240)


async def test_labels_are_those_of_home_and_others_are_said_to_be_left_out():
    known = Cluster({WEB: {"app": "web"}, API: {"app": "api"}})
    meshes = fleet()
    result = await ask(clusters("east", meshes, known), "deployments", labelSelector="app!=api")
    assert list(numbers(result.rows)) == ["web"]
    assert asked(meshes) == {"east"}
    (warning,) = result.warnings
    assert warning.endswith('the answer is without clusters "west", "north"')
    nothing = await ask(clusters("east", meshes, known), "deployments", labelSelector="app!=api", selector="cluster=west")
    assert nothing.rows == ()
    assert nothing.warnings[0].endswith('the answer is without cluster "west"')


async def test_idle_objects_are_those_of_home():
    known = Cluster({WEB: {}, API: {}, CART: {}})
    result = await ask(
        clusters("east", fleet(), known), "namespaces/shop/deployments", includeIdle="true", selector="cluster!=north"
    )
    assert {row.name: row.success for row in result.rows} == {"api": 2000, "cart": None, "web": 1000, "web@west": 4000}
    assert {row.annotations[CLUSTER] for row in result.rows} == {"east", "west"}


async def test_workloads_of_custom_controllers_are_those_of_home():
    class Rollouts(Cluster):
        custom_kinds = frozenset({"Rollout"})

    rollout = WEB._replace(kind="Rollout")
    meshes = {"": Mesh((Sample(rollout, EVERYTHING, Direction.FROM, Side.SERVER, 1, 0, None),)), "west": named("b", {WEB: 4})}
    service = clusters("", meshes, Rollouts({rollout: {}}))
    result = await ask(service, "namespaces/shop/trafficmetrics", selector="resource.kind=Rollout")
    assert list(numbers(result.rows)) == ["rollout.web"]
    assert result.warnings == ('cluster "west" cannot tell: what is a Rollout is known of the cluster of this server alone',)
    with pytest.raises(BadQuery, match='"Bogus" is not a kind'):
        await ask(service, "namespaces/shop/trafficmetrics", selector="resource.kind=Bogus")


async def test_what_divides_traffic_is_read_at_home_and_nobody_else_is_asked():
    meshes = fleet()
    with pytest.raises(Unsupported, match="are read from Kubernetes, and this server runs without it"):
        await ask(clusters("east", meshes), "trafficsplits")
    for path in ("trafficsplits?fieldSelector=cluster=west", "namespaces/shop/trafficsplits/canary@west"):
        with pytest.raises(Unsupported, match='and that of cluster "west" is not read from here'):
            await ask(clusters("east", meshes), path)
    assert asked(meshes) == set()


async def test_a_server_in_a_cluster_that_nobody_tells_of_tells_of_the_others():
    meshes = {name: mesh for name, mesh in fleet().items() if name != "east"}
    service = clusters("east", meshes)
    assert list(numbers((await ask(service, "deployments")).rows)) == ["cart@north", "web@north", "web@west"]
    assert (await ask(service, "deployments", selector="cluster=")).rows == ()
    with pytest.raises(
        NotFound, match=r'no source tells of the cluster of this server; another cluster has one: ask for "cart@north"$'
    ):
        await ask(service, "namespaces/shop/deployments/cart")


async def test_hosts_of_other_clusters_are_named_to_nobody_who_may_not_read_all():
    outside = host("payments.example.com")
    spy = ResourceRef("Deployment", "data", "spy")
    meshes = {name: Mesh((edge(WEB, outside), edge(WEB, spy))) for name in ("", "west")}
    path, selector = "namespaces/shop/trafficmetrics", "edge.direction=to"
    first = await clusters("", meshes).answer(replace(question(path, selector=selector), visible=frozenset()), 100)
    data = ResourceRef("Namespace", "", "data")
    # Of hosts only those seen at home are reviewed; those of the same name abroad are not told of by that.
    assert first.hidden == {outside, data}
    told = await clusters("", meshes).answer(replace(question(path, selector=selector), visible=first.hidden), 100)
    assert {(row.cluster, row.edge.peer) for row in told.rows} == {("", outside), ("", spy), ("west", UNKNOWN), ("west", spy)}
    seen_abroad = await clusters("", {"": Mesh(), "west": meshes["west"]}).answer(
        replace(question(path, selector=selector), visible=frozenset()), 100
    )
    assert seen_abroad.hidden == {data}
