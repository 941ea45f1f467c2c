"""The examination of a store, hop by hop: is it reached, what is it, what does it keep, and are its numbers complete and counted once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from backends.dialects import Dialect, Temporality, Trap, equal
from backends.dialects.findings import examine
from backends.dialects.overrides import override
from backends.dialects.releases import mesh_of
from backends.dialects.renaming import labels_of
from backends.prometheus.client import PrometheusClient, Vector
from backends.prometheus.evidence import Seen, gather, present
from backends.prometheus.meshversions import find_meshes, find_namespaces
from backends.prometheus.product import Product, identify
from backends.prometheus.promql import quoted, selector
from backends.prometheus.recognition import candidates, recognise
from backends.prometheus.replicas import find_copies
from backends.prometheus.rhythm import listen, needed
from backends.prometheus.settings import PrometheusSettings
from metrics_api import BackendError, BackendTimeout, BadConfiguration, Window, together
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level, Mesh, advised

__all__ = ["diagnose"]

logger = logging.getLogger(__name__)

_DEADLINE = 10.0
"""Seconds for everything."""

_FIRST_ANSWER = 5
"""Seconds for the one query that shows that the store is there."""

_SKEW = 2.0
"""Seconds that clocks may differ: the date of an answer is in whole seconds."""

_MOST_NAMED = 3

_HINTS = {
    "BackendUnavailable": "is it running, are host and port right, and may we connect to it?",
    "BackendTimeout": "is it overloaded, or does something on the way drop what we send?",
    "BackendRefused": "check url and credentials",
    "BackendProtocolError": "does url point to the query API?",
}


async def diagnose(settings: PrometheusSettings, window: Window, instant: int | None = None) -> Diagnosis:
    """Examine the store of ``settings`` for questions about ``window``, as it is now or was at ``instant`` (Unix seconds).

    What is wrong is in the findings; nothing is raised.
    """
    examination = _Examination(settings, window, int(time.time()) if instant is None else instant)
    try:
        async with asyncio.timeout(_DEADLINE), examination.client:
            await examination.run()
    except TimeoutError:
        slow = f"the examination was not over after {_DEADLINE:g}s, and what is said here is not all"
        examination.say(Level.WARNING, "time", slow, "is the store overloaded?")
    except BackendError as error:
        examination.fail(error)
    except BadConfiguration as error:
        examination.say(Level.PROBLEM, "configuration", *advised(settings.name, error.message))
    except (LookupError, ValueError) as error:
        logger.info("source %s answered what was not asked for", settings.name, exc_info=error)
        examination.say(Level.PROBLEM, "reach", "it answers something else than what was asked", _HINTS["BackendProtocolError"])
    return examination.diagnosis


class _Asking:
    """The store, as it is asked here: what it warns of is kept."""

    def __init__(self, client: PrometheusClient) -> None:
        self._client = client
        self.warnings: dict[str, None] = {}

    async def query(self, promql: str, instant: int) -> Vector:
        answer = await self._client.query(promql, instant)
        self.warnings |= dict.fromkeys(answer.warnings)
        return answer


class _Examination:
    """One examination, and what it has found so far."""

    def __init__(self, settings: PrometheusSettings, window: Window, instant: int) -> None:
        self.client = PrometheusClient(settings)
        self._store = _Asking(self.client)
        self._settings = settings
        self._window = window
        self._instant = instant
        self._findings: list[Finding] = []
        self._abilities: list[Ability] = []
        self._meshes: tuple[Mesh, ...] = ()
        self._namespaces: frozenset[str] | None = None
        self._facts: dict[str, str | float] = {"type": settings.type, "url": settings.url}
        self._summary: list[str] = [settings.url or settings.type]

    @property
    def diagnosis(self) -> Diagnosis:
        """What is known by now."""
        return Diagnosis(
            self._settings.name,
            "; ".join(self._summary),
            dict(self._facts),
            tuple(self._findings),
            tuple(self._abilities),
            self._meshes,
            self._namespaces,
        )

    @property
    def _scrapes(self) -> bool:
        """Whether it is a store that scrapes, and not a service that is sent everything."""
        return self._settings.signer is None

    def say(self, level: Level, check: str, what: str, advice: str = "") -> None:
        """Add a finding."""
        self._findings.append(Finding(level, self._settings.name, check, what, advice))

    def fail(self, error: BackendError) -> None:
        """Add a failure of the store itself: what it is, and behind the last semicolon what to do about it."""
        what, advice = advised(self._settings.name, error.message)
        if not what.startswith("it "):
            self.say(Level.PROBLEM, "reach", what, advice)
            return
        hint = _HINTS.get(type(error).__name__, "") if self._scrapes else "check region, endpointUrl and the network"
        self.say(Level.PROBLEM, "reach", what, advice or hint)

    async def run(self) -> None:
        """Go from hop to hop, until one is missing."""
        product = await self._reach()
        self._compare_clocks(product)
        try:
            await self._look()
        finally:
            for warning in self._store.warnings:
                self.say(Level.WARNING, "store", f"it warns: {warning}", "numbers may be incomplete: see to that in the store")

    async def _look(self) -> None:
        found = await self._recognise()
        self._facts["dialects"] = ", ".join(dialect.name for dialect in found)
        if found:
            self._summary.append(", ".join(dialect.name for dialect in found))
            self._meshes = tuple(mesh_of(dialect, ()) for dialect in found)
            seen = await together(*(gather(self._store, dialect, self._instant) for dialect in found))
            await self._examine(found, seen)
            await self._look_around(found)

    async def _reach(self) -> Product:
        started = time.monotonic()
        self._facts["url"] = self.client.url
        try:
            async with asyncio.timeout(_FIRST_ANSWER):
                await self._store.query("vector(1)", self._instant)
                milliseconds = round(1000 * (time.monotonic() - started))
                product = await identify(self.client)
        except TimeoutError:
            raise BackendTimeout(self._settings.name, f"does not answer within {_FIRST_ANSWER}s at {self.client.url}") from None
        self._summary[:] = [f"{product} at {self.client.url}, answered in {milliseconds} ms"]
        self._facts |= {"product": product.name, "version": product.version, "milliseconds": milliseconds}
        return product

    def _compare_clocks(self, product: Product) -> None:
        if product.skew is None:
            return
        self._facts["clockSkewSeconds"] = round(product.skew, 1)
        if abs(product.skew) > _SKEW:
            where = "ahead of" if product.skew > 0 else "behind"
            self.say(
                Level.PROBLEM if 2 * abs(product.skew) >= self._window.seconds else Level.WARNING,
                "clock",
                f"its clock is {abs(product.skew):.0f}s {where} ours, so a window ends elsewhere than at the latest samples",
                "synchronise both clocks (NTP)",
            )

    async def _recognise(self) -> tuple[Dialect, ...]:
        """The dialects to examine: the configured one if there are series of it, or those that were found."""
        configured = self._settings.dialect
        ours = [override(dialect, self._settings.overrides, where_possible=True) for dialect in candidates()]
        if configured is None:
            found = await recognise(self._store, self._instant, ours)
            if not found:
                await self._nothing(ours)
            return found
        self._facts["configuredDialect"] = configured.name
        rivals = [dialect for dialect in ours if dialect.name != configured.name]
        found = await recognise(self._store, self._instant, (configured, *rivals))
        others = [dialect for dialect in found if dialect is not configured]
        held = await present(self._store, (f"count({series})" for series in _series_of(configured)), self._instant)
        # Series of the same metrics that bear another dialect's signs and not those of the configured one are not its own.
        taken = configured.signs and configured not in found and any(_alike(configured, other) for other in others)
        if held and not taken:
            beside = [other.name for other in others if not _alike(configured, other)]
            if beside:
                also = f"the store keeps {_listed(beside)} as well, which this source does not show"
                self.say(Level.OK, "dialect", also, "dialect: auto shows all; or make it another source")
            return (configured,)
        if others:
            self.say(
                Level.PROBLEM,
                "dialect",
                f"dialect: {configured.name} is configured, and the series are those of {_listed([other.name for other in others])}",
                f"dialect: {others[0].name}" if len(others) == 1 else "dialect: auto, or one of them",
            )
        else:
            await self._nothing((configured,))
        return ()

    async def _nothing(self, wanted: Sequence[Dialect]) -> None:
        """Say why there is nothing: overrides that match nothing, series that ended, or a store that never had any."""
        if await self._look_for_traps(wanted, Level.PROBLEM):
            return
        match = self._settings.overrides.match
        counters = {metric: dialect.name for dialect in wanted for view in dialect.views for metric in view.counters}
        asked = {f"count(last_over_time({selector(metric, match)}[1h]))": metric for metric in counters}
        held = await present(self._store, asked, self._instant)
        ended = [asked[text] for text in asked if text in held]
        if ended:
            self.say(
                Level.PROBLEM,
                "dialect",
                f"{ended[0]} ({counters[ended[0]]}) had samples in the last hour, and has none that count now",
                "is the mesh still scraped? look at the targets of the store" if self._scrapes else "is it still sent by OTLP?",
            )
            return
        if match and (kept := await self._kept(counters)):
            what = f"it keeps {_listed(kept)}, but no series with what overrides.match asks for"
            self.say(Level.PROBLEM, "dialect", what, "correct overrides.match")
            return
        one = len(wanted) == 1
        what = f"no series of {wanted[0].name}" if one else "no series of a mesh that is known here"
        if not self._scrapes:
            advice = f"are metrics such as {next(iter(counters), 'its own')} sent to it by OTLP, in this region and account?"
            self.say(Level.PROBLEM, "dialect", f"it keeps {what}", advice)
            return
        anything = await present(self._store, ["count(up)"], self._instant)
        elsewhere = "; or is it another store that does?" if anything else ""
        own = "" if one else "; a scheme of your own needs a dialect file"
        self.say(
            Level.PROBLEM,
            "dialect",
            f"it keeps {what}" + ("" if anything else ", nor does it scrape anything at all"),
            f"let it scrape the proxies of the mesh{elsewhere}{own}",
        )

    async def _kept(self, counters: Mapping[str, str]) -> list[str]:
        """The dialects of which the store has any series: those that show signs, or else those whose ``counters`` are there."""
        found = await recognise(self._store, self._instant)
        if found:
            return [dialect.name for dialect in found]
        # A dialect of one's own is no candidate, and need not have signs.
        asked = {f"count({selector(metric, ())})": name for metric, name in counters.items()}
        held = await present(self._store, asked, self._instant)
        return list(dict.fromkeys(name for text, name in asked.items() if text in held))

    async def _examine(self, found: Sequence[Dialect], seen: Sequence[Seen]) -> None:
        names = {name: label for label, name in self._settings.overrides.labels.items()}
        for dialect, held in zip(found, seen, strict=True):
            told, able = examine(self._settings.name, dialect, held.evidence, names)
            self._findings += told
            self._abilities += able
        busiest = [series for held in seen for series in held.busiest]
        rhythm = await listen(self.client, busiest, self._instant)
        self._facts["intervalSeconds"] = rhythm.interval
        if rhythm.interval:
            self._summary.append(f"a sample every {rhythm.interval:g}s")
        least = max(map(needed, found))
        self._findings += rhythm.findings(
            self._settings.name, self._window, self._settings.scrape_interval, least, scraped=self._scrapes
        )
        # Copies are told by totals that never fall, and deltas do.
        totals = [pair for pair in zip(found, seen, strict=True) if _cumulative(pair[0])]
        for dialect, held in totals:
            await self._look_for_copies(dialect, held, rhythm.interval)
        await self._look_for_traps(found, Level.WARNING)

    async def _look_around(self, found: Sequence[Dialect]) -> None:
        """Learn what is good to know, and without which nothing is missing."""
        try:
            self._meshes = await find_meshes(self._store, found, self._instant)
            self._namespaces = await find_namespaces(self._store, found, self._instant)
        except BackendError as error:
            logger.info("%s, asked for versions and namespaces", error.message)

    async def _look_for_copies(self, dialect: Dialect, held: Seen, interval: float) -> None:
        copies = await find_copies(self.client, held.busiest, labels_of(dialect), self._instant, interval)
        if copies is not None:
            times = max(2, len(copies.values))
            matchers = [*self._settings.overrides.match, equal(copies.label, copies.values[0])]
            one = ", ".join(f"{matcher.label}{matcher.comparison.value}{quoted(matcher.value)}" for matcher in matchers)
            self.say(
                Level.PROBLEM,
                "replicas",
                f'{dialect.name}: all series are there {times} times, told apart by "{copies.label}": numbers are {times} times too high',
                f"overrides: {{match: '{one}'}}, or let the store deduplicate",
            )

    async def _look_for_traps(self, dialects: Sequence[Dialect], level: Level) -> bool:
        """Say which traps of some dialects the store has; whether it has any."""
        asked = {_caught(trap): (dialect, trap) for dialect in dialects for trap in dialect.traps}
        caught = await present(self._store, asked, self._instant)
        for dialect, trap in (asked[text] for text in asked if text in caught):
            what, _, advice = trap.text.partition("; ")
            self.say(level, "trap", f"{dialect.name}: {what}", advice)
        return bool(caught)


def _caught(trap: Trap) -> str:
    """PromQL that has a result where the trap is sprung."""
    signs = filter(None, (trap.sign, trap.absent))
    return " unless ".join(f"count({selector(sign.metric, sign.matchers)})" for sign in signs)


def _cumulative(dialect: Dialect) -> bool:
    return all(view.temporality is Temporality.CUMULATIVE for view in dialect.views)


def _series_of(dialect: Dialect) -> tuple[str, ...]:
    """Selectors of everything a dialect counts."""
    return tuple(dict.fromkeys(selector(metric, view.match) for view in dialect.views for metric in view.counters))


def _alike(one: Dialect, other: Dialect) -> bool:
    """Whether two dialects count by some of the same metrics."""
    counters = {metric for view in one.views for metric in view.counters}
    return any(metric in counters for view in other.views for metric in view.counters)


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: "istio, linkerd and 3 more"."""
    first, rest = names[:_MOST_NAMED], names[_MOST_NAMED:]
    named = [*first, f"{len(rest)} more"] if rest else first
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
