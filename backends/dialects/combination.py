"""Several dialects of one store, combined: each request counts once, whoever tells of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace

from backends.dialects.consultation import Consultation
from backends.dialects.plan import COARSE
from metrics_api import ANY_WORKLOAD, NEXT_SCHEME, Sample

__all__ = ["combined"]


def combined(consultations: Sequence[Consultation]) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """What several dialects know together, and what the reader must know of it.

    Of two that count the same traffic the first one is believed, and what one knows no number of is told by another that does. One that
    is a fallback is heard about resources of which no other counts anything, since it may name them and their peers otherwise, and about
    what others know no number of.
    """
    if len(consultations) == 1:
        return consultations[0].samples, consultations[0].warnings
    counted: dict[Hashable, int] = {}
    elsewhere: dict[Hashable, list[tuple[int, str]]] = defaultdict(list)
    known: set[tuple[str, ...]] = set()
    silent: set[Hashable] = set()
    heard: list[list[Sample]] = []
    unheard: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for rank, consultation in enumerate(consultations):
        news = [
            sample
            for sample in consultation.samples
            if not consultation.fallback or sample.resource[1:] not in known or _places(sample) in silent
        ]
        heard.append(news)
        for sample in (sample for sample in news if sample.counted):
            first = counted.setdefault(sample.about, rank)
            elsewhere[_places(sample)].append((rank, sample.resource.kind))
            if first != rank and sample.resource.kind in COARSE and not consultation.fallback:
                unheard[consultations[first].dialect, rank].append(sample)
        known |= {sample.resource[1:] for sample in consultation.samples if sample.counted}
        silent |= {_places(sample) for sample in news if not sample.counted}
    samples: dict[Hashable, Sample] = {}
    warnings: dict[str, None] = {}
    for rank, (consultation, news) in enumerate(zip(consultations, heard, strict=True)):
        kept = [sample for sample in news if sample.counted or not _told(sample, rank, elsewhere[_places(sample)])]
        for sample in kept:
            # Once Kubernetes has told the kind of a bare name, two dialects may turn out to tell of one thing: nothing of that is added.
            samples.setdefault(sample.about, replace(sample, trust=sample.trust + rank * NEXT_SCHEME))
        if kept or not consultation.fallback:
            warnings |= dict.fromkeys(consultation.warned(kept))
    told = (consultations[rank].left_out(missing, first) for (first, rank), missing in unheard.items())
    return tuple(samples.values()), tuple(dict.fromkeys((*warnings, *told)))


def _places(sample: Sample) -> Hashable:
    """What a sample is about, whatever kinds it is said to be of."""
    return sample.resource[1:], sample.peer[1:], sample.direction


def _told(sample: Sample, rank: int, others: Sequence[tuple[int, str]]) -> bool:
    """Whether another dialect counts what a sample without numbers is about."""
    kind = sample.resource.kind
    return any(other != rank and (kind == named or ANY_WORKLOAD in (kind, named)) for other, named in others)
