"""Responses counted by the class of their code, as Envoy counts them, and services of AWS like it: where they are, and which failed.

The classes are added up, and no count of requests is read: such a count also holds requests that nobody answered, because the caller went
away or they are still under way, and those would pass for successes.
"""

from __future__ import annotations

from collections.abc import Iterator

from backends.cloudwatch.metric import SUM, Metric
from backends.cloudwatch.rows import Row, Term
from metrics_api import EVERYTHING, Direction, ResourceRef, Side

__all__ = ["CLASSES", "Responses", "edges_of", "total_of"]

CLASSES = ("2XX", "3XX", "4XX", "5XX")
"""The classes of codes that end a request."""


class Responses:
    """Where responses are counted: ``requests`` and ``failures``, as :class:`Row` has them, and ``latency``, None where nobody tells it."""

    __slots__ = ("failures", "latency", "requests")

    def __init__(self, like: Metric, latency: Metric | None, *, client_errors_fail: bool) -> None:
        """``like`` is the metric of a class with ``{}`` in its name for the class; ``client_errors_fail`` says that 4xx is a failure."""

        def count(code: str) -> Metric:
            return like.renamed(like.name.format(code))

        failing = ("4XX", "5XX") if client_errors_fail else ("5XX",)
        self.requests: tuple[Term, ...] = tuple([(count(each), SUM) for each in CLASSES])
        self.failures: tuple[Term, ...] = tuple([(count(each), SUM) for each in failing])
        self.latency = latency


def total_of(resource: ResourceRef, side: Side, responses: Responses) -> Row:
    """All that a resource received."""
    return Row(resource, EVERYTHING, Direction.FROM, side, responses.requests, responses.failures, responses.latency)


def edges_of(caller: ResourceRef, callee: ResourceRef, responses: Responses) -> Iterator[Row]:
    """What a caller observed of its calls, from the point of view of each end that is an object."""
    for resource, peer, direction in ((caller, callee, Direction.TO), (callee, caller, Direction.FROM)):
        if resource.kind:
            yield Row(resource, peer, direction, Side.CLIENT, responses.requests, responses.failures, responses.latency)
