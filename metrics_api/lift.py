"""Lifting: samples of members become samples of what they belong to. Counts are added, histograms merged, percentiles never."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from metrics_api.resources import ResourceRef
from metrics_api.rollup import added, combined
from metrics_api.sample import NEXT_SCHEME, Sample, sources_of

__all__ = ["lift"]


@dataclass(frozen=True, slots=True)
class _Lifted:
    """A sample about what one of its ends belongs to, and what was there before."""

    sample: Sample
    member: ResourceRef
    whole: ResourceRef

    @property
    def moved(self) -> bool:
        """Whether it was about a member."""
        return self.member != self.whole

    @property
    def origin(self) -> tuple[str, int]:
        """The source, and the scheme of names in it."""
        return self.sample.source, self.sample.trust // NEXT_SCHEME


def lift(
    samples: Iterable[Sample],
    resource_above: Callable[[ResourceRef], Sequence[ResourceRef]],
    peer_above: Callable[[ResourceRef], ResourceRef],
    covered: Callable[[str], Hashable] = lambda _: None,
    leave_out: Callable[[Sample, Sample], None] = lambda _, __: None,
) -> list[Sample]:
    """The samples, those of members added up to what they belong to: one about each thing.

    ``resource_above`` gives what the resource of a sample belongs to; several things each get the whole sample, and where there is
    nothing the sample is left out. ``peer_above`` gives what a peer belongs to, or the peer itself.

    Samples must be one about each thing, as the best observer of it saw it. Then members are different requests, whoever observed them,
    and are added; and so is what a source knows of the whole from the same side, which are series that name no member. What it knows from
    the other side may be the same requests: the better observer's is taken. Of several sources, or schemes of names in one, that know a
    thing by members of different kinds, or by its own name, the first that counts anything is believed: it may be the same requests.

    ``covered`` says of a source what its numbers describe. Those of another window or instant than the first one's are not added, and
    ``leave_out`` is told of each what it would have been added to, and what is not.
    """
    together = partial(_together, covered=covered, leave_out=leave_out)
    by_peer: dict[Hashable, list[_Lifted]] = defaultdict(list)
    for sample in samples:
        peer = peer_above(sample.peer)
        lifted = sample if peer == sample.peer else replace(sample, peer=peer)
        by_peer[lifted.about].append(_Lifted(lifted, sample.peer, peer))
    by_resource: dict[Hashable, list[_Lifted]] = defaultdict(list)
    for sample in map(together, by_peer.values()):
        for resource in resource_above(sample.resource):
            # What a Service received as the backend of a split, it did not receive as something else's.
            lifted = sample if resource == sample.resource else replace(sample, resource=resource, backend=None)
            by_resource[lifted.about].append(_Lifted(lifted, sample.resource, resource))
    return [together(group) for group in by_resource.values()]


def _together(group: Sequence[_Lifted], covered: Callable[[str], Hashable], leave_out: Callable[[Sample, Sample], None]) -> Sample:
    if len(group) == 1:
        return group[0].sample
    counted = [item for item in group if item.sample.counted] or group
    if len({item.member.kind for item in counted}) > 1:
        first = min((item for item in counted if item.sample.source == counted[0].sample.source), key=lambda item: item.origin)
        counted = [item for item in counted if item.origin == first.origin]
    whole = [item.sample for item in counted if not item.moved]
    members = [item.sample for item in counted if item.moved]
    if whole and members:
        beside = [sample for sample in members if sample.side is whole[0].side]
        if beside:
            members = beside
        elif min(members, key=_trust).trust < whole[0].trust:
            whole = []
        else:
            members = []
    parts = [*whole, *members]
    sources = dict.fromkeys(part.source for part in parts)
    if len(sources) == 1:
        return added(sorted(parts, key=_trust))
    fitting = [part for part in parts if covered(part.source) == covered(parts[0].source)]
    for part in parts:
        if covered(part.source) != covered(parts[0].source):
            leave_out(parts[0], part)
    return replace(combined(sorted(fitting, key=_trust)), source=sources_of(fitting))


def _trust(sample: Sample) -> int:
    return sample.trust
