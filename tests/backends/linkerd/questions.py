"""What is asked of viz, and the rows of its answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from metrics_api import Answer, Sample
from tests.doubles.linkerd.fleet import ODD
from tests.doubles.linkerd.truth import VIZ
from tests.doubles.mesh_truth import Asked, Key, refused
from tests.truth.questions import QUESTIONS

__all__ = ["ANSWERABLE", "ASKED", "Ask", "keyed"]

Ask = Callable[[Asked], Awaitable[Answer]]
"""Asks about the minute that ends with the samples of the fleet."""

_SLOW = r"(deployments|workloads|services)-edges-(to|from)|(deployments|replicasets)-edges"

ANSWERABLE = {title: asked for title, asked in QUESTIONS.items() if not refused(VIZ, asked)}
"""The questions that viz can answer."""

ASKED = {title: asked for title, asked in ANSWERABLE.items() if not re.fullmatch(_SLOW, title)}
"""Those of them that tests ask: not those that cost a call for every object, and of which others ask for the same rows."""


def keyed(found: Answer) -> dict[Key, Sample]:
    """The rows of an answer, without those of the namespace where everything is different."""
    even = [each for each in found.samples if ODD not in (each.resource.namespace, each.resource.name)]
    kept = {(each.resource, each.peer, each.direction.value): each for each in even}
    assert len(kept) == len(even), "two rows are about the same thing"
    return kept
