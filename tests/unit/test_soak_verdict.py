"""The judgement of a soak: what it calls growth, what it calls flat, and what it leaves open."""

from __future__ import annotations

import math
import random

import pytest

from bench.soak.ledger import Ledger
from bench.soak.verdict import growing, grows, is_leak, slope

MEGABYTE = 1e6
EACH = 360.0
"""Seconds between two points of rest."""


def points(hourly: float, *, count: int = 10, noise: float = 1.0, seed: int = 1) -> list[tuple[float, float]]:
    """Memory of about 150 MB that grows by so many megabytes an hour."""
    dice = random.Random(seed)
    times = [EACH * (number + 1) for number in range(count)]
    return [(at, (150 + hourly * at / 3600 + dice.gauss(0, noise)) * MEGABYTE) for at in times]


# Memory


def test_the_slope_of_a_line_is_that_of_the_line():
    line = slope([(0, 10.0), (1800, 12.0), (3600, 14.0)])
    assert line.hourly == pytest.approx(4)
    assert (line.least, line.most) == (pytest.approx(4), pytest.approx(4))
    assert line.mean == pytest.approx(12)


@pytest.mark.parametrize("seed", range(20))
def test_memory_that_wavers_does_not_grow(seed: int):
    assert grows(slope(points(0, seed=seed))) is False


@pytest.mark.parametrize("seed", range(20))
def test_memory_that_rises_beyond_its_wavering_grows(seed: int):
    assert grows(slope(points(30, seed=seed))) is True


def test_waves_are_no_growth():
    saw = [(EACH * number, (150 + 10 * math.sin(number)) * MEGABYTE) for number in range(20)]
    assert grows(slope(saw)) is False


def test_what_so_few_points_cannot_tell_is_left_open():
    assert grows(slope([(0, 100e6), (60, 99e6), (120, 104e6)])) is None


def test_bounds_hold_the_true_slope_in_nineteen_of_twenty_cases():
    lines = [slope(points(8, count=12, seed=seed)) for seed in range(400)]
    held = sum(line.least <= 8 * MEGABYTE <= line.most for line in lines)
    assert 360 <= held <= 400


def test_neighbours_that_are_alike_tell_less():
    """A walk seems to have a direction, and has none."""
    dice, at = random.Random(3), 0.0
    walk = []
    for number in range(60):
        at += dice.gauss(0, 1)
        walk.append((EACH * number, 150e6 + at * MEGABYTE))
    values = [value for _, value in walk]
    dice.shuffle(values)
    shuffled = [(EACH * number, value) for number, value in enumerate(values)]
    wide, narrow = slope(walk), slope(shuffled)
    assert wide.most - wide.least > narrow.most - narrow.least


@pytest.mark.parametrize("few", [[], [(0, 1.0), (1, 2.0)], [(5, 1.0), (5, 2.0), (5, 3.0)]], ids=["none", "two", "one time"])
def test_what_is_no_line_is_refused(few: list[tuple[float, float]]):
    with pytest.raises(ValueError, match="point"):
        slope(few)


# Whole numbers


@pytest.mark.parametrize(
    ("counts", "leaks"),
    [
        ([20, 20, 20, 20], False),
        ([20, 25, 22, 24], False),
        ([25, 20, 22, 23, 20, 21], False),
        ([20, 20, 22, 22], False),
        ([20, 21, 30, 40], True),
        ([20, 21, 22, 23, 24, 25], True),
        ([20], False),
        ([], False),
    ],
    ids=["equal", "wavering", "falling", "two more", "a jump", "one each time", "one", "none"],
)
def test_a_leak_is_what_does_not_come_back(counts: list[int], leaks: bool):  # noqa: FBT001
    assert is_leak(counts) is leaks


def test_the_kinds_that_grow_are_named():
    assert growing([{"a": 1, "b": 9}, {"a": 1, "b": 9}, {"a": 1, "b": 9, "c": 5}, {"b": 8, "c": 6}]) == ["c"]


# Outcomes


class Clock:
    """Told what time it is."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_failure_is_excused_while_its_reason_lasts_and_until_its_grace_is_over():
    clock = Clock()
    ledger = Ledger(clock)
    found = []
    for at in (0, 10, 20, 30):
        clock.now = 100.0 + at
        if at == 10:
            with ledger.disturbed("restarted", "away", grace=5):
                ledger.note("list", "503", expected=False, excuse="away")
        else:
            ledger.note("list", "503", expected=False, excuse="away")
        found.append(ledger.unexpected_count)
    assert found == [1, 1, 2, 3]
    assert ledger.excused["list", "503"] == 1
    assert [each.at for each in ledger.unexpected] == [0, 20, 30]


def test_what_began_before_the_grace_was_over_is_excused():
    clock = Clock()
    ledger = Ledger(clock)
    with ledger.disturbed("restarted", "away", grace=5):
        pass
    clock.now += 60
    ledger.note("list", "503", expected=False, excuse="away", since=3)
    ledger.note("list", "503", expected=False, excuse="away", since=6)
    ledger.note("list", "503", expected=False, excuse="another", since=3)
    assert (ledger.excused["list", "503"], ledger.unexpected_count) == (1, 2)
