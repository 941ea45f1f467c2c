"""Frames of any history: one row for each sample, in the order of time, every number the sample's own or NaN."""

from __future__ import annotations

import math

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from backends.history import frame
from metrics_api import Answer, Direction, Histogram, ResourceRef, Sample, Side, Window

NAMES = st.sampled_from(["", "a", "web", 'we"b', "ünïcode", "nan", "None", "0"])
REFS = st.builds(ResourceRef, st.sampled_from(["", "Deployment", "Workload"]), NAMES, NAMES)
COUNTS = st.none() | st.floats(0, 1e12)
LATENCIES = st.none() | st.lists(st.floats(0, 1e9), min_size=3, max_size=3).map(
    lambda counts: Histogram((0.1, 1.0, math.inf), tuple(counts))
)
SAMPLES = st.builds(
    Sample, REFS, REFS, st.sampled_from(Direction), st.sampled_from(Side), COUNTS, COUNTS, LATENCIES, st.just(0), NAMES
)
ANSWERS = st.lists(st.tuples(st.lists(SAMPLES, max_size=4), st.integers(1, 86_400)), max_size=4).map(
    lambda told: [Answer(tuple(samples), 60 * at, Window(seconds)) for at, (samples, seconds) in enumerate(told)]
)
EMPTY = frame([])


@given(ANSWERS)
def test_columns_and_types_are_always_the_same(answers: list[Answer]):
    made = frame(answers)
    assert made.dtypes.equals(EMPTY.dtypes)
    assert made.index.dtype == EMPTY.index.dtype
    assert list(made.columns) == list(EMPTY.columns)


@given(ANSWERS)
def test_every_sample_is_one_row_at_its_instant(answers: list[Answer]):
    made = frame(answers)
    assert made.index.is_monotonic_increasing
    for answer in answers:
        rows = made[made.index == pd.Timestamp(answer.instant, unit="s", tz="UTC")]
        told = sorted((*sample.resource, sample.direction, sample.side, *sample.peer, sample.source) for sample in answer.samples)
        names = ["kind", "namespace", "name", "direction", "side", "peer_kind", "peer_namespace", "peer_name", "source"]
        assert sorted(rows[names].itertuples(index=False, name=None)) == told
    assert len(made) == sum(len(answer.samples) for answer in answers)


@given(SAMPLES, st.integers(1, 86_400))
def test_numbers_are_those_of_the_sample_or_nan(sample: Sample, seconds: int):
    (row,) = frame([Answer((sample,), 0, Window(seconds))], [25]).to_dict("records")
    total = None if sample.success is None or sample.failure is None else sample.success + sample.failure
    expected = {
        "success": sample.success,
        "failure": sample.failure,
        "requests_per_second": None if total is None else total / seconds,
        "success_rate": None if not total or sample.success is None else sample.success / total,
        "p25": None if sample.latency is None else sample.latency.quantile(0.25),
    }
    for name, value in expected.items():
        assert math.isnan(row[name]) if value is None else row[name] == value, name
    assert row["window"] == seconds
