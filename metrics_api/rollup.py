"""Adding samples up, and choosing between observers of the same traffic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from metrics_api.histogram import Histogram, Percentiles, merge
from metrics_api.resources import ResourceRef
from metrics_api.sample import Sample

__all__ = ["added", "agreed", "best_observers", "blurred", "combined", "joined", "rename", "roll_up"]

T = TypeVar("T")


def roll_up(samples: Iterable[Sample]) -> list[Sample]:
    """One sample per resource, peer, direction and observer: counts added, histograms merged.

    Percentiles that a source computed cannot be merged: where several would meet, the latency is unknown.
    """
    groups: dict[Hashable, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[(sample.about, sample.side, sample.trust, sample.source)].append(sample)
    return [added(group) for group in groups.values()]


def added(group: Sequence[Sample]) -> Sample:
    """Samples of different requests as one, with what else the first of them says.

    It is told in the dialects of all, and says of identities, and of the backend of a split, what every one of them says.
    """
    if len(group) == 1:
        return group[0]
    return replace(
        group[0],
        success=_sum(sample.success for sample in group),
        failure=_sum(sample.failure for sample in group),
        latency=_merged(group),
        marks=frozenset[str]().union(*(sample.marks for sample in group)),
        dialect=joined([sample.dialect for sample in group]),
        identities=agreed([sample.identities for sample in group]),
        backend=agreed([sample.backend for sample in group]),
    )


def combined(parts: Sequence[Sample]) -> Sample:
    """Samples of several sources as one; without a latency where that of some requests is unknown: it would be that of the others alone."""
    blind = any(part.latency is None and _busy(part) for part in parts)
    return replace(added(parts), latency=None) if blind else added(parts)


def joined(dialects: Iterable[str]) -> str:
    """The dialects of all parts, each once and by name: ``istio,linkerd``. What is already joined is a part like any other."""
    different = set(dialects)
    if len(different) == 1:
        return different.pop()
    return ",".join(sorted({name for dialect in different for name in dialect.split(",") if name}))


def agreed(claims: Iterable[T | None]) -> T | None:
    """What all of the parts say, None unless they say the same: what one of them does not know is not true of all."""
    first, *others = claims
    return first if first is not None and all(other == first for other in others) else None


def blurred(parts: Iterable[Sample], wholes: Iterable[Sample]) -> list[ResourceRef]:
    """The resources whose percentiles were lost in adding ``parts`` up to ``wholes``, because those of their parts cannot be merged."""
    parts = list(parts)
    if not any(isinstance(part.latency, Percentiles) for part in parts):
        return []
    bare = {part.about for part in parts if part.latency is None and _busy(part)}
    return sorted({whole.resource for whole in wholes if whole.latency is None and whole.about not in bare and _busy(whole)})


def best_observers(samples: Iterable[Sample]) -> list[Sample]:
    """One sample about each thing: that of the most trusted observer. Observers of the same requests are never added.

    What sources trust cannot be compared: of several the first that counts anything is believed.
    """
    best: dict[Hashable, Sample] = {}
    for sample in samples:
        held = best.get(sample.about)
        if held is None or (sample.trust < held.trust if sample.source == held.source else sample.counted and not held.counted):
            best[sample.about] = sample
    return list(best.values())


def rename(samples: Iterable[Sample], name: Callable[[ResourceRef], ResourceRef]) -> list[Sample]:
    """The samples with every resource and peer renamed (a pod to its owner, a bare name to its kind), then rolled up."""
    return roll_up(replace(sample, resource=name(sample.resource), peer=name(sample.peer)) for sample in samples)


def _busy(sample: Sample) -> bool:
    """Whether it counts any request."""
    return bool(sample.success or sample.failure)


def _sum(counts: Iterable[float | None]) -> float | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _merged(group: Sequence[Sample]) -> Histogram | Percentiles | None:
    latencies = [sample.latency for sample in group if sample.latency is not None]
    histograms = [latency for latency in latencies if isinstance(latency, Histogram)]
    if latencies and len(histograms) == len(latencies):
        return merge(histograms)
    # Percentiles of some of the requests are those of all only if there were no others.
    alone = len(latencies) == 1 and not any(_busy(sample) for sample in group if sample.latency is None)
    return latencies[0] if alone else None
