"""History as a pandas frame: what a source tells of a span, one row per instant and row of traffic, for dashboards and notebooks.

pandas is not needed for anything else and takes its time to load, so it is the extra ``history`` and imported when a frame is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from metrics_api import Answer, Backend, BadQuery, Sample, Span, TrafficQuery, Unsupported

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PERCENTILES", "frame", "history"]

PERCENTILES: tuple[float, ...] = (50, 90, 99)
"""The percentiles a frame has unless others are asked for."""

_NAMES = ("kind", "namespace", "name", "direction", "side", "peer_kind", "peer_namespace", "peer_name")
_COUNTS = ("success", "failure", "requests_per_second", "success_rate")
_STATS = ("mean", "stddev")


async def history(backend: Backend, query: TrafficQuery, span: Span, percentiles: Sequence[float] = PERCENTILES) -> pd.DataFrame:
    """The :func:`frame` of a query over a span; the instant of the query does not matter.

    Raises :class:`metrics_api.Unsupported` when the source can never answer such a query, :class:`metrics_api.BackendError` when it fails,
    and what :func:`frame` raises.
    """
    reason = backend.refusal(query)
    if reason is not None:
        raise Unsupported(reason)
    # What is missing here shall be known before the source is asked for a long time.
    _pandas()
    quantiles = _quantiles(percentiles)
    answers = await backend.history(replace(query, sums=True, quantiles=tuple(quantiles.values())), span)
    return await asyncio.to_thread(partial(_frame, answers, quantiles))


def frame(answers: Iterable[Answer], percentiles: Sequence[float] = PERCENTILES) -> pd.DataFrame:
    """Answers as one frame, with the same columns and types whatever is in them.

    The index ``time`` is the end of each window, in UTC. The columns, in this order:

    * ``kind``, ``namespace``, ``name``; ``direction`` and ``side``; ``peer_kind``, ``peer_namespace``, ``peer_name``: strings, empty where
      there is nothing to say, as of the peer of a total.
    * ``success``, ``failure``: requests in the window; ``requests_per_second`` of both; ``success_rate``, from 0 to 1.
    * ``p50``, ``p90``, ``p99``, or whatever ``percentiles`` are asked for (``p99.9`` for 99.9); ``mean``, ``stddev``: latencies in seconds.
    * ``window``: seconds that the numbers really cover; ``source``: the name of the source.

    NaN is unknown and 0 is measured: a rate of success is unknown without requests, a mean without sums (``TrafficQuery.sums``). Of
    what was not observed around an instant there is no row at that instant. ``attrs`` holds ``warnings``, the sentences of the answers,
    each once, and ``incomplete``, the times at which data is missing.

    Raises :class:`metrics_api.BadQuery` for what is no percentile, and ImportError without pandas.
    """
    return _frame(answers, _quantiles(percentiles))


def _frame(answers: Iterable[Answer], quantiles: dict[str, float]) -> pd.DataFrame:
    pandas = _pandas()
    measures = (*_COUNTS, *quantiles, *_STATS)
    times: list[int] = []
    names: list[tuple[str, ...]] = []
    numbers: list[tuple[float | None, ...]] = []
    windows: list[int] = []
    sources: list[str] = []
    warnings: dict[str, None] = {}
    incomplete: list[int] = []
    for answer in answers:
        warnings |= dict.fromkeys(answer.warnings)
        if answer.incomplete:
            incomplete.append(answer.instant)
        for sample in sorted(answer.samples, key=_order):
            times.append(answer.instant)
            names.append(_named(sample))
            numbers.append((*_counted(sample, answer.window.seconds), *_timed(sample, quantiles)))
            windows.append(answer.window.seconds)
            sources.append(sample.source)
    # Rows have to be turned into columns, and no row at all into empty ones.
    columns: dict[str, Any] = {}
    for name, values in zip(_NAMES, _columns(names, len(_NAMES)), strict=True):
        columns[name] = pandas.array(values, dtype="string")
    for name, values in zip(measures, _columns(numbers, len(measures)), strict=True):
        columns[name] = pandas.Series(values, dtype="float64").array
    columns["window"] = pandas.Series(windows, dtype="int64").array
    columns["source"] = pandas.array(sources, dtype="string")
    made: pd.DataFrame = pandas.DataFrame(columns, index=_index(pandas, times))
    made.attrs = {"warnings": list(warnings), "incomplete": list(_index(pandas, incomplete))}
    return made


def _index(pandas: Any, times: list[int]) -> pd.DatetimeIndex:
    index: pd.DatetimeIndex = pandas.to_datetime(times, unit="s", utc=True).as_unit("ns").rename("time")
    return index


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _order(sample: Sample) -> tuple[Any, ...]:
    """The order of the rows of an instant, which is that of lists."""
    resource = sample.resource
    return (resource.namespace, resource.name, resource.kind, sample.direction, sample.peer)


def _named(sample: Sample) -> tuple[str, ...]:
    resource, peer = sample.resource, sample.peer
    ends = (sample.direction.value, sample.side.value)
    return (resource.kind, resource.namespace, resource.name, *ends, peer.kind, peer.namespace, peer.name)


def _counted(sample: Sample, seconds: int) -> tuple[float | None, ...]:
    success, failure = sample.success, sample.failure
    if success is None or failure is None:
        return (success, failure, None, None)
    total = success + failure
    return (success, failure, total / seconds, success / total if total else None)


def _timed(sample: Sample, quantiles: dict[str, float]) -> tuple[float | None, ...]:
    latency = sample.latency
    if latency is None:
        return (None,) * (len(quantiles) + len(_STATS))
    return (*map(latency.quantile, quantiles.values()), latency.mean(), latency.stddev())


def _quantiles(percentiles: Sequence[float]) -> dict[str, float]:
    """Quantiles by the name of their column, ascending and each once."""
    found: dict[str, float] = {}
    for percentile in percentiles:
        if not 0 < percentile < 100:
            raise BadQuery(f"{percentile} is no percentile: it must be above 0 and below 100, as in 95 or 99.9")
    # 0.999 and not the neighbour that 99.9 / 100 is: the quantile is a key where a source gives percentiles only.
    for percent in sorted({Decimal(str(percentile)) for percentile in percentiles}):
        found[f"p{percent.normalize():f}"] = float(percent / 100)
    return found


def _pandas() -> Any:
    try:
        import pandas  # noqa: PLC0415, ICN001 loaded when it is needed
    except ImportError as error:
        raise ImportError('a frame of history needs pandas: pip install "trafficmetrics[history]"', name="pandas") from error
    return pandas
