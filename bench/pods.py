"""Traffic of a population: the series of all its proxies, and dialects that know them by their pods alone, or by Deployments too.

``python bench/pods.py NAMESPACES DEPLOYMENTS PODS`` serves the pages, as ``fleet.py`` does. Every pod calls one pod, and the pods of a
Deployment call those of two others; both ends see a call.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleet import Line, responses, serve
from population import Pod, Population

__all__ = ["PodFleet", "write_dialects"]

_BOUNDS = (*(str(step * scale) for scale in (1, 10, 100, 1000) for step in (1, 2, 3, 5, 8)), "+Inf")[1:]
"""Upper bounds of twenty latency buckets, milliseconds."""
_GROUP = 10  # so many Deployments on one page
_FAILING = 8  # one call in so many has failures
_STEPS = (1, 7)  # how far away those are whom a Deployment calls

_DIALECT = """\
name: {name}
description: The series of the benchmark.
recognise: response_total
views:
- name: inbound
  side: server
  match: direction="inbound"
  requests: response_total
  outcome: &outcome [{{failure: {{classification: failure}}}}, {{success: {{}}}}]
  latency: &latency {{metric: response_latency_ms, unit: milliseconds}}
  destination:{own}
- name: outbound
  side: client
  match: direction="outbound"
  requests: response_total
  outcome: *outcome
  latency: *latency
  source:{own}
  destination:{callee}
"""


@dataclass(frozen=True, slots=True)
class _Page:
    """The proxies of some Deployments of a namespace."""

    namespace: str
    number: int

    @property
    def path(self) -> str:
        """Where they are."""
        return f"/{self.namespace}/{self.number}"

    def scrape_labels(self) -> dict[str, str]:
        """What all of them share; without a label of its own a page would not be told from the others of its namespace."""
        return {"namespace": self.namespace, "page": str(self.number)}


@dataclass(frozen=True, slots=True)
class PodFleet:
    """The proxies of a population."""

    population: Population

    @property
    def command(self) -> list[str]:
        """Serves their pages, run by Python."""
        return [__file__, *map(str, self.population.sizes())]

    def all(self) -> list[_Page]:
        """Every page."""
        pages = range((self.population.deployments - 1) // _GROUP + 1)
        return [_Page(namespace, number) for namespace in self.population.spaces() for number in pages]

    def pages(self) -> dict[str, list[Line]]:
        """Every page by its path."""
        sizes, pods = self.population, self.population.all_pods()
        pages: dict[str, list[Line]] = {page.path: [] for page in self.all()}
        for number, caller in enumerate(pods):
            called = (number + _STEPS[number % len(_STEPS)] * sizes.pods) % len(pods)
            rate, pace, callee = 1.0 + number * 7 % 40, 1 + number % 17, pods[called]
            whom = f'dst_namespace="{callee.namespace}",{_labels(callee, "dst_")}'
            pages[self._path(number, caller)] += _seen(f'direction="outbound",{_labels(caller)},{whom}', number, rate, pace + 1)
            pages[self._path(called, callee)] += _seen(f'direction="inbound",{_labels(callee)}', number, rate, pace)
        return pages

    def _path(self, number: int, one: Pod) -> str:
        """Where the proxy of the pod with this number is."""
        return _Page(one.namespace, number // self.population.pods % self.population.deployments // _GROUP).path


def write_dialects(directory: Path) -> tuple[Path, Path]:
    """The files of two dialects for the same series: one that knows pods alone, one that knows their Deployments as well."""
    pods, both = directory / "pods.yaml", directory / "deployments.yaml"
    pods.write_text(_DIALECT.format(name="pods", own=_ends(""), callee=_ends("dst_")), encoding="utf-8")
    deployments = {"own": _ends("", "deployment"), "callee": _ends("dst_", "deployment")}
    both.write_text(_DIALECT.format(name="deployments", **deployments), encoding="utf-8")
    return pods, both


def _ends(prefix: str, *workload: str) -> str:
    kinds = {"deployment": "Deployment", "pod": "Pod"}
    return "".join(f"\n  - {kinds[label]}: {{namespace: {prefix}namespace, name: {prefix}{label}}}" for label in (*workload, "pod"))


def _labels(one: Pod, prefix: str = "") -> str:
    return f'{prefix}pod="{one.name}",{prefix}deployment="{one.app}"'


def _seen(labels: str, number: int, rate: float, pace: int) -> Iterator[Line]:
    """The series of one end of a call; some have failures."""
    shares = (("success", 0.99), ("failure", 0.01)) if number % _FAILING == 0 else (("success", 1.0),)
    for verdict, share in shares:
        yield from responses(labels, f'classification="{verdict}"', rate * share, pace, _BOUNDS)


if __name__ == "__main__":
    serve(PodFleet(Population(*map(int, sys.argv[1:4]))).pages())
