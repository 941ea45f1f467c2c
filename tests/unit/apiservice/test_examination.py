"""Sources are examined at the same time, each on its own, and an examination that fails is itself a finding."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import cast

import pytest

from apiservice.doctor import render
from apiservice.sources.examination import examine
from metrics_api import Backend, Source, Terms, Window
from metrics_api.diagnosis import Diagnosis, Level
from tests.unit.apiservice.sources import source

MINUTE = Window(60)


@dataclass
class Silent:
    """A source that cannot be examined."""

    name: str = "silent"


async def test_sources_are_examined_at_the_same_time_and_told_in_their_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.sources.examination._DEADLINE", 0.5)
    examined = await examine([source(str(number), delay=0.3) for number in range(8)], MINUTE)
    assert [(each.source.name, each.diagnosis.summary) for each in examined] == [
        (str(number), "examined for 1m0s") for number in range(8)
    ]


async def test_an_examination_that_fails_is_a_problem_and_the_others_are_told_all_the_same(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        broken, well = await examine([source("broken", outcome=KeyError("secret")), source("well")], MINUTE)
    assert broken.level is Level.PROBLEM
    assert broken.diagnosis.findings[0].what == "its examination failed (KeyError)"
    assert "secret" not in render([broken], MINUTE, "text", 80)
    assert caplog.records[0].exc_info is not None
    assert well.diagnosis == Diagnosis("well", "examined for 1m0s")


async def test_an_examination_that_does_not_end_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.sources.examination._DEADLINE", 0.05)
    (slow,) = await examine([source("slow", delay=60)], MINUTE)
    assert slow.diagnosis.findings[0].what == "it could not be examined within 0.05s"


async def test_a_source_that_cannot_be_examined_is_no_problem():
    (silent,) = await examine([Source(cast("Backend", Silent()))], MINUTE)
    assert (silent.level, silent.diagnosis.summary) == (Level.OK, "a source that cannot be examined")


async def test_what_shows_when_sources_are_seen_together_is_added_to_what_was_found():
    first, second = await examine([source("one"), source("other", Terms("West"))], MINUTE, "west")
    assert first.diagnosis.findings == ()
    assert [finding.check for finding in second.diagnosis.findings] == ["cluster"]
