"""Sources that note when they are opened and closed, and answer when they are let."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from apiservice.federation.fanout import Fanout
from apiservice.federation.fanouts import Federation
from apiservice.objects import StandaloneObjects
from apiservice.question import Question, parse_question
from apiservice.reloading import CurrentSources
from apiservice.reloading.current import Follower
from apiservice.requestinfo import parse_request
from metrics_api import (
    EVERYTHING,
    Answer,
    Direction,
    Percentiles,
    ResourceRef,
    Sample,
    Side,
    Source,
    Span,
    Terms,
    TrafficQuery,
    Window,
)

GV = "/apis/metrics.smi-spec.io/v1alpha1"


@dataclass(eq=False)
class Noted:
    """A source that tells ``count`` successes of shop/web; while ``gate`` is not set it keeps its askers waiting."""

    name: str
    count: int = 1
    broken: bool = False
    events: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def refusal(self, query: TrafficQuery) -> str | None:  # noqa: ARG002
        return None

    async def answer(self, query: TrafficQuery) -> Answer:
        self.events.append("asked")
        self.asked.set()
        await self.gate.wait()
        sample = Sample(
            resource=ResourceRef("Deployment", "shop", "web"),
            peer=EVERYTHING,
            direction=Direction.FROM,
            side=Side.SERVER,
            success=self.count,
            failure=0,
            latency=Percentiles({}),
            source=self.name,
            dialect="istio",
        )
        return Answer((sample,), query.instant, query.window)

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        return tuple([await self.answer(query) for _ in span.instants])

    async def __aenter__(self) -> Self:
        if self.broken:
            raise OSError("no")
        self.events.append("opened")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.events.append("closed")


def source(backend: Noted, written: str = "", terms: Terms | None = None) -> Source:
    """As it is configured; ``written`` stands for its entry."""
    return Source(backend, terms or Terms(), "noted", written or backend.name)


def federate(sources: Sequence[Source]) -> Federation:
    return Federation(sources, "", Fanout)


def opened(*sources: Source, followers: Sequence[Follower] = ()):
    """The sources in force."""
    objects = StandaloneObjects("Deployment")
    return CurrentSources.opened(sources, federate, lambda federation: federation.service(objects, objects), followers)


def question() -> Question:
    info = parse_request("GET", f"{GV}/namespaces/shop/deployments/web", {})
    return parse_question(info, {}, Window(30))


async def count(current: CurrentSources, instant: int = 100) -> int:
    """How many successes shop/web is told to have had."""
    (row,) = (await current.answer(question(), instant)).rows
    (counted,) = [metric["value"] for metric in row.wire()["metrics"] if metric["name"] == "success_count"]
    return int(counted)
