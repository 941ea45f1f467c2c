"""Who calls whom in a mesh, out of the dimensions of its metrics: each call once, however often it is published."""

from __future__ import annotations

from backends.cloudwatch.meshedge import MeshEdge
from backends.cloudwatch.meshpaths import Ends, Path, paths_of
from backends.cloudwatch.published import Dimensions

WEB_TO_ORDERS = Ends("VirtualNode", "web", "orders")


def of(**dimensions: str) -> Dimensions:
    """The dimensions of a call from web to orders, and what is said of them; what is empty is not among them."""
    found = {"Mesh": "shop", "VirtualNode": "web", "TargetVirtualNode": "orders", **dimensions}
    return tuple(sorted((name, value) for name, value in found.items() if value))


def test_sets_of_the_same_kind_count_different_calls() -> None:
    sets = [of(host="a"), of(host="b")]
    assert paths_of(sets, "shop") == [Path(WEB_TO_ORDERS, tuple(sets))]


def test_of_several_kinds_of_sets_the_one_with_the_fewest_dimensions_is_read() -> None:
    sets = [of(host="a"), of(host="b"), of(), of(host="a", pod="c")]
    assert paths_of(sets, "shop") == [Path(WEB_TO_ORDERS, (of(),), contested=True)]


def test_of_kinds_with_as_many_dimensions_one_is_read() -> None:
    sets = [of(host="a"), of(InstanceId="i-1"), of(InstanceId="i-2")]
    assert paths_of(sets, "shop") == [Path(WEB_TO_ORDERS, (of(InstanceId="i-1"), of(InstanceId="i-2")), contested=True)]


def test_a_virtual_service_more_or_less_needs_no_word() -> None:
    sets = [of(TargetVirtualService="a"), of(TargetVirtualService="b"), of()]
    assert paths_of(sets, "shop") == [Path(WEB_TO_ORDERS, (of(),))]


def test_each_pair_of_ends_has_the_kind_of_set_it_is_published_with() -> None:
    gateway = of(VirtualNode="", VirtualGateway="in", host="a")
    assert paths_of([of(), gateway], "shop") == [
        Path(WEB_TO_ORDERS, (of(),)),
        Path(Ends("VirtualGateway", "in", "orders"), (gateway,)),
    ]


def test_what_is_no_call_of_the_mesh_is_left_out() -> None:
    assert paths_of([of(Mesh="test"), of(TargetVirtualNode=""), of(metric_type="gauge"), of(Mesh="")], "shop") == []


def test_every_caller_together_is_an_end_where_nobody_else_is() -> None:
    together = of(VirtualNode="")
    assert paths_of([together], "shop") == [Path(Ends("", "", "orders"), (together,))]
    assert paths_of([together, of(host="a")], "shop") == [Path(WEB_TO_ORDERS, (of(host="a"),))]


def test_configured_edges_are_there_in_any_case_and_count_once() -> None:
    edge = MeshEdge("web", "orders")
    service = of(TargetVirtualService="orders")
    for sets, expected in (
        ([], [Path(WEB_TO_ORDERS, (service,))]),
        ([of()], [Path(WEB_TO_ORDERS, (of(),))]),
        ([service], [Path(WEB_TO_ORDERS, (service,))]),
        ([of(TargetVirtualService="all")], [Path(WEB_TO_ORDERS, (of(TargetVirtualService="all"), service))]),
        ([of(VirtualNode="")], [Path(Ends("", "", "orders"), (of(VirtualNode=""),))]),
    ):
        assert paths_of(sets, "shop", [(edge, service)]) == expected
