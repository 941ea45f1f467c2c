"""Adding samples up, and choosing between observers of the same traffic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace

from metrics_api.histogram import Histogram, Percentiles, merge
from metrics_api.resources import ResourceRef
from metrics_api.sample import Sample

__all__ = ["added", "best_observers", "rename", "roll_up"]


def roll_up(samples: Iterable[Sample]) -> list[Sample]:
    """One sample per resource, peer, direction and observer: counts added, histograms merged.

    Percentiles that a source computed cannot be merged: where several would meet, the latency is unknown.
    """
    groups: dict[Hashable, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[(sample.about, sample.side, sample.trust, sample.source)].append(sample)
    return [added(group) for group in groups.values()]


def added(group: Sequence[Sample]) -> Sample:
    """Samples of different requests as one, with what else the first of them says."""
    if len(group) == 1:
        return group[0]
    return replace(
        group[0],
        success=_sum(sample.success for sample in group),
        failure=_sum(sample.failure for sample in group),
        latency=_merged([sample.latency for sample in group if sample.latency is not None]),
    )


def best_observers(samples: Iterable[Sample]) -> list[Sample]:
    """One sample about each thing: that of the most trusted observer. Observers of the same requests are never added."""
    best: dict[Hashable, Sample] = {}
    for sample in samples:
        held = best.get(sample.about)
        if held is None or sample.trust < held.trust:
            best[sample.about] = sample
    return list(best.values())


def rename(samples: Iterable[Sample], name: Callable[[ResourceRef], ResourceRef]) -> list[Sample]:
    """The samples with every resource and peer renamed (a pod to its owner, a bare name to its kind), then rolled up."""
    return roll_up(replace(sample, resource=name(sample.resource), peer=name(sample.peer)) for sample in samples)


def _sum(counts: Iterable[float | None]) -> float | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _merged(latencies: list[Histogram | Percentiles]) -> Histogram | Percentiles | None:
    if len(latencies) < 2:
        return latencies[0] if latencies else None
    histograms = [latency for latency in latencies if isinstance(latency, Histogram)]
    return merge(histograms) if len(histograms) == len(latencies) else None
