"""Where numbers come from, as annotations: every row says who observed it, in which words, when and for how long.

Most rows of an answer have the same provenance, so what is written of it is made once and shared by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from metrics_api.resources import GROUP
from metrics_api.sample import Covered, Identities, Sample, first_source
from metrics_api.window import Window, format_duration

__all__ = [
    "CLIENT_IDENTITY",
    "CLUSTER",
    "DIALECT",
    "EFFECTIVE_WINDOW",
    "INCOMPLETE",
    "NO_IDENTITY",
    "SERVER_IDENTITY",
    "SOURCE",
    "STALENESS",
    "Origin",
    "Origins",
    "cluster_only",
]

SOURCE = f"{GROUP}/source"
DIALECT = f"{GROUP}/dialect"
INCOMPLETE = f"{GROUP}/incomplete"
EFFECTIVE_WINDOW = f"{GROUP}/effective-window"
STALENESS = f"{GROUP}/staleness"
CLUSTER = f"{GROUP}/cluster"
CLIENT_IDENTITY = f"{GROUP}/client-identity"
SERVER_IDENTITY = f"{GROUP}/server-identity"
NO_IDENTITY = f"{GROUP}/no-identity"

_Key = tuple[str, str, frozenset[str], Identities | None]


class Origin(NamedTuple):
    """Where the numbers of some rows come from: what they describe (``instant`` in Unix seconds), and the annotations that say so.

    ``version`` is the instant of the whole answer where that is another one, as :class:`metrics_api.objects.TrafficMetrics` has it.
    """

    instant: int
    window: Window
    version: int | None
    annotations: Mapping[str, str]


class Origins:
    """The origins of the samples of one answer, which is of ``instant`` and ``window``, each made once.

    ``elsewhere`` tells of sources whose numbers describe something else what that is. ``asked`` is the instant that was asked about: how
    much older numbers are is their staleness, the same on every replica, whatever its clock says.
    """

    def __init__(self, instant: int, window: Window, elsewhere: Mapping[str, Covered], *, asked: int, cluster: str = "") -> None:
        self._main = instant, window
        self._elsewhere = elsewhere
        self._asked = asked
        self._cluster = cluster
        self._known: dict[_Key, Origin] = {}

    def of(self, sample: Sample) -> Origin:
        """Where a sample comes from. Its annotations are shared, and must not be changed."""
        key = (sample.source, sample.dialect, sample.marks, sample.identities)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._made(*key)
        return known

    def _made(self, source: str, dialect: str, marks: Iterable[str], identities: Identities | None) -> Origin:
        # Of several that were added up, all describe the same.
        elsewhere = self._elsewhere.get(first_source(source))
        instant, window = elsewhere or self._main
        annotations = {
            CLUSTER: self._cluster,
            SOURCE: source,
            DIALECT: dialect,
            EFFECTIVE_WINDOW: str(window),
            STALENESS: format_duration(max(self._asked - instant, 0)),
        }
        if identities is not None:
            annotations |= {
                CLIENT_IDENTITY: identities.client,
                SERVER_IDENTITY: identities.server,
                NO_IDENTITY: identities.insecure,
            }
        annotations |= {f"{GROUP}/{mark}": "true" for mark in sorted(marks)}
        version = self._main[0] if elsewhere else None
        return Origin(instant, window, version, {name: text for name, text in annotations.items() if text})


def cluster_only(cluster: str) -> dict[str, str]:
    """The annotations of what nobody observed: no number of it comes from anywhere."""
    return {CLUSTER: cluster} if cluster else {}
