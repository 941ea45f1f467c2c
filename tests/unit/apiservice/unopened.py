"""What sources made up for a test have in common: there is nothing to open, and their past is like their present."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Self

from metrics_api import Answer, Span, TrafficQuery

__all__ = ["Unopened"]


class Unopened:
    """A source that has to say what it answers, and which questions it refuses."""

    refuses: str | None = None

    def refusal(self, query: TrafficQuery) -> str | None:
        del query
        return self.refuses

    async def answer(self, query: TrafficQuery) -> Answer:
        return Answer((), query.instant, query.window)

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        return tuple([await self.answer(replace(query, instant=instant)) for instant in span.instants])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass
