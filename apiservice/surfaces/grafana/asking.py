"""What one request reads of the API: all of it at the same time, and each thing once, however many panels or targets want it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from apiservice.identity import User
from apiservice.result import Result
from apiservice.status import StatusError
from apiservice.surfaces.grafana.reads import alone
from apiservice.surfaces.reading import Asked, Reader
from metrics_api.errors import BadQuery
from metrics_api.instant import timestamp
from metrics_api.span import Span
from metrics_api.together import together

__all__ = ["ROWS", "Past", "Reading"]

ROWS = 20_000
"""Rows that the series of one request may be made of: one takes about 1 KiB, and 50 microseconds of a core, until it is answered."""

_AT_ONCE = 8
"""Reads under way for one request; others want answers, too."""

_MOST = 500
"""Reads for one request; each is a question to the sources, and a permission that is asked for."""

_HOW = (
    "; without a namespace this is read in all of them: name one in the query, or use the URL of a namespace, "
    "…/namespaces/NAMESPACE/grafana, for which a Role in it is enough, or let this user list {resource} in the whole cluster by a "
    "ClusterRole"
)


@dataclass(frozen=True, slots=True)
class Past:
    """One answer is wanted, as of ``instant`` in Unix seconds; None is the latest."""

    instant: int | None = None


Time = Past | Span


class Reading:
    """Reads of ``reader`` in the name of ``user``, for one request."""

    def __init__(self, reader: Reader, user: User) -> None:
        self._reader = reader
        self._user = user
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def read(self, wanted: Iterable[tuple[Asked, Time]]) -> dict[tuple[Asked, Time], tuple[Result, ...]]:
        """The results of all reads: one, or those of the instants of a span. Raises what the reader raises."""
        keys = tuple(dict.fromkeys(wanted))
        if len(keys) > _MOST:
            raise BadQuery(
                f"this is {len(keys)} reads: {_MOST} is the most that are answered at once; choose fewer namespaces or kinds"
            )
        results = await together(*(self._one(asked, time) for asked, time in keys))
        return dict(zip(keys, results, strict=True))

    async def rows(self, reads: Iterable[tuple[Asked, Past]]) -> dict[Asked, int]:
        """How many rows each read has that is about more than one resource; of the others there is one."""
        wanted = dict(reads)
        several = [(asked, time) for asked, time in wanted.items() if not alone(asked)]
        found = await self.read(several)
        return dict.fromkeys(wanted, 1) | {asked: len(results[0].rows) for (asked, _), results in found.items()}

    async def _one(self, asked: Asked, time: Time) -> tuple[Result, ...]:
        async with self._turns:
            try:
                if isinstance(time, Span):
                    return await self._reader.history(self._user, asked, time)
                if time.instant is not None:
                    asked = replace(asked, parameters=(*asked.parameters, ("time", timestamp(time.instant))))
                return (await self._reader.read(self._user, asked),)
            except StatusError as error:
                raise _with_advice(error, asked) from error


def _with_advice(error: StatusError, asked: Asked) -> StatusError:
    """A 403 about all namespaces, with what to do about it; any other error as it is."""
    if error.code != 403 or asked.namespace or asked.resource == "nodes" or (asked.resource == "namespaces" and asked.name):
        return error
    message = error.message + _HOW.format(resource=f"{asked.resource}.metrics.smi-spec.io")
    return StatusError(403, message, kind=error.kind, name=error.name, group=error.group)
