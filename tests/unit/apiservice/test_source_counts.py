"""What is told of sources that are not asked, not waited for or asked twice, and of answers that lack something."""

from __future__ import annotations

import subprocess

from apiservice.telemetry import Telemetry
from tests.doubles.stores import command
from tests.unit.apiservice.metrics_page import by, page, scrape, text

CIRCUIT = "trafficmetrics_source_circuit_open"
SKIPPED = "trafficmetrics_source_skipped_total"
HEDGES = "trafficmetrics_source_hedges_total"
INCOMPLETE = "trafficmetrics_incomplete_answers_total"


def test_every_source_begins_with_a_closed_circuit_and_nothing_counted() -> None:
    found = scrape(Telemetry("0.1.0", ["mesh", "far"]))
    for name in (CIRCUIT, HEDGES):
        assert found[name] == [({"source": source}, 0) for source in ("mesh", "far")]
    reasons = ("circuit", "coverage", "decided")
    assert found[SKIPPED] == [({"source": source, "reason": reason}, 0) for source in ("mesh", "far") for reason in reasons]
    assert found[INCOMPLETE] == [({}, 0)]


def test_a_circuit_is_what_it_was_last() -> None:
    telemetry = Telemetry("0.1.0", ["mesh", "far"])
    states = []
    for is_open in (True, True, False, True):
        telemetry.sources.circuit("mesh", is_open=is_open)
        states.append(scrape(telemetry)[CIRCUIT])
    assert states == [[({"source": "mesh"}, now), ({"source": "far"}, 0)] for now in (1, 1, 0, 1)]


def test_the_circuits_of_sources_that_stay_in_force_are_as_they_were() -> None:
    telemetry = Telemetry("0.1.0", ["mesh"])
    telemetry.sources.circuit("mesh", is_open=True)
    telemetry.sources.expect(["mesh", "edge"])
    assert scrape(telemetry)[CIRCUIT] == [({"source": "mesh"}, 1), ({"source": "edge"}, 0)]


def test_of_a_source_that_is_forgotten_no_series_is_left() -> None:
    telemetry = Telemetry("0.1.0", ["mesh", "far"])
    telemetry.sources.asked("mesh", "BackendTimeout", 0.2, 0)
    telemetry.checked("readyz", "source-mesh", passed=False)
    telemetry.forget("mesh")
    left = text(page(telemetry))
    assert ('source="mesh"' in left, "source-mesh" in left, 'source="far"' in left) == (False, False, True)


def test_who_was_passed_over_is_counted_by_reason() -> None:
    telemetry = Telemetry("0.1.0", ["mesh", "far"])
    for reason in ("circuit", "circuit", "decided"):
        telemetry.sources.skipped("far", reason)
    telemetry.sources.hedged("mesh")
    telemetry.sources.incomplete()
    assert by(telemetry, SKIPPED, "reason") == {"circuit": 2, "decided": 1}
    assert by(telemetry, SKIPPED, "source") == {"far": 1}
    assert by(telemetry, HEDGES, "source") == {"mesh": 1}
    assert scrape(telemetry)[INCOMPLETE] == [({}, 1)]


def test_passing_a_source_over_says_nothing_about_whether_it_is_up() -> None:
    telemetry = Telemetry("0.1.0", ["mesh"])
    telemetry.sources.asked("mesh", "BackendTimeout", 0.2, 0)
    telemetry.sources.skipped("mesh", "circuit")
    assert scrape(telemetry)["trafficmetrics_source_up"] == [({"source": "mesh"}, 0)]
    assert by(telemetry, "trafficmetrics_source_requests_total", "code") == {"BackendTimeout": 1}


def test_promtool_has_nothing_against_the_page() -> None:
    telemetry = Telemetry("0.1.0", ["mesh"])
    telemetry.sources.circuit("mesh", is_open=True)
    lint = [command("promtool"), "check", "metrics"]
    result = subprocess.run(lint, input=text(page(telemetry)), capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert CIRCUIT in text(page(telemetry))
