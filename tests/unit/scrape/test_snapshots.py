"""What is kept of scrapes: for how long, of how many series, and what is forgotten when."""

from __future__ import annotations

from array import array

import pytest

from backends.scrape.snapshots import ABSENT, Allowance, BadHead, Draft, History
from tests.doubles.exporter import buckets, sample
from tests.unit.scrape.histories import EXPOSITION, history, scrape


def requests(value: float, app: str = "web") -> str:
    return sample("requests_total", value, app=app)


def values_of(held: History, slot: int) -> list[float]:
    return [shot.values[slot] for shot in held.snapshots]


def test_a_window_is_open_on_the_left_and_closed_on_the_right():
    held = history()
    for moment in (10, 20, 30, 40):
        scrape(held, moment, requests(moment))
    assert [shot.time for shot in held.cut(10, 30).snapshots] == [20, 30]
    assert held.reach(35) == (10, 30, 3)
    assert held.reach(9) is None
    assert held.cut(40, 50).snapshots == []


def test_samples_cost_eight_bytes_each():
    held = history()
    for moment in range(10):
        scrape(held, moment, "".join(requests(moment, f"app-{number}") for number in range(1000)))
    assert held.size == 1000
    for shot in held.snapshots:
        assert isinstance(shot.values, array)
        assert shot.values.itemsize * len(shot.values) == 8000


def test_what_no_window_reaches_is_forgotten():
    held = history(span=30)
    for moment in range(0, 100, 5):
        scrape(held, moment, requests(moment))
    assert [shot.time for shot in held.snapshots] == [70, 75, 80, 85, 90, 95]


def test_a_series_that_vanishes_is_forgotten_after_the_span_and_its_place_is_used_again():
    allowance = Allowance(10)
    held = history(span=30, allowance=allowance)
    scrape(held, 0, requests(1, "gone") + requests(1, "stays"))
    for moment in range(5, 30, 5):
        scrape(held, moment, requests(moment, "stays"))
    assert allowance.used == held.size == 2
    scrape(held, 30, requests(30, "stays"))
    assert allowance.used == held.size == 1
    scrape(held, 35, requests(35, "stays") + requests(7, "new"))
    assert allowance.used == held.size == 2
    assert all(len(shot.values) == 2 for shot in held.snapshots)
    # What the place held before is nowhere any more.
    assert values_of(held, 0) == [ABSENT] * 5 + [7]


def test_a_series_that_comes_back_in_time_is_the_same_one():
    held = history(span=30)
    scrape(held, 0, requests(1))
    scrape(held, 5, "")
    scrape(held, 10, requests(3))
    assert held.size == 1
    assert held.cut(-1, 10).samples(0) == [(0, 1), (10, 3)]
    scrape(held, 20, requests(4))
    scrape(held, 40, requests(5))
    assert held.cut(10, 40).samples(0) == [(20, 4), (40, 5)]


def test_slots_that_were_reset_or_absent_between_are_unsteady_while_a_window_holds_it():
    held = history()
    scrape(held, 0, requests(1, "steady") + requests(5, "reset") + requests(5, "gap"))
    scrape(held, 5, requests(2, "steady") + requests(6, "reset") + requests(6, "gap"))
    scrape(held, 10, requests(3, "steady") + requests(1, "reset"))
    scrape(held, 15, requests(4, "steady") + requests(2, "reset") + requests(7, "gap"))
    scrape(held, 20, requests(5, "steady") + requests(3, "reset") + requests(8, "gap"))
    assert held.cut(-1, 20).unsteady == {1, 2}
    assert held.cut(7, 20).unsteady == {2}
    assert held.cut(12, 20).unsteady == set()


def test_a_late_series_has_a_place_in_every_snapshot():
    held = history()
    scrape(held, 0, requests(1, "early"))
    scrape(held, 5, requests(2, "early") + requests(9, "late"))
    assert held.cut(-1, 5).samples(1) == [(5, 9)]
    assert values_of(held, 1) == [ABSENT, 9]


def test_nothing_of_a_scrape_counts_before_it_is_complete():
    allowance = Allowance(10)
    held = history(allowance=allowance)
    scrape(held, 0, requests(1, "kept"))
    draft = Draft()
    for samples in EXPOSITION.read((requests(2, "kept") + requests(5, "new")).encode()):
        held.take(draft, samples)
    assert len(held.snapshots) == 1
    held.discard(draft)
    assert (allowance.used, held.size, len(held.snapshots)) == (1, 1, 1)
    scrape(held, 5, requests(3, "kept"))
    assert values_of(held, 0) == [1, 3]


def test_a_malformed_series_is_named_by_its_text_and_takes_no_place():
    allowance = Allowance(10)
    held = history(allowance=allowance)
    draft = Draft()
    with pytest.raises(BadHead) as caught:
        held.take(draft, [(b'requests_total{app="a"', 1.0), (b"requests_total{app=a", 2.0)])
    assert caught.value.head == b"requests_total{app=a"
    held.discard(draft)
    assert allowance.used == 0
    scrape(held, 0, requests(1))
    assert held.size == 1


def test_series_beyond_the_limit_are_left_out_and_counted():
    allowance = Allowance(3)
    first, second = history(allowance=allowance), history(allowance=allowance)
    scrape(first, 0, requests(1, "a") + requests(1, "b"))
    scrape(second, 0, "".join(requests(1, f"app-{number}") for number in range(10)))
    assert (first.size, second.size, allowance.used) == (2, 1, 3)
    assert (first.left_out, second.left_out) == (0, 9)
    first.clear()
    assert allowance.used == 1
    scrape(second, 5, requests(1, "app-0") + requests(1, "app-1"))
    assert (second.size, second.left_out) == (2, 0)


def test_a_clock_set_back_starts_history_over():
    held = history()
    for moment in (100, 105, 110):
        scrape(held, moment, requests(moment))
    scrape(held, 50, requests(120))
    assert held.snapshots == []
    scrape(held, 55, requests(125))
    assert values_of(held, 0) == [125]


def test_a_target_that_stays_away_is_forgotten_whole():
    allowance = Allowance(10)
    held = history(span=30, allowance=allowance)
    scrape(held, 0, requests(1) + buckets("latency_ms", {"1": 1, "+Inf": 2}, app="web"))
    held.expire(29)
    assert held.size == 3
    held.expire(31)
    assert (held.size, held.snapshots, allowance.used) == (0, [], 0)
    scrape(held, 40, requests(7))
    assert values_of(held, 0) == [7]


def test_a_line_given_twice_counts_once():
    held = history()
    scrape(held, 0, requests(1) + requests(2) + requests(1, "other"))
    scrape(held, 5, requests(2) + requests(3))
    scrape(held, 10, requests(4) + requests(4, "other"))
    assert values_of(held, 0) == [2, 3, 4]
    assert values_of(held, 1) == [1, ABSENT, 4]
    assert held.cut(-1, 10).unsteady == {1}


def test_churn_does_not_grow_what_is_kept():
    allowance = Allowance(1000)
    held = history(span=30, allowance=allowance)
    for moment in range(0, 1000, 5):
        scrape(held, moment, "".join(requests(1, f"{moment}-{number}") for number in range(10)))
    assert held.size <= 80
    assert len(held.snapshots[-1].values) <= 80
