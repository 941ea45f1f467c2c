"""The examination of Linkerd viz, hop by hop: does it let us in, what does it depend on, who is in the mesh, and what is told of whom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Container, Iterable, Sequence

from backends.linkerd import viz_pb2 as viz
from backends.linkerd.client import VizClient
from backends.linkerd.findings import (
    DIALECT,
    WORKLOADS,
    Probe,
    Rows,
    abilities,
    about_checks,
    about_coverage,
    about_identities,
    about_load,
    about_probe,
    about_silence,
    about_window,
    counted,
    mesh_of,
)
from backends.linkerd.requests import callees, callers, totals
from backends.linkerd.settings import LinkerdSettings
from metrics_api import BackendError, BackendRefused, BackendTimeout, ResourceRef, Window, together
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level, Mesh, advised

__all__ = ["diagnose"]

_DEADLINE = 9.0
"""Seconds for everything."""

_FIRST_ANSWER = 4
"""Seconds for the one call that shows that the metrics-api is there."""

_LONG = Window(600)
"""Asked about when the window that matters tells nothing."""

_ANYBODY = ResourceRef("", "", "")


async def diagnose(settings: LinkerdSettings, window: Window) -> Diagnosis:
    """Examine the metrics-api of ``settings`` for questions about ``window``. What is wrong is in the findings; nothing is raised."""
    examination = _Examination(settings, window)
    try:
        async with asyncio.timeout(_DEADLINE), examination.client:
            await examination.run()
    except TimeoutError:
        slow = f"the examination was not over after {_DEADLINE:g}s, and what is said here is not all"
        examination.say(Level.WARNING, "time", slow, "is its Prometheus overloaded?")
    except BackendError as error:
        examination.fail("access" if isinstance(error, BackendRefused) else "reach", error)
    return examination.diagnosis


class _Examination:
    """One examination, and what it has found so far."""

    def __init__(self, settings: LinkerdSettings, window: Window) -> None:
        self.client = VizClient(settings, attempts=1)
        self._settings = settings
        self._window = window
        self._findings: list[Finding] = []
        self._abilities: tuple[Ability, ...] = ()
        self._meshes: tuple[Mesh, ...] = ()
        self._namespaces: frozenset[str] | None = None
        self._facts: dict[str, str | float] = {"type": "linkerd", "address": settings.address}
        self._summary = [settings.address]

    @property
    def diagnosis(self) -> Diagnosis:
        """What is known by now."""
        return Diagnosis(
            self._settings.name,
            "; ".join(self._summary),
            dict(self._facts),
            tuple(self._findings),
            self._abilities,
            self._meshes,
            self._namespaces,
        )

    def say(self, level: Level, check: str, what: str, advice: str = "") -> None:
        """Add a finding."""
        self._add([Finding(level, self._settings.name, check, what, advice)])

    def fail(self, check: str, error: BackendError, level: Level = Level.PROBLEM) -> None:
        """Add a failure: what it is, and behind the first semicolon what to do about it."""
        self.say(level, check, *advised(self._settings.name, error.message))

    async def run(self) -> None:
        """Go from hop to hop, until one is missing. Raises :class:`metrics_api.errors.BackendError` when none further can be gone."""
        if not await self._reach():
            return
        pods = await self._pods()
        own = {*(pod.controllerNamespace for pod in pods), self._viz_namespace()}
        window, rows = await self._list()
        self._tell(pods, rows)
        theirs = _without(own, rows)
        self._add(about_coverage(self._settings.name, theirs))
        self._add(about_window(self._settings, window))
        busy = counted(theirs)
        if busy:
            await self._probe(window, max(busy, key=_requests).resource.name)
        elif any(row.meshed_pod_count for row in theirs):
            longer = _without(own, await self._everywhere(_LONG))
            self._add(about_silence(self._settings, window, _LONG, longer, pods))

    def _add(self, findings: Iterable[Finding]) -> None:
        self._findings += findings

    def _viz_namespace(self) -> str:
        """The namespace in an address such as ``metrics-api.linkerd-viz.svc:8085``."""
        return f"{self._settings.address}..".split(".")[1]

    async def _reach(self) -> bool:
        """Whether it can answer at all: it is there, and so is what it depends on."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(_FIRST_ANSWER):
                results = await self.client.self_check()
        except TimeoutError:
            hint = "does something on the way drop what we send, or is its Prometheus overloaded?"
            where = self._settings.address
            raise BackendTimeout(self._settings.name, f"does not answer within {_FIRST_ANSWER}s at {where}; {hint}") from None
        milliseconds = round(1000 * (time.monotonic() - started))
        self._facts["milliseconds"] = milliseconds
        self._summary[:] = [f"Linkerd viz at {self._settings.address}, answered in {milliseconds} ms"]
        wrong = list(about_checks(self._settings.name, results))
        self._add(wrong)
        # Going by its source it crashes without a Prometheus when asked for numbers (viz/metrics-api/grpc_server.go, validateTimeWindow).
        return not wrong

    async def _pods(self) -> Sequence[viz.Pod]:
        try:
            return await self.client.list_pods()
        except BackendError as error:
            self.fail("pods", error, Level.WARNING)
            return ()

    async def _list(self) -> tuple[Window, Rows]:
        """The namespaces, and the window that they are told of: a longer one if that which matters is refused."""
        started = time.monotonic()
        window = self._window
        try:
            rows = await self._everywhere(window)
        except BackendRefused as error:
            if "too short" not in error.message:
                raise
            self.fail("interval", error)
            window = _LONG
            rows = await self._everywhere(window)
        seconds = time.monotonic() - started
        self._facts["secondsPerList"] = round(seconds, 3)
        self._add(about_load(self._settings, seconds, sum(row.running_pod_count for row in rows)))
        return window, rows

    def _tell(self, pods: Sequence[viz.Pod], rows: Rows) -> None:
        meshed, running = (sum(getattr(row, count) for row in rows) for count in ("meshed_pod_count", "running_pod_count"))
        self._meshes = (mesh_of(pods),)
        self._namespaces = frozenset(row.resource.name for row in rows if row.meshed_pod_count or row.HasField("stats"))
        self._facts |= {"dialects": DIALECT, "namespaces": len(rows), "pods": running, "meshedPods": meshed}
        self._summary.append(f"{len(rows)} namespaces, {meshed} of {running} pods in the mesh")

    async def _probe(self, window: Window, namespace: str) -> None:
        place = ResourceRef("Namespace", "", namespace)
        kinds = (*WORKLOADS, "Pod", "Service")
        asked = [totals(kind, window, namespace) for kind in kinds]
        asked += [ask(place, "Namespace", window, _ANYBODY) for ask in (callers, callees)]
        *workloads, pods, services, calling, called = await together(*map(self.client.stat_summary, asked))
        probe = Probe(namespace, [row for rows in workloads for row in rows], pods, services, calling, called)
        self._add(about_probe(self._settings, probe, window))
        self._abilities = abilities(probe, window, int(time.time()))
        if self._settings.identities:
            await self._identify(namespace)

    async def _identify(self, namespace: str) -> None:
        try:
            edges = await self.client.edges("pod", namespace)
        except BackendError as error:
            self.fail("identities", error, Level.WARNING)
            return
        self._facts |= {"connections": len(edges), "mutualTls": sum(not edge.no_identity_msg for edge in edges)}
        self._add(about_identities(self._settings.name, edges))

    async def _everywhere(self, window: Window) -> Rows:
        return await self.client.stat_summary(totals("Namespace", window))


def _without(names: Container[str], rows: Rows) -> Rows:
    return [row for row in rows if row.resource.name not in names]


def _requests(row: viz.StatTable.PodGroup.Row) -> int:
    return row.stats.success_count + row.stats.failure_count
