"""The inventory under any churn: it is what the last list says, whatever happened on the way and in whatever order it was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from apiservice.inventory.members import narrowing
from apiservice.inventory.ownership import above
from apiservice.inventory.records import Owner, Record
from apiservice.inventory.store import Store
from metrics_api import WORKLOAD_KINDS, ResourceRef
from tests.doubles.clock import ManualClock
from tests.doubles.inventory import custom, fill, obj, owner_of, pod, slice_of

SPACES = ("shop", "other")
LONG = "checkout-" * 7
NAMES = ("web", "web-bcdfg", "db", LONG)
PODS = ("web-bcdfg-22222", "web-22222", "db-0", "db-0-bcdfg", "p", LONG[:58] + "bcdfg")
NEVER_SEEN = ("web-bcdfg-bcdfg", "web-bcdfg", "db-1", "db-1-22222", LONG[:58] + "22222", "other")
OWNERS = ("Deployment", "ReplicaSet", "StatefulSet", "Job", "CronJob", "ReplicationController")
CUSTOM = ("Rollout", "CloneSet")
KINDS = (*OWNERS, *CUSTOM, "Pod", "Node", "Service", "Workload")
QUESTIONS = (*((kind,) for kind in KINDS), (*WORKLOAD_KINDS, "Workload"), ("Pod", "Deployment"))

REFS = [
    *(ResourceRef("Pod", *place) for place in product(SPACES, {*PODS, *NEVER_SEEN})),
    *(ResourceRef(*place) for place in product((*OWNERS, *CUSTOM, "Service"), SPACES, NAMES)),
]
TARGETS = [
    *(ResourceRef(*place) for place in product((*OWNERS, *CUSTOM, "Service"), SPACES, NAMES)),
    ResourceRef("Node", "", "node-1"),
]

uids = st.sampled_from(["1", "2"])


@dataclass(frozen=True)
class Event:
    """An object as it is now, or with ``gone`` as it was."""

    record: Record
    gone: bool


@st.composite
def controllers(draw: st.DrawFn) -> Owner | None:
    match draw(st.sampled_from(["none", "known", "known", "known", "custom", "node", "pod"])):
        case "known":
            return owner_of(obj(draw(st.sampled_from(OWNERS)), draw(st.sampled_from(NAMES)), uid=draw(uids)))
        case "custom":
            return custom(draw(st.sampled_from(CUSTOM)), draw(st.sampled_from(NAMES)))
        case "node":
            return custom("Node", "node-1", "v1")
        case "pod":
            return owner_of(pod(draw(st.sampled_from(PODS)), uid=draw(uids)))
        case _:
            return None


@st.composite
def records(draw: st.DrawFn) -> Record:
    kind = draw(st.sampled_from(["Pod", "Pod", "Pod", "EndpointSlice", "Service", "ReplicaSet", *OWNERS]))
    namespace = draw(st.sampled_from(SPACES))
    if kind == "Pod":
        node = draw(st.sampled_from(["", "node-1", "node-2"]))
        return pod(draw(st.sampled_from(PODS)), draw(controllers()), uid=draw(uids), namespace=namespace, node=node)
    if kind == "EndpointSlice":
        behind = draw(st.lists(st.sampled_from(PODS), max_size=3, unique=True))
        return slice_of(
            draw(st.sampled_from(["", "web", "db"])), *behind, name=draw(st.sampled_from(["one", "two"])), namespace=namespace
        )
    return obj(kind, draw(st.sampled_from(NAMES)), draw(controllers()), uid=draw(uids), namespace=namespace)


events = st.lists(st.builds(Event, records(), st.booleans()), max_size=40)


def told(happened: Sequence[Event], clock: ManualClock | None = None) -> Store:
    store = fill(Store((clock or ManualClock()).monotonic))
    for event in happened:
        tell(store, event)
    return store


def tell(store: Store, event: Event) -> None:
    record = event.record
    if event.gone:
        store.remove(record.kind, record.namespace, record.name)
    else:
        store.put(record.kind, record)


def final(happened: Sequence[Event]) -> dict[tuple[str, str, str], Record]:
    there: dict[tuple[str, str, str], Record] = {}
    for event in happened:
        key = (event.record.kind, event.record.namespace, event.record.name)
        there.pop(key, None)
        if not event.gone:
            there[key] = event.record
    return there


def everything(store: Store) -> list[object]:
    """All that can be asked of a store."""
    return [
        {ref: [above(store, ref, kinds) for kinds in QUESTIONS] for ref in REFS},
        [narrowing(store, (kind,), namespace, name) for kind, namespace, name in TARGETS],
        {kind: sorted((record.namespace, record.name, record.uid) for record in store.records(kind)) for kind in (*OWNERS, "Pod")},
        sorted(store.kinship.all_customs("")),
        store.kinship.custom_kinds,
    ]


@given(events, st.lists(st.sampled_from(["Pod", "ReplicaSet", "EndpointSlice"]), max_size=3))
def test_after_ten_minutes_a_store_is_what_the_last_list_says(happened: list[Event], listed_again: list[str]):
    clock = ManualClock()
    store, there = told(happened, clock), list(final(happened).values())
    for kind in listed_again:
        store.replace(kind, [record for record in there if record.kind == kind])
    clock.advance(601)
    assert everything(store) == everything(fill(Store(clock.monotonic), there))


@given(events, st.randoms(use_true_random=False))
def test_kinds_may_be_told_of_in_any_order(happened: list[Event], random: object):
    queues: dict[str, list[Event]] = {}
    for event in happened:
        queues.setdefault(event.record.kind, []).append(event)
    mixed: list[Event] = []
    while queues:
        kind = random.choice(sorted(queues))  # type: ignore[attr-defined]
        mixed.append(queues[kind].pop(0))
        if not queues[kind]:
            del queues[kind]
    assert everything(told(mixed)) == everything(told(happened))


def walk(there: dict[tuple[str, str, str], Record], record: Record) -> list[ResourceRef]:
    """The way up by controller references, the plain way."""
    way = [ResourceRef(record.kind, record.namespace, record.name)]
    while (owner := record.controller) is not None and owner.kind != "Node" and len(way) < 8:
        if record.kind == "Job" and owner.kind != "CronJob":
            break
        if record.kind not in ("Pod", "ReplicaSet", "ReplicationController", "Job"):
            break
        above_it = there.get((owner.kind, record.namespace, owner.name))
        if owner.kind not in CUSTOM and (above_it is None or above_it.uid != owner.uid):
            break
        way.append(ResourceRef(owner.kind, record.namespace, owner.name))
        if above_it is None or owner.kind in CUSTOM:
            break
        record = above_it
    return way


@given(events)
def test_the_owners_of_a_pod_that_exists_are_those_of_a_plain_walk(happened: list[Event]):
    clock = ManualClock()
    store, there = told(happened, clock), final(happened)
    clock.advance(601)
    for record in there.values():
        if record.kind != "Pod":
            continue
        way = walk(there, record)
        for kind in (*OWNERS, *CUSTOM):
            expected = [ref for ref in way if ref.kind == kind][-1:]
            assert list(above(store, way[0], (kind,))) == expected
        job = len(way) > 1 and (way[-2].kind, way[-1].kind) == ("Job", "CronJob")
        assert above(store, way[0], ("Workload",)) == (way[-2 if job else -1],)


@given(events, st.integers(0, 700), events)
def test_no_pod_or_workload_that_belongs_to_an_object_is_lost_by_narrowing(happened: list[Event], pause: int, more: list[Event]):
    clock = ManualClock()
    store = told(happened, clock)
    clock.advance(pause)
    for event in more:
        tell(store, event)
    for target in TARGETS:
        names = narrowing(store, (target.kind,), target.namespace, target.name)
        for ref in REFS:
            known = ref.kind == "Pod" or store.held(ref) is not None or ref in store.kinship.all_customs("")
            if names and known and ref.kind != "Service" and target in above(store, ref, (target.kind,)):
                assert any(ref.name == name or (name.endswith("-") and ref.name.startswith(name)) for name in names), (target, ref)
