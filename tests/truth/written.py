"""Series written by hand into a real Prometheus, for what the fleet of the doubles does not show.

Rates are per second and the window is a minute, so that each number of an answer can be worked out from the few series it comes from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from backends.dialects import Dialect, load_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from metrics_api import Answer, Direction, Sample, Side, TrafficQuery, Window
from tests.doubles.backfill import INSTANT, backfilled_prometheus

__all__ = ["Series", "Written", "counted", "numbers", "observed", "question", "store"]

Series = dict[str, tuple[float, float]]
"""Series by name and labels as an exposition writes them, each with where it starts and its growth per second."""


def counted(metric: str, rate: float, **labels: str) -> Series:
    """One counter. An empty label is not written."""
    body = ",".join(f'{name}="{value}"' for name, value in labels.items() if value)
    return {f"{metric}{{{body}}}": (0.0, rate)}


def observed(histogram: str, buckets: Mapping[str, float], **labels: str) -> Series:
    """The buckets of a histogram, by ``le``; the rates are those within each bucket, which add up to the bounds above."""
    found: Series = {}
    total = 0.0
    for bound in (*buckets, "+Inf"):
        total += buckets.get(bound, 0.0)
        found |= counted(f"{histogram}_bucket", total, **labels, le=bound)
    return found | counted(f"{histogram}_count", total, **labels)


def numbers(samples: Sequence[Sample]) -> dict[str, tuple[float | None, float | None, str]]:
    """Successes, failures and side by what a row is about: ``catalog``, ``web to catalog``, or with ``from``; to a millionth."""
    found: dict[str, tuple[float | None, float | None, str]] = {}
    for sample in samples:
        about = f"{sample.resource.name} {sample.direction.value} {sample.peer.name}" if sample.peer.name else sample.resource.name
        assert about not in found, f"two rows are about {about}"
        counts = [None if count is None else round(count, 6) for count in (sample.success, sample.failure)]
        found[about] = (counts[0], counts[1], sample.side.value)
    return found


class Written:
    """What a store of such series answers, in any dialect."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self._sources: dict[str, PrometheusBackend] = {}

    async def source(self, dialect: str | Dialect) -> PrometheusBackend:
        """The source for a dialect, by its name or as it is after overrides; with an empty name for those that are found in the store."""
        spoken = (load_dialect(dialect) if dialect else None) if isinstance(dialect, str) else dialect
        key = dialect if isinstance(dialect, str) else f"{id(dialect)}"
        if key not in self._sources:
            settings = PrometheusSettings(name="written", url=self._url, dialect=spoken)
            self._sources[key] = await self._stack.enter_async_context(PrometheusBackend(settings))
        return self._sources[key]

    async def ask(self, dialect: str | Dialect, *kinds: str, **asked: str) -> Answer:
        """The answer to a :func:`question`."""
        return await (await self.source(dialect)).answer(question(*kinds, **asked))

    async def refusal(self, dialect: str | Dialect, *kinds: str, **asked: str) -> str | None:
        """Why a :func:`question` cannot be answered."""
        return (await self.source(dialect)).refusal(question(*kinds, **asked))


def question(*kinds: str, direction: str = "", side: str = "", name: str = "", namespace: str = "") -> TrafficQuery:
    """A question about the minute that is written; ``direction`` makes it one about edges."""
    return TrafficQuery(
        kinds=kinds,
        window=Window(60),
        instant=INSTANT,
        namespace=namespace,
        name=name,
        edges=bool(direction),
        direction=Direction(direction) if direction else None,
        side=Side(side) if side else None,
    )


@asynccontextmanager
async def store(directory: Path, *series: Series) -> AsyncIterator[Written]:
    """A Prometheus that keeps these series; each must be written once."""
    kept: Series = {}
    for part in series:
        again = kept.keys() & part.keys()
        assert not again, f"written twice: {sorted(again)}"
        kept |= part
    async with AsyncExitStack() as stack:
        yield Written(stack.enter_context(backfilled_prometheus(directory, kept)), stack)
