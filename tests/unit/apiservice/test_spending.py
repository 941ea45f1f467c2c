"""What is told of sources that are paid for by use: what they count, and nothing of sources that are not."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

import pytest

from apiservice.telemetry import Telemetry
from metrics_api.usage import Usage
from tests.unit.apiservice.metrics_page import page, scrape, text

USED = Usage({"ListMetrics": 2, "GetMetricData": 40}, billed=900, throttled=3, refused=4, monthly_dollars=6.57)
FREE = Usage({"GetServiceGraph": 7}, throttled=1)
PREFIX = "trafficmetrics_source_"


@dataclass(slots=True)
class Paid:
    """A source whose use is counted."""

    name: str
    used: Usage

    def usage(self) -> Usage:
        return self.used


class Unmetered:
    """A source that nobody counts."""

    name = "prometheus"


def told(*sources: object) -> dict[str, list[tuple[dict[str, str], float]]]:
    """The samples of metrics of spending."""
    telemetry = Telemetry("0.1.0")
    telemetry.spending.follow(sources)
    return {name.removeprefix(PREFIX): found for name, found in scrape(telemetry).items() if name.startswith(PREFIX)}


def test_what_a_source_counts_is_told():
    assert told(Paid("aws", USED)) == {
        "api_calls_total": [
            ({"source": "aws", "operation": "GetMetricData"}, 40),
            ({"source": "aws", "operation": "ListMetrics"}, 2),
        ],
        "throttled_total": [({"source": "aws"}, 3)],
        "metrics_requested_total": [({"source": "aws"}, 900)],
        "budget_refusals_total": [({"source": "aws"}, 4)],
        "estimated_monthly_cost_dollars": [({"source": "aws"}, 6.57)],
    }


def test_each_source_has_its_own():
    found = told(Paid("aws", USED), Paid("graph", FREE))
    assert [(labels["source"], value) for labels, value in found["throttled_total"]] == [("aws", 3), ("graph", 1)]


def test_a_source_without_charge_has_no_cost_to_tell():
    assert set(told(Paid("graph", FREE))) == {"api_calls_total", "throttled_total"}


def test_nothing_is_told_of_a_source_that_is_not_metered():
    assert told(Unmetered()) == {}


def test_numbers_are_those_of_the_moment_of_the_scrape():
    source = Paid("aws", Usage())
    telemetry = Telemetry("0.1.0")
    telemetry.spending.follow([source])
    source.used = USED
    assert scrape(telemetry)[f"{PREFIX}throttled_total"] == [({"source": "aws"}, 3)]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("sources", [pytest.param((Paid("aws", USED),), id="metered"), pytest.param((), id="none")])
def test_prometheus_finds_no_fault_with_the_page(sources: tuple[Paid, ...]):
    telemetry = Telemetry("0.1.0")
    telemetry.spending.follow(sources)
    lint = ["promtool", "check", "metrics"]
    result = subprocess.run(lint, input=text(page(telemetry)), capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
