"""What a source must be. The contract belongs to the server that asks; capability is data, not a subclass."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from metrics_api.query import TrafficQuery
from metrics_api.sample import Answer

__all__ = ["Backend"]


class Backend(Protocol):
    """One configured source. Opened and closed as an async context manager; asked concurrently in between."""

    @property
    def name(self) -> str:
        """The name it has in the configuration."""
        ...

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why this source can never answer such a query, in one sentence; None when it can. Does no I/O."""
        ...

    async def answer(self, query: TrafficQuery) -> Answer:
        """The samples for a query. Raises :class:`metrics_api.errors.BackendError`; the caller sets the deadline."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
