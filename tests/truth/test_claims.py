"""No claim without proof: whatever a dialect says it can answer is asked in the tests of the truth, and has rows there."""

from __future__ import annotations

import pytest

from backends.dialects import builtin_dialects, load_dialect, refusal
from metrics_api import RESOURCE_TYPES, Direction, TrafficQuery, Window
from tests.doubles.mesh_truth import rows
from tests.doubles.meshes.all import MESHES
from tests.truth.questions import QUESTIONS

ELSEWHERE = {("gloo", "received"): {"DaemonSet"}, ("gloo", "to"): {"DaemonSet"}}
"""What ``test_rarer_labels.py`` proves: the fleet has one gateway."""

WAYS = {"received": None, "to": Direction.TO, "from": Direction.FROM}


def claimed(dialect: str, way: str) -> set[str]:
    """The kinds that a dialect does not refuse to be asked about in this way."""
    direction = WAYS[way]
    queries = {
        row.kind: TrafficQuery((row.kind,), Window(60), 0, edges=bool(direction), direction=direction) for row in RESOURCE_TYPES
    }
    return {kind for kind, query in queries.items() if refusal(load_dialect(dialect), query) is None}


def proved(dialect: str, way: str) -> set[str]:
    """The kinds that have a row in an answer which the tests compare with the facts.

    Where labels tell no kind, workloads are rows of whichever kind is asked for.
    """
    return {
        kind
        for asked in QUESTIONS.values()
        if asked.edges is (way != "received")
        for kind in asked.kinds
        for resource, _, direction in rows(MESHES[dialect], asked)
        if resource.kind in (kind, "Workload") and way in ("received", direction)
    }


def test_every_dialect_has_a_double():
    assert sorted(MESHES) == builtin_dialects()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", builtin_dialects())
def test_every_kind_a_dialect_claims_is_proved(dialect: str, way: str):
    assert claimed(dialect, way) - proved(dialect, way) == ELSEWHERE.get((dialect, way), set())
