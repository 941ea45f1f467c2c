"""What is told of the backends of a Service and of itself, and their weights, which are quantities, as whole numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.linkerd import viz_pb2 as viz
from backends.linkerd.rows import Row
from backends.linkerd.services import called, whole_weights


@pytest.mark.parametrize(
    ("texts", "weights"),
    [
        pytest.param(["1", "9"], [1, 9], id="whole numbers"),
        pytest.param(["500m", "500m"], [500, 500], id="thousandths"),
        pytest.param(["1", "500m"], [1000, 500], id="both: in proportion"),
        pytest.param(["0.5", "1.5"], [500, 1500], id="fractions"),
        pytest.param(["1k", "100"], [1000, 100], id="thousands"),
        pytest.param(["1000m", "2"], [1, 2], id="thousandths that are whole"),
        pytest.param(["0", "1"], [0, 1], id="nothing for one"),
        pytest.param(["", "x", "-1", "1e3", "NaN", "5"], [5], id="what is no weight is none"),
    ],
)
def test_weights_are_whole_numbers_in_the_proportion_they_were_given(texts: list[str], weights: list[int]):
    assert list(whole_weights({str(place): text for place, text in enumerate(texts)}).values()) == weights


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=4))
def test_the_proportion_does_not_depend_on_how_weights_are_written(thousandths: list[int]):
    written = {str(place): f"{value}m" if value % 1000 else str(value // 1000) for place, value in enumerate(thousandths)}
    told = whole_weights(written)
    for place, value in enumerate(thousandths):
        assert told[str(place)] * sum(thousandths) == value * sum(told.values())


def leaf(name: str, weight: str, *counts: int, apex: str = "web") -> Row:
    stats = viz.BasicStats(success_count=counts[0], failure_count=counts[1], latency_ms_p50=10) if counts else None
    split = viz.TrafficSplitStats(apex=apex, leaf=name, weight=weight) if name else None
    return Row(resource=viz.Resource(type="service", namespace="shop", name="web"), stats=stats, ts_stats=split)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        pytest.param(
            [leaf("a", "1", 4, 1), leaf("b", "3", 6, 0)], {"a": (4, 1, 1), "b": (6, 0, 3), "web": (10, 1, None)}, id="two"
        ),
        pytest.param([leaf("web", "1", 4, 1), leaf("b", "3", 6, 0)], {"web": (4, 1, 1), "b": (6, 0, 3)}, id="one of them itself"),
        pytest.param([leaf("a", "1", 4, 1), leaf("b", "3")], {"a": (4, 1, 1), "web": (4, 1, None)}, id="one without numbers"),
        pytest.param([leaf("a", "heavy", 4, 1)], {"a": (4, 1, None), "web": (4, 1, None)}, id="a weight that is none"),
        pytest.param([leaf("", "", 4, 1), leaf("", "", 1, 1)], {"web": (5, 2, None)}, id="backends that nobody names"),
        pytest.param([leaf("a", "1", 4, 1, apex="other")], {"web": (4, 1, None)}, id="the split of another"),
        pytest.param([leaf("a", "1")], {}, id="no numbers at all"),
    ],
)
def test_backends_are_told_by_themselves_and_a_service_that_answers_nothing_by_all_of_them(
    rows: list[Row], told: dict[str, tuple[int, int, int | None]]
):
    found = list(called(rows, "shop", "web"))
    assert {ref.name: (numbers.success, numbers.failure, split and split.weight) for ref, numbers, split in found} == told
    assert len(found) == len(told)


def test_percentiles_of_several_backends_cannot_be_added():
    both = {ref.name: numbers.latency for ref, numbers, _ in called([leaf("a", "1", 4, 1), leaf("b", "3", 6, 0)], "shop", "web")}
    assert {name: latency and dict(latency) for name, latency in both.items()} == {"a": {0.5: 0.01}, "b": {0.5: 0.01}, "web": None}
    (_, _, _), (_, alone, _) = called([leaf("a", "1", 4, 1)], "shop", "web")
    assert dict(alone.latency or {}) == {0.5: 0.01}
