"""What the fleet really sends, against what answers say: a server that is merely up could still be wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fleet import Fleet

__all__ = ["Truth"]

_TOLERANCE = 0.12
"""Scrapes are seconds apart and late on a busy machine, so that the ends of a window are extrapolated."""
_FEW = 12.0
"""Requests; counters are whole numbers, rounded down bucket by bucket."""


class Truth:
    """The traffic of a fleet, which never changes."""

    def __init__(self, fleet: Fleet) -> None:
        self._rates: dict[tuple[str, str], float] = defaultdict(float)
        for number, (_, callee) in enumerate(fleet.edges()):
            self._rates[callee.namespace, callee.name] += 1.0 + number * 7 % 40

    def differences(self, namespace: str, rows: Iterable[Mapping[str, Any]], seconds: int) -> list[str]:
        """What is wrong with plain numbers of the deployments of a namespace, in words; nothing where they are true."""
        wrong: list[str] = []
        told = {(row["namespace"], row["name"]): row for row in rows}
        for place, rate in self._rates.items():
            if place[0] != namespace:
                continue
            row = told.pop(place, None)
            counts = (None, None) if row is None else (row["successCount"], row["failureCount"])
            if counts[0] is None:
                wrong.append(f"{place[1]} is not told")
                continue
            total = counts[0] + (counts[1] or 0)
            if abs(total - rate * seconds) > _TOLERANCE * rate * seconds + _FEW:
                wrong.append(f"{place[1]} has {total:.0f} instead of {rate * seconds:.0f}")
        wrong += [
            f"{name} has traffic that nobody sent" for (_, name), row in told.items() if row["successCount"] or row["failureCount"]
        ]
        return wrong
