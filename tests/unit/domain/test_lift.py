"""Members become what they belong to: added once each, whoever saw them, and never beside the same requests seen by somebody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_api import (
    EVERYTHING,
    Direction,
    Histogram,
    Identities,
    Percentiles,
    ResourceRef,
    Sample,
    Side,
    SplitBackend,
    lift,
)
from metrics_api.sample import NEXT_SCHEME

WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")
WEB_1, WEB_2, API_1 = (ResourceRef("Pod", "shop", name) for name in ("web-1", "web-2", "api-1"))
NODE, SERVICE = ResourceRef("Node", "", "n1"), ResourceRef("Service", "shop", "web")
ABOVE = {WEB_1: WEB, WEB_2: WEB, API_1: API}
ALL_ON_NODE = dict.fromkeys(ABOVE, NODE)


def seen(
    resource: ResourceRef,
    success: float | None,
    *,
    peer: ResourceRef = EVERYTHING,
    side: Side = Side.SERVER,
    trust: int = 0,
    source: str = "mesh",
    latency: Histogram | Percentiles | None = None,
) -> Sample:
    failure = None if success is None else 0.0
    return Sample(resource, peer, Direction.FROM, side, success, failure, latency, trust, source)


def lifted(*samples: Sample, above: Mapping[ResourceRef, ResourceRef] = ABOVE) -> list[Sample]:
    def owners(ref: ResourceRef) -> Sequence[ResourceRef]:
        return (above[ref],) if ref in above else (ref,) if ref.kind != "Pod" else ()

    return lift(samples, owners, lambda ref: above.get(ref, ref))


def test_members_are_added_whoever_observed_them():
    (sample,) = lifted(seen(WEB_1, 2.0), seen(WEB_2, 3.0, side=Side.CLIENT, trust=10_000))
    assert (sample.resource, sample.success, sample.side) == (WEB, 5.0, Side.SERVER)


def test_histograms_are_merged():
    fast, slow = Histogram((1.0, 2.0), (3.0, 0.0)), Histogram((1.0, 2.0), (0.0, 1.0))
    (sample,) = lifted(seen(WEB_1, 3.0, latency=fast), seen(WEB_2, 1.0, latency=slow))
    assert sample.latency == Histogram((1.0, 2.0), (3.0, 1.0))


def test_percentiles_are_not_merged():
    told = Percentiles({0.5: 1.0})
    (sample,) = lifted(seen(WEB_1, 3.0, latency=told), seen(WEB_2, 1.0, latency=told))
    assert sample.latency is None


def test_what_the_same_side_knows_of_the_whole_is_of_other_series_and_added():
    (sample,) = lifted(seen(WEB, 10.0), seen(WEB_1, 2.0))
    assert sample.success == 12.0


@pytest.mark.parametrize(
    ("trust_of_whole", "expected"), [(10_000, 2.0), (-1, 10.0)], ids=["members are better", "the whole is better"]
)
def test_what_the_other_side_knows_of_the_whole_is_the_same_requests(trust_of_whole: int, expected: float):
    (sample,) = lifted(seen(WEB, 10.0, side=Side.CLIENT, trust=trust_of_whole), seen(WEB_1, 2.0))
    assert sample.success == expected


def test_nothing_is_added_across_sources():
    (sample,) = lifted(seen(WEB, 10.0), seen(WEB_1, 2.0, source="other"))
    assert (sample.success, sample.source) == (10.0, "mesh")


def test_nothing_is_added_across_the_schemes_of_one_source():
    (sample,) = lifted(seen(WEB, 10.0, trust=NEXT_SCHEME), seen(WEB_1, 2.0))
    assert sample.success == 2.0


def test_a_source_that_counts_nothing_leaves_it_to_another():
    (sample,) = lifted(seen(WEB, None), seen(WEB_1, 2.0, source="other"))
    assert (sample.success, sample.source) == (2.0, "other")


def test_a_member_that_belongs_to_nothing_is_left_out():
    assert lifted(seen(ResourceRef("Pod", "shop", "bare"), 2.0)) == []


def test_what_belongs_to_several_things_is_counted_for_each():
    services = [ResourceRef("Service", "shop", name) for name in ("web", "web-canary")]
    samples = lift([seen(WEB_1, 2.0)], lambda _: services, lambda peer: peer)
    assert {sample.resource.name: sample.success for sample in samples} == {"web": 2.0, "web-canary": 2.0}


def test_a_peer_that_one_side_knows_by_a_member_and_the_other_by_its_name_is_counted_once_for_each_member_of_the_resource():
    """Cilium's agents tell the pods of both ends, and of the end where they are the node as well."""
    members = [seen(pod, 2.0, peer=API_1, side=Side.CLIENT) for pod in (WEB_1, WEB_2)]
    whole = [seen(pod, 2.0, peer=NODE, trust=10_000) for pod in (WEB_1, WEB_2)]
    (sample,) = lifted(*members, *whole, above={WEB_1: SERVICE, WEB_2: SERVICE, API_1: NODE})
    assert (sample.resource, sample.peer, sample.side, sample.success) == (SERVICE, NODE, Side.CLIENT, 4.0)


def test_members_told_in_several_dialects_are_told_in_all_of_them():
    linkerd, istio = (replace(seen(pod, 2.0), dialect=name) for pod, name in ((WEB_1, "linkerd"), (WEB_2, "istio")))
    (sample,) = lifted(linkerd, istio)
    assert (sample.success, sample.dialect) == (4.0, "istio,linkerd")


def test_only_identities_that_all_members_have_are_those_of_the_whole():
    known = Identities("web.shop", "api.shop")
    one, same = (replace(seen(pod, 2.0, peer=API), identities=known) for pod in (WEB_1, WEB_2))
    assert [sample.identities for sample in lifted(one, same)] == [known]
    assert [sample.identities for sample in lifted(one, replace(same, identities=None))] == [None]


def test_what_a_service_got_as_the_backend_of_a_split_is_no_backend_of_anything_else():
    backend = SplitBackend("web", "web-v2", 10)
    (node,) = lifted(replace(seen(SERVICE, 2.0), backend=backend), above={SERVICE: NODE})
    (itself,) = lifted(replace(seen(SERVICE, 2.0), backend=backend))
    assert (node.backend, itself.backend) == (None, backend)


def test_peers_are_lifted_too():
    (sample,) = lifted(seen(WEB_1, 2.0, peer=API_1), seen(WEB_2, 3.0, peer=API_1))
    assert (sample.resource, sample.peer, sample.success) == (WEB, API, 5.0)


PODS = [ResourceRef("Pod", "shop", f"pod-{number}") for number in range(6)]
COUNTS = st.integers(0, 1000).map(float)


@given(
    st.dictionaries(st.tuples(st.sampled_from(PODS), st.sampled_from(PODS)), st.tuples(COUNTS, st.sampled_from(Side)), max_size=20),
    st.lists(st.sampled_from([WEB, API]), min_size=6, max_size=6),
)
def test_lifting_loses_and_adds_nothing(
    flows: Mapping[tuple[ResourceRef, ResourceRef], tuple[float, Side]], owners: list[ResourceRef]
):
    above = dict(zip(PODS, owners, strict=True))
    samples = [seen(pod, count, peer=peer, side=side) for (pod, peer), (count, side) in flows.items()]
    found = lifted(*samples, above=above)
    for owner in (WEB, API):
        for peer in (WEB, API):
            truth = sum(count for (pod, other), (count, _) in flows.items() if (above[pod], above[other]) == (owner, peer))
            told = [sample.success for sample in found if (sample.resource, sample.peer) == (owner, peer)]
            assert sum(count or 0.0 for count in told) == truth
            assert len(told) <= 1


def test_members_of_one_kind_are_added_whoever_tells_of_them():
    """On a node there may be pods of two meshes."""
    (sample,) = lifted(
        seen(WEB_1, 2.0), seen(WEB_2, 3.0, trust=NEXT_SCHEME), seen(API_1, 4.0, source="other"), above=dict.fromkeys(ABOVE, NODE)
    )
    assert sample.success == 9.0


def test_members_of_different_kinds_may_be_the_same_requests():
    above = {WEB_1: SERVICE, WEB: SERVICE}
    (sample,) = lifted(seen(WEB_1, 2.0), seen(WEB, 3.0, source="other"), above=above)
    assert (sample.success, sample.source) == (2.0, "mesh")


def test_members_that_several_sources_tell_of_name_them_all():
    (sample,) = lifted(seen(WEB_1, 2.0, source="b"), seen(WEB_2, 3.0, source="a"), seen(API_1, 4.0, source="b"), above=ALL_ON_NODE)
    assert (sample.success, sample.source) == (9.0, "b,a")


def test_a_latency_that_one_of_several_sources_tells_of_its_members_is_none_of_the_whole():
    (sample,) = lifted(seen(WEB_1, 5.0, latency=Histogram((1.0, float("inf")), (5, 0)), source="a"), seen(WEB_2, 7.0, source="b"))
    assert (sample.success, sample.latency) == (12.0, None)


def test_members_of_another_window_or_instant_are_not_added_and_that_is_told():
    left: list[tuple[str, str]] = []
    (sample,) = lift(
        [seen(WEB_1, 2.0, source="a"), seen(WEB_2, 3.0, source="late"), seen(API_1, 4.0, source="b")],
        lambda _: (NODE,),
        lambda ref: ref,
        {"late": 60}.get,
        lambda kept, out: left.append((kept.source, out.source)),
    )
    assert (sample.success, sample.source) == (6.0, "a,b")
    assert left == [("a", "late")]
