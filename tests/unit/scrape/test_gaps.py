"""Which targets were not scraped for a part of a window, so that their counts in it are too low."""

from __future__ import annotations

import pytest

from backends.scrape.gaps import gapped
from backends.scrape.loop import Watch
from backends.scrape.targets import Target
from tests.doubles.exporter import sample
from tests.unit.scrape.histories import history, scrape

INTERVAL = 5.0
START, END = 100, 130


def scraped(*moments: float, failure: str = "") -> Watch:
    held = history()
    for moment in moments:
        scrape(held, moment, sample("requests_total", moment, app="web"))
    return Watch(Target("10.0.0.7:15090"), held, attempts=len(moments), failure=failure)


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        pytest.param((92, 97, 102, 107, 112, 117, 122, 127), False, id="steadily"),
        pytest.param((92, 97, 102, 122, 127), False, id="a gap in the middle costs nothing"),
        pytest.param((92, 97, 112, 117, 122, 127), True, id="it came back in the window"),
        pytest.param((50, 55, 122, 127), True, id="it came back at its end"),
        pytest.param((50, 55, 127), True, id="with one scrape so far"),
        pytest.param((50, 55), True, id="with none"),
        pytest.param((92, 97, 102, 107, 112), True, id="it went in the window"),
        pytest.param((112, 117, 122, 127), False, id="it is new"),
        pytest.param((90, 100, 110, 120, 130), False, id="it is so slow that every other scrape is left out"),
        pytest.param((97, 105.4, 110.4, 115.4, 120.4, 125.4), False, id="it was late once"),
        pytest.param((92, 97, 102, 107, 112, 117, 122, 127, 132, 160), False, id="an outage after the window"),
    ],
)
def test_a_gap_is_where_a_scrape_was_due_at_an_edge(moments: tuple[float, ...], expected: bool):  # noqa: FBT001
    watch = scraped(*moments)
    assert gapped([watch], START, END, INTERVAL) == ([watch] if expected else [])


def test_of_a_target_that_fails_now_more_is_said_elsewhere():
    assert gapped([scraped(50, 55, 122, 127, failure="no answer")], START, END, INTERVAL) == []
