"""What a source must be. The contract belongs to the server that asks; capability is data, not a subclass."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from metrics_api.query import TrafficQuery
from metrics_api.sample import Answer
from metrics_api.span import Span

__all__ = ["Backend", "GivesPercentiles"]


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

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        """One answer for each instant of ``span``, in order; ``query.instant`` does not matter.

        Each says what :meth:`answer` would say at its instant: its window ends there. What was not observed around an instant has no sample
        in its answer; nothing is carried over from one instant to the next, and nothing is filled in.

        A warning that is about the history as a whole is in every answer that it may concern. A source that does not remember an instant
        answers it without samples, ``incomplete``, and with a warning that says so; it raises if it remembers none of them. Raises
        :class:`metrics_api.errors.BackendError`, also when some of the instants only could not be read; the caller sets the deadline.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class GivesPercentiles(Protocol):
    """A source that has percentiles and no histograms, so that it must be told which are wanted (``TrafficQuery.quantiles``)."""

    @property
    def gives_percentiles(self) -> bool:
        """Whether it is so, as it is configured."""
        ...
