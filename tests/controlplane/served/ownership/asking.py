"""Asking a server of one mesh, and holding its rows against the truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.controlplane.plane import ADMIN, ControlPlane
from tests.controlplane.served.api import Api, Reply, measured
from tests.controlplane.served.ownership.fleet import STEP, WINDOW
from tests.controlplane.served.ownership.telemetry import DIALECTS
from tests.controlplane.served.ownership.truth import Key, Ref, Row
from tests.controlplane.served.server import GV, configured, run_server

__all__ = ["LOST", "Answer", "Asking", "Item", "compare", "differences", "numbers", "telling"]

Item = Mapping[str, Any]
"""An object as sent."""

LOST = "left out are pods, because nobody knows what they belong to: they are gone, or of another cluster: "
"""What a reader is told wherever pods matter: one of them is in the telemetry, and nowhere else."""

_COUNT = 0.0011
"""Counts are sent to the thousandth."""
_MICROSECOND = 1.1e-6


class Answer:
    """A list, or one object: ``items``, and the instant they are of in Unix seconds.

    ``warnings`` are what the reader is told beside them, but for the names of ``lost`` pods, which are nobody's.
    """

    def __init__(self, reply: Reply) -> None:
        document = reply.document
        warnings = [warning.removeprefix('299 - "').rstrip('"') for warning in reply.headers.getall("Warning", [])]
        self.lost = [warning.removeprefix(LOST) for warning in warnings if warning.startswith(LOST)]
        self.warnings = [warning for warning in warnings if not warning.startswith(LOST)]
        self.items: list[Item] = document.get("items", [document])
        self.instant = 0
        if self.items:
            (timestamp,) = {item["timestamp"] for item in self.items}
            self.instant = int(datetime.fromisoformat(timestamp).timestamp())

    @property
    def names(self) -> list[str]:
        """The names of the objects, in their order."""
        return [item["metadata"]["name"] for item in self.items]


class Asking:
    """The server of one mesh."""

    def __init__(self, mesh: str, api: Api) -> None:
        self.mesh = mesh
        self.api = api

    async def reply(self, path: str) -> Reply:
        """The response at a path below the group's version."""
        return await self.api.direct(f"{GV}{path}", user=ADMIN)

    async def get(self, path: str) -> Answer:
        """What is answered there without any complaint."""
        answer = await self.told(path)
        assert not answer.warnings
        return answer

    async def told(self, path: str) -> Answer:
        """What is answered there, perhaps with complaints."""
        reply = await self.reply(path)
        assert reply.status == 200, (reply.body, self.api.server.daemon.tail(20) if reply.status >= 500 else "")
        return Answer(reply)

    async def until(self, status: int, path: str) -> None:
        """Wait until an object is known (200), or known not to exist (404)."""
        for attempt in range(100):
            # Another window is another question: nothing that the tests will ask is remembered, and none is answered out of what is.
            reply = await self.reply(f"{path}?window={WINDOW + STEP * (attempt + 1)}s")
            if reply.status == status:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{self.mesh}: {path} is not {status} after ten seconds: {self.api.server.daemon.tail(20)}")


@asynccontextmanager
async def telling(plane: ControlPlane, store: str, mesh: str, directory: Path) -> AsyncIterator[Asking]:
    """A server of a mesh, which is gone afterwards."""
    own = {"match": f'mesh="{mesh}"'}
    configuration = configured(plane, store, dialect=DIALECTS.get(mesh, mesh), overrides=own, scrapeInterval=f"{STEP}s")
    configuration["metrics"] = {"window": f"{WINDOW}s", "refresh": f"{STEP}s"}
    async with run_server(plane, directory, configuration) as server:
        yield Asking(mesh, Api(plane, server))


def numbers(answer: Answer) -> dict[str, tuple[float | None, float | None]]:
    """How many requests succeeded and failed, by the names of the objects."""
    rows = {item["metadata"]["name"]: measured(item) for item in answer.items}
    return {name: (row["success_count"], row["failure_count"]) for name, row in rows.items()}


def compare(answer: Answer, expected: Mapping[Key, Row]) -> None:
    """The rows must be those expected, to the thousandth of a request and the microsecond."""
    found = {_key_of(item): item for item in answer.items}
    assert len(found) == len(answer.items), "two rows are about the same"
    assert expected, "nothing is expected"
    problems = list(differences(found, expected))
    assert not problems, "\n".join(["the rows differ", *sorted(problems)])


def differences(found: Mapping[Any, Item], expected: Mapping[Any, Row]) -> Iterator[str]:
    """How the objects found differ from the rows expected, both by what they are about."""
    yield from (f"missing: {_told(about)}" for about in expected.keys() - found.keys())
    yield from (f"not expected: {_told(about)}" for about in found.keys() - expected.keys())
    for about in expected.keys() & found.keys():
        row, values = expected[about], measured(found[about])
        wanted = {
            "success_count": (row.success, _COUNT),
            "failure_count": (row.failure, _COUNT),
            "p50_response_latency": (row.percentile(0.5), _MICROSECOND),
            "p90_response_latency": (row.percentile(0.9), _MICROSECOND),
            "p99_response_latency": (row.percentile(0.99), _MICROSECOND),
        }
        for name, (truth, error) in wanted.items():
            value = values[name]
            if value is None or truth is None or abs(value - truth) > error:
                yield f"{_told(about)}: {name} is {value}, the truth {truth}"


def _key_of(item: Item) -> Key:
    return _ref(item["resource"]), _ref(item["edge"]["resource"]), item["edge"]["direction"]


def _ref(wire: Mapping[str, str]) -> Ref:
    return wire.get("kind", ""), wire.get("namespace", ""), wire.get("name", "")


def _told(about: Hashable) -> str:
    if not isinstance(about, tuple):
        return str(about)
    resource, peer, direction = about
    return f"{'/'.join(resource)} {direction} {'/'.join(peer)}"
