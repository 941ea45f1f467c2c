"""A source among others: on which terms it takes part, what it offers, and what is known of it beside its answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import translate
from functools import cached_property
from typing import Protocol, runtime_checkable

from metrics_api.backend import Backend
from metrics_api.forms import fraction, member, parsed, shape
from metrics_api.keys import key
from metrics_api.resources import CALLED_HOST, JOINED_SERVICE, ResourceRef

__all__ = ["Declares", "Merge", "Offer", "Source", "Terms", "parse_cluster"]


_CLUSTER = re.compile(r"[A-Za-z0-9](?:[-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")


def parse_cluster(text: str) -> str:
    """The name of a cluster; ValueError for what cannot stand behind the ``@`` in the name of a row."""
    if not _CLUSTER.fullmatch(text):
        raise ValueError(f'"{text}" is not the name of a cluster: up to 63 letters, digits, and - . _ between them')
    return text


class Merge(StrEnum):
    """What is made of rows about the same thing: the ``first`` source with data is believed, or the sources see different requests."""

    FIRST = "first"
    SUM = "sum"


@dataclass(frozen=True)
class Terms:
    """The terms on which a source takes part.

    ``cluster`` is the name of the cluster it tells of, empty for the one the server runs in. ``namespaces`` are those it is asked about,
    by name or by pattern (``team-*``); empty is all. Sources of one cluster with ``merge`` ``sum`` are disjoint: each request is seen by
    one of them. A question that takes longer than ``hedge_after`` seconds is asked a second time; 0 is never.
    """

    cluster: str = field(
        default="",
        metadata=key("the cluster it tells of", parsed(parse_cluster, "a name"), "covers.cluster", otherwise="this one"),
    )
    namespaces: tuple[str, ...] = field(
        default=(),
        metadata=key(
            'the namespaces the source is asked about, by name or by pattern: `[shop, "team-*"]`',
            shape("a list", {"type": "array", "items": {"type": "string"}, "minItems": 1}),
            "covers.namespaces",
            otherwise="all",
        ),
    )
    merge: Merge = field(
        default=Merge.FIRST,
        metadata=key(
            "`sum`: this source and the others of its cluster that say so see different requests, and their rows are added up",
            member(Merge),
        ),
    )
    hedge_after: float = field(
        default=0.0,
        metadata=key(
            "a question that takes longer than this is asked a second time, and the first answer counts; `0s` is never",
            fraction("0s", "60s", never="never"),
        ),
    )

    @property
    def everywhere(self) -> bool:
        """Whether it is asked about every namespace of its cluster."""
        return not self.namespaces

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(translate(each) for each in self.namespaces))

    def covers(self, namespace: str) -> bool:
        """Whether it is asked about a namespace."""
        return self.everywhere or self._pattern.match(namespace) is not None

    def covers_resource(self, resource: ResourceRef) -> bool:
        """Whether what it says of an object is to be heard; where only some namespaces are covered, nothing that is in none.

        What is known by an incomplete name is heard until it has its own: where it is shows only then.
        """
        if resource.kind in (JOINED_SERVICE, CALLED_HOST):
            return True
        namespace = resource.name if resource.kind == "Namespace" else resource.namespace
        return self.everywhere or (bool(namespace) and self.covers(namespace))


@dataclass(frozen=True, slots=True)
class Offer:
    """What the answers of a source are like, whatever it is asked.

    ``percentiles`` are the quantiles it gives, None for any. ``delay`` is how many seconds its newest numbers are old by nature. ``reach``
    is how many seconds ago an instant may be that it is asked about, None for a source that remembers.
    """

    percentiles: tuple[float, ...] | None = None
    delay: int = 0
    reach: int | None = None


@runtime_checkable
class Declares(Protocol):
    """A source whose answers are not like those of most: histograms, up to now."""

    @property
    def offer(self) -> Offer:
        """What its answers are like, as it is configured."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A configured source: who answers, on which terms, and the ``type`` it has in the configuration.

    ``written`` stands for all that was written of ``backend``: two that have the same are the same, and one will do. Empty is unknown.
    """

    backend: Backend
    terms: Terms = field(default_factory=Terms)
    type: str = ""
    written: str = ""

    @property
    def name(self) -> str:
        """The name it has in the configuration."""
        return self.backend.name

    @property
    def offer(self) -> Offer:
        """What its answers are like."""
        return self.backend.offer if isinstance(self.backend, Declares) else Offer()
