"""Several clusters behind one server: a source in memory for each, and what rows are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from apiservice.answers import Answers
from apiservice.federation.clusters import Clusters
from apiservice.federation.fanout import Fanout
from apiservice.federation.observer import Observer
from apiservice.objects import Objects, StandaloneObjects
from apiservice.question import Question, parse_question
from apiservice.requestinfo import parse_request
from apiservice.result import Result
from apiservice.traffic import TrafficService
from metrics_api import Answer, ResourceRef, TrafficMetrics, TrafficQuery, Window
from tests.unit.apiservice.test_traffic import Source, total

__all__ = ["API", "CART", "NOW", "STANDALONE", "WEB", "Mesh", "alone", "ask", "clusters", "named", "numbers", "question", "serving"]

ROOT = "/apis/metrics.smi-spec.io/v1alpha1"
STANDALONE = StandaloneObjects("Deployment")
WINDOW = Window(30)
NOW = 1_795_300_003.0

WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")
CART = ResourceRef("Deployment", "shop", "cart")


@dataclass
class Mesh(Source):
    """A source whose numbers may be ``late`` by so many seconds."""

    late: int = 0

    async def answer(self, query: TrafficQuery) -> Answer:
        found = await Source.answer(self, query)
        return replace(found, instant=found.instant - self.late)


def named(name: str, counts: Mapping[ResourceRef, float], late: int = 0) -> Mesh:
    """A source that counted so many successes of each resource."""
    samples = tuple(replace(total(resource, success), source=name) for resource, success in counts.items())
    return Mesh(samples, name, late=late)


def clusters(home: str, meshes: Mapping[str, Mesh], objects: Objects = STANDALONE, observer: Observer | None = None) -> Clusters:
    """The clusters these sources tell of; ``objects`` are those of ``home``."""
    services = {
        name: TrafficService(Fanout.of([mesh], observer), objects if name == home else STANDALONE, name, home=name == home)
        for name, mesh in meshes.items()
    }
    return Clusters(services, home, observer)


def alone(mesh: Mesh, objects: Objects = STANDALONE) -> TrafficService:
    """A server of one cluster without a name."""
    return TrafficService(Fanout.of([mesh]), objects)


def serving(service: Clusters) -> Answers:
    """What a server answers from, at one and the same time."""
    return Answers(service, refresh=5, clock=lambda: NOW)


def question(path: str, **parameters: str) -> Question:
    """The question of a request; ``selector`` is its fieldSelector."""
    path, _, query = path.partition("?")
    if "selector" in parameters:
        parameters["fieldSelector"] = parameters.pop("selector")
    parameters |= parse_qsl(query, keep_blank_values=True)
    return parse_question(parse_request("GET", f"{ROOT}/{path}", parameters), parameters, WINDOW)


async def ask(service: Clusters | TrafficService, path: str, instant: int = 100, **parameters: str) -> Result:
    """The answer to a request as of ``instant``."""
    return await service.answer(question(path, **parameters), instant)


def numbers(rows: Iterable[TrafficMetrics]) -> dict[str, float]:
    """Successes by the names of rows."""
    rows = list(rows)
    found = {row.name: (row.success or 0) / 1000 for row in rows}
    assert len(found) == len(rows)
    return found
