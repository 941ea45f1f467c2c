"""The doctor's two forms: a screen for people, and a document for programs; and that an examination that fails is itself a finding."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import cast

import pytest

from apiservice.doctor import examine, render
from metrics_api import Backend, Window
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level

MINUTE = Window(60)
WAYS = ("received", "to", "from")

WELL = Diagnosis(
    "mesh",
    "Prometheus 2.53.0 at http://prometheus:9090, answered in 4 ms; linkerd; a sample every 10s",
    {"type": "prometheus", "milliseconds": 4},
    (),
    (
        Ability("linkerd", "workloads", WAYS),
        Ability("linkerd", "pods", WAYS),
        Ability("linkerd", "services", ("received", "from")),
    ),
)
ILL = Diagnosis(
    "edge",
    "Thanos 0.35.1 at http://thanos:10902, answered in 91 ms; istio, linkerd; a sample every 30s",
    {"type": "prometheus"},
    (
        Finding(Level.OK, "edge", "dialect", "the store keeps consul as well"),
        Finding(Level.WARNING, "edge", "clock", "its clock is 4s behind ours", "synchronise both clocks (NTP)"),
        Finding(
            Level.PROBLEM,
            "edge",
            "labels",
            'istio: no series has the label "pod", which is needed for pods (received, from), nodes (received, from), services (to)',
            "overrides: {labels: {pod: pod_name}}",
        ),
    ),
    (
        Ability("istio", "workloads", WAYS),
        Ability("istio", "pods", (), WAYS),
        Ability("istio", "services", ("received",), ("from",)),
        Ability("linkerd", "workloads", WAYS),
        Ability("linkerd", "pods", WAYS),
    ),
)

WELL_SCREEN = """\
mesh: Prometheus 2.53.0 at http://prometheus:9090, answered in 4 ms; linkerd; a
      sample every 10s
  workloads, pods  received, to, from
  services         received, from

all is well, for a window of 1m0s"""

ILL_SCREEN = """\
edge: Thanos 0.35.1 at http://thanos:10902, answered in 91 ms; istio, linkerd; a
      sample every 30s
             istio                       linkerd
  workloads  received, to, from          received, to, from
  pods       - (not received, to, from)  received, to, from
  services   received (not from)         -
  problem  istio: no series has the label "pod", which is needed for pods
           (received, from), nodes (received, from), services (to)
           -> overrides: {labels: {pod: pod_name}}
  warning  its clock is 4s behind ours
           -> synchronise both clocks (NTP)
  ok       the store keeps consul as well

1 problem and 1 warning, for a window of 1m0s"""


@pytest.mark.parametrize(("diagnosis", "screen"), [(WELL, WELL_SCREEN), (ILL, ILL_SCREEN)], ids=["well", "ill"])
def test_the_screen_is_as_short_as_what_is_wrong_and_as_wide_as_the_terminal(diagnosis: Diagnosis, screen: str):
    assert render([diagnosis], MINUTE, "text", 80) == screen


def test_the_screen_of_two_sources_ends_in_one_verdict():
    assert render([WELL, ILL], MINUTE, "text", 80) == "\n".join((*WELL_SCREEN.splitlines()[:-1], *ILL_SCREEN.splitlines()))


def test_what_a_store_sends_cannot_write_on_the_terminal():
    hostile = Diagnosis("mesh", "\x1b[2J\x07gone", {}, (Finding(Level.WARNING, "mesh", "store", "it warns: \x1b]0;x\x07", "a\rb"),))
    shown = render([hostile], MINUTE, "text", 80)
    assert not {character for character in shown if not character.isprintable()} - {"\n"}


def test_the_document_has_everything_under_stable_keys():
    document = json.loads(render([WELL, ILL], MINUTE, "json"))
    assert {key: document[key] for key in ("ok", "window", "problems", "warnings")} == {
        "ok": False,
        "window": "1m0s",
        "problems": 1,
        "warnings": 1,
    }
    first, second = document["sources"]
    assert first == {
        "name": "mesh",
        "level": "ok",
        "summary": WELL.summary,
        "facts": {"type": "prometheus", "milliseconds": 4},
        "answers": [
            {"dialect": "linkerd", "resources": "workloads", "told": list(WAYS), "lost": []},
            {"dialect": "linkerd", "resources": "pods", "told": list(WAYS), "lost": []},
            {"dialect": "linkerd", "resources": "services", "told": ["received", "from"], "lost": []},
        ],
        "findings": [],
    }
    assert second["level"] == "problem"
    assert second["findings"][0] == {
        "level": "problem",
        "check": "labels",
        "what": ILL.findings[2].what,
        "advice": "overrides: {labels: {pod: pod_name}}",
    }
    assert [finding["level"] for finding in second["findings"]] == ["problem", "warning", "ok"]


class Source:
    """A source whose examination does what a test says."""

    def __init__(self, name: str, failure: BaseException | None = None, delay: float = 0.0) -> None:
        self.name = name
        self._failure = failure
        self._delay = delay

    async def diagnose(self, window: Window) -> Diagnosis:
        await asyncio.sleep(self._delay)
        if self._failure is not None:
            raise self._failure
        return Diagnosis(self.name, f"examined for {window}")


class Silent:
    """A source that cannot be examined."""

    name = "silent"


async def examined(*sources: object) -> list[Diagnosis]:
    return await examine([cast("Backend", source) for source in sources], MINUTE)


async def test_sources_are_examined_at_the_same_time_and_told_in_their_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.doctor._DEADLINE", 0.5)
    sources = [Source(str(number), delay=0.3) for number in range(8)]
    assert [diagnosis.source for diagnosis in await examined(*sources)] == [source.name for source in sources]


async def test_an_examination_that_fails_is_a_problem_and_the_others_are_told_all_the_same(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        broken, well = await examined(Source("broken", KeyError("secret")), Source("well"))
    assert broken.level is Level.PROBLEM
    assert broken.findings[0].what == "its examination failed (KeyError)"
    assert "secret" not in render([broken], MINUTE, "text", 80)
    assert caplog.records[0].exc_info is not None
    assert well == Diagnosis("well", "examined for 1m0s")


async def test_an_examination_that_does_not_end_is_a_problem(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.doctor._DEADLINE", 0.05)
    (slow,) = await examined(Source("slow", delay=60))
    assert slow.findings[0].what == "it could not be examined within 0.05s"


async def test_a_source_that_cannot_be_examined_is_no_problem():
    (silent,) = await examined(Silent())
    assert (silent.level, silent.summary) == (Level.OK, "a source that cannot be examined")
