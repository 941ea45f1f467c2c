"""A past instant asked of the scrape source: answered out of memory as far as that reaches, and refused beyond."""

from __future__ import annotations

import time

import pytest

from backends.scrape import ScrapeBackend
from metrics_api import BackendForgot, Sample, timestamp
from tests.backends.scrape.sources import ask, counting, question, settings, target
from tests.doubles.exporter import exporter


def counts(samples: tuple[Sample, ...]) -> list[float | None]:
    return [count for sample in samples for count in (sample.success, sample.failure)]


async def test_an_instant_in_memory_is_answered_as_it_was():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        then = await ask(source, lambda answer: answer.samples, seconds=2, past=True)
        await ask(source, lambda answer: answer.samples and answer.instant > then.instant, seconds=2, past=True)
        again = await source.answer(question(2, then.instant))
    assert counts(again.samples) == pytest.approx(counts(then.samples))


@pytest.mark.parametrize("ago", [70, 3600, 86_400 * 365])
async def test_an_instant_before_memory_begins_is_refused_with_when_it_does(ago: int):
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        began = time.time()
        await ask(source, lambda answer: answer.samples, past=True)
        instant = int(time.time()) - ago
        with pytest.raises(BackendForgot) as told:
            await source.answer(question(30, instant))
    message = told.value.message
    assert f'source "mesh": keeps nothing of {timestamp(instant)}: what it has scraped begins at ' in message
    assert any(timestamp(int(began) + late) in message for late in range(4))
    assert '"longestWindow"' in message
