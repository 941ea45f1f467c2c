"""Series that a store keeps several times: two Prometheus servers that scrape the same proxies double every sum.

Copies of a series differ in one label, that of who scraped it, and they are the same counter read at different times: put in the order of
time their samples never fall. Two proxies that are merely alike do not do that for long, and are told apart by labels such as ``pod``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from backends.dialects import equal
from backends.prometheus.client import PrometheusClient, Series
from backends.prometheus.promql import selector
from metrics_api import together

__all__ = ["Copies", "find_copies", "interleaved", "suspects"]

_TARGET = re.compile(r"instance|.*(pod|container|host|node|address|endpoint|_ip|_id|hash)(_.*)?|ip|uid")
"""Labels that tell one proxy from another: what differs in them is not the same thing scraped twice."""

_MOST = 0.8
"""The share of the series that must have a copy: who scrapes twice scrapes everything twice."""

_PAIRS = 6
"""How many copied series are compared sample by sample."""

_LONGEST = 900
"""Seconds of samples compared, at most."""

_INTERVALS = 12

Samples = Sequence[tuple[float, str]]
Group = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Copies:
    """The label in which copies of a series differ, and its values."""

    label: str
    values: tuple[str, ...]


async def find_copies(
    client: PrometheusClient, series: Sequence[Series], used: Collection[str], instant: int, interval: float
) -> Copies | None:
    """The label by which series are kept several times, if they are; one of those ``used`` by the dialect tells rows apart, and is not it.

    ``series`` are the busiest ones, ``interval`` seconds between two samples. Raises :class:`metrics_api.errors.BackendError`.
    """
    span = min(_LONGEST, max(60, int(_INTERVALS * interval)))
    for label, groups in suspects(series, used).items():
        ranges = [_range(group[0], label, span) for group in groups[:_PAIRS]]
        verdicts = [interleaved(runs) for runs in await together(*(client.samples(text, instant) for text in ranges))]
        told = [verdict for verdict in verdicts if verdict is not None]
        if told and all(told):
            return Copies(label, tuple(sorted({labels[label] for group in groups for labels in group if label in labels})))
    return None


def suspects(series: Sequence[Series], used: Collection[str]) -> dict[str, list[Group]]:
    """The groups of series that differ in one label alone, by that label, where nearly all of the series are in such a group."""
    labels = {label for each in series for label in each.metric}
    found: dict[str, list[Group]] = {}
    for label in sorted(labels - set(used) - {"__name__", "le"}):
        if _TARGET.fullmatch(label):
            continue
        groups: dict[frozenset[tuple[str, str]], list[Mapping[str, str]]] = defaultdict(list)
        for each in series:
            groups[frozenset(pair for pair in each.metric.items() if pair[0] != label)].append(each.metric)
        several = [group for group in groups.values() if len(group) > 1]
        if several and sum(map(len, several)) >= _MOST * len(series):
            found[label] = list(several)
    return found


def interleaved(runs: Sequence[Samples]) -> bool | None:
    """Whether the samples of several series are those of one growing counter; None when they do not grow, which tells nothing."""
    merged = sorted((moment, float(value)) for run in runs for moment, value in run)
    if len([run for run in runs if len(run) > 1]) < 2 or not merged or merged[0][1] == merged[-1][1]:
        return None
    return all(earlier <= later for (_, earlier), (_, later) in pairwise(merged))


def _range(labels: Mapping[str, str], apart: str, span: int) -> str:
    matchers = [equal(label, value) for label, value in labels.items() if label not in ("__name__", apart)]
    return f"{selector(labels['__name__'], matchers)}[{span}s]"
