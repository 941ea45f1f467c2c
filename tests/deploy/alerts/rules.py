"""The rules of deploy/alerts as these tests read them, and the tests that promtool runs on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ALERTS", "CASES", "PAGE", "RULES", "Case", "seconds"]

_FOLDER = Path(__file__).parents[3] / "deploy" / "alerts"

RULES = _FOLDER / "trafficmetrics.rules.yaml"
CASES = sorted((_FOLDER / "tests").glob("*.yaml"))
PAGE = Path(__file__).parents[3] / "docs" / "alerts.md"

_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(duration: str) -> int:
    """A duration such as ``5m``."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


def _alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


ALERTS = _alerts()
"""Every alert by its name."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test of promtool: the alert it is about, whether it has series, and how many alerts there are at which seconds."""

    alert: str
    series: int
    expected: tuple[tuple[int, int], ...]

    @property
    def fires(self) -> bool:
        """Whether the alert has to fire at some time."""
        return any(count for _, count in self.expected)

    @classmethod
    def all(cls) -> Iterator[Case]:
        """Those of all files. Raises :class:`ValueError` for a test about more than one alert."""
        for path in CASES:
            for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
                (alert,) = {expectation["alertname"] for expectation in test["alert_rule_test"]}
                if not re.match(rf"{alert}: \S", test["name"]):
                    raise ValueError(f"{path}: {test['name']} is about {alert}")
                times = ((seconds(found["eval_time"]), len(found["exp_alerts"])) for found in test["alert_rule_test"])
                yield cls(alert, len(test["input_series"]), tuple(times))
