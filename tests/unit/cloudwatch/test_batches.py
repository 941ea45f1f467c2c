"""Calls of a size, made of what is asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.cloudwatch.batches import MOST_QUERIES, batches
from backends.cloudwatch.metric import Metric, Wanted


def row(number: int, counts: list[int]) -> dict[Metric, tuple[str, ...]]:
    """Metrics of one subject, with so many statistics each."""
    return {
        Metric.of("Space", f"metric-{index}", {"Service": str(number), "metric_type": "timing" if index else "counter"}): tuple(
            f"p{statistic}" for statistic in range(count)
        )
        for index, count in enumerate(counts)
    }


ROWS = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=5), max_size=30)


@given(rows=ROWS, size=st.integers(1, 60))
def test_nothing_is_lost_or_moved_and_rows_that_fit_are_in_one_call(rows: list[list[int]], size: int) -> None:
    wanted: Wanted = {metric: asked for number, counts in enumerate(rows) for metric, asked in row(number, counts).items()}
    calls = list(batches(wanted, size))
    assert [item for call in calls for item in call.items()] == list(wanted.items())
    for number, counts in enumerate(rows):
        held = [index for index, call in enumerate(calls) if any(metric.value("Service") == str(number) for metric in call)]
        assert len(held) == 1 or sum(counts) > size
    for call in calls:
        # A metric alone may have more statistics than there is room for.
        assert sum(map(len, call.values())) <= size or len(call) == 1


def test_more_statistics_of_one_metric_than_a_call_may_have_are_divided() -> None:
    (metric,) = (wanted := row(0, [2 * MOST_QUERIES + 1]))
    assert [len(call[metric]) for call in batches(wanted, MOST_QUERIES)] == [MOST_QUERIES, MOST_QUERIES, 1]
