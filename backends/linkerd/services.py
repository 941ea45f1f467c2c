"""What Services received, as their clients saw it: by the Service that answered, and by the one that was called.

Where a ServiceProfile splits what is sent to a Service, others answer for it. Viz tells of all Services by those that answered, and of one
that is named by those that answered for it (linkerd/linkerd2, viz/metrics-api/stat_summary.go, serviceResourceQuery).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from backends.linkerd.rows import Numbers, Row, about, measured
from metrics_api import ResourceRef, SplitBackend

__all__ = ["Received", "answered", "called", "whole_weights"]

Received = tuple[ResourceRef, Numbers, SplitBackend | None]
"""What a Service received, and as the backend of which split."""

_WEIGHT = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)([mkMG]?)")
_SUFFIXES = {"m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9)}


def answered(rows: Sequence[Row], namespace: str, name: str = "") -> Iterator[Received]:
    """What Services of a namespace, or with "" of any, received and answered; ``rows`` are those about all of them."""
    for row in rows:
        ref, numbers = about(row, "Service", namespace, name), measured(row)
        if ref is not None and numbers is not None:
            yield ref, numbers, None


def called(rows: Sequence[Row], namespace: str, name: str) -> Iterator[Received]:
    """What the backends of a Service received for it, and what was sent to it altogether; ``rows`` are those about this Service.

    The latter is not told where it is a backend of its own, whose numbers are its numbers then. Percentiles of several backends cannot
    be added, and are unknown.
    """
    found = [(row, numbers) for row in rows if about(row, "Service", namespace, name) and (numbers := measured(row)) is not None]
    split = {row.ts_stats.leaf: (row, numbers) for row, numbers in found if row.ts_stats.leaf and row.ts_stats.apex == name}
    weights = whole_weights({leaf: row.ts_stats.weight for leaf, (row, _) in split.items()})
    for leaf, (_, numbers) in split.items():
        backend = SplitBackend(name, leaf, weights[leaf]) if leaf in weights else None
        yield ResourceRef("Service", namespace, leaf), numbers, backend
    if found and name not in split:
        yield ResourceRef("Service", namespace, name), _added([numbers for _, numbers in found]), None


def whole_weights(texts: Mapping[str, str]) -> dict[str, int]:
    """Weights as whole numbers, by the backends that have them; thousandths if any of them is no whole number.

    They are quantities of Kubernetes (``1``, ``500m``), and mean no more than their proportion. What is none is left out.
    """
    matches = {backend: _WEIGHT.fullmatch(text) for backend, text in texts.items()}
    values = {backend: Decimal(match[1]) * _SUFFIXES[match[2]] for backend, match in matches.items() if match is not None}
    scale = 1 if all(value == int(value) for value in values.values()) else 1000
    return {backend: int(value * scale) for backend, value in values.items()}


def _added(parts: Sequence[Numbers]) -> Numbers:
    """The numbers of different requests together."""
    if len(parts) == 1:
        return parts[0]
    return Numbers(_sum([part.success for part in parts]), _sum([part.failure for part in parts]), None)


def _sum(counts: Sequence[float | None]) -> float | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
