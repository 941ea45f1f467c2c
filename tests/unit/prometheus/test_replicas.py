"""Telling copies of a series from proxies that are merely alike."""

from __future__ import annotations

import pytest

from backends.prometheus.client import Series
from backends.prometheus.replicas import interleaved, suspects
from backends.prometheus.rhythm import Rhythm, rhythm_of
from metrics_api import Window
from metrics_api.diagnosis import Level

Run = list[tuple[float, str]]


def run(start: float, value: float, rate: float, count: int = 5) -> Run:
    return [(start + 10 * step, str(value + rate * 10 * step)) for step in range(count)]


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        ([run(0, 100, 1), run(4, 104, 1)], True),
        ([run(0, 100, 1), run(0, 100, 1)], True),
        ([run(0, 100, 1), run(4, 104, 1), run(7, 107, 1)], True),
        ([run(0, 100, 1), run(4, 90, 1)], False),
        ([run(0, 100, 1), run(4, 104, 3)], False),
        ([run(0, 100, 0), run(4, 100, 0)], None),
        ([run(0, 100, 1), run(4, 104, 1, count=1)], None),
        ([], None),
    ],
    ids=["behind", "at once", "three", "another count", "another rate", "idle", "one sample", "nothing"],
)
def test_copies_are_one_counter_read_at_different_times(runs: list[Run], verdict: bool | None):  # noqa: FBT001
    assert interleaved(runs) is verdict


def of(**labels: str) -> Series:
    return Series({"__name__": "requests_total", **labels}, (0.0, "1"))


def test_only_series_that_differ_in_one_label_alone_are_suspects():
    twins = [of(replica=replica, app=app) for replica in "ab" for app in "xyz"]
    assert list(suspects(twins, {"app"})) == ["replica"]
    assert suspects([of(replica="a", job="1"), of(replica="b", job="2")], ()) == {}


def test_a_label_that_the_dialect_uses_or_that_tells_proxies_apart_is_no_sign_of_copies():
    assert suspects([of(cluster="a"), of(cluster="b")], {"cluster"}) == {}
    for label in ("instance", "pod", "pod_name", "kubernetes_pod_name", "node", "host_ip", "container_id"):
        assert suspects([of(**{label: "a"}), of(**{label: "b"})], ()) == {}


def test_a_few_series_with_a_twin_among_many_without_are_no_copies_of_everything():
    series = [of(zone="a", app="0"), of(zone="b", app="0"), *(of(zone="a", app=str(number)) for number in range(1, 9))]
    assert suspects(series, {"app"}) == {}


def test_the_rhythm_is_the_median_and_a_gap_is_more_than_a_late_sample():
    assert rhythm_of([[0, 10, 20, 31, 40], [5, 15, 25]], 42) == Rhythm(10.0, 0.0, 2.0)
    assert rhythm_of([[0, 10, 20, 50, 60]], 60) == Rhythm(10.0, 30.0, 0.0)
    assert rhythm_of([[0, 0.2, 0.4]], 0.4) == Rhythm(0.2, 0.0, 0.0)


@pytest.mark.parametrize(("window", "level"), [(59, Level.PROBLEM), (60, Level.WARNING), (119, Level.WARNING), (120, None)])
def test_a_window_of_deltas_needs_one_sample_and_bears_that_one_is_late_with_two(window: int, level: Level | None):
    findings = list(Rhythm(60.0).findings("mesh", Window(window), 0, least=1))
    assert [finding.level for finding in findings] == ([] if level is None else [level])


@pytest.mark.parametrize("rhythm", [Rhythm(), Rhythm(60.0), Rhythm(60.0, gap=180.0), Rhythm(60.0, age=900.0)])
def test_nobody_is_told_to_scrape_what_is_sent(rhythm: Rhythm):
    findings = list(rhythm.findings("otlp", Window(60), 0, least=1, scraped=False))
    assert findings
    assert not any("scrape" in finding.advice or "targets" in finding.advice for finding in findings)


def test_fewer_than_two_samples_have_no_rhythm_and_that_is_a_problem():
    assert rhythm_of([[3], []], 10) == Rhythm()
    (finding,) = Rhythm().findings("mesh", Window(30), 0)
    assert (finding.level, finding.check) == (Level.PROBLEM, "interval")
