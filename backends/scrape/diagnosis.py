"""The examination of proxies that are scraped directly: does each answer, in time, and does it expose what the dialect reads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from backends.dialects import Dialect, candidates
from backends.dialects.findings import examine
from backends.dialects.releases import mesh_of
from backends.scrape.fetch import Fetcher
from backends.scrape.inspection import Lens, Look, OneSeries, evidence_of, look_at, namespaces_in, shows, versions_in
from backends.scrape.serverinfo import envoy_versions
from backends.scrape.settings import ScrapeSettings
from backends.scrape.targets import Target, TargetsFile
from backends.scrape.vocabulary import Vocabulary
from metrics_api import BadConfiguration, Window, format_duration
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level, Mesh

__all__ = ["diagnose"]

_TIME = 8.0
"""Seconds for all scrapes. What did not answer by then counts as not answering."""

_MOST_TARGETS = 200
"""Targets looked at. Of more, every so many-th is: what is wrong is rarely wrong with one of hundreds alone."""

_MOST_NAMED = 3
_MOST_SERIES = 50_000
"""Series looked at label by label."""

_LEAST, _ENOUGH = 2, 4
_ENVOY = "Envoy"


async def diagnose(settings: ScrapeSettings, window: Window) -> Diagnosis:
    """Scrape the targets of ``settings`` once and examine what they show for questions about ``window``. Nothing is raised."""
    name = settings.name
    facts: dict[str, str | float] = {
        "type": "scrape",
        "configuredDialect": settings.dialect.name,
        "intervalSeconds": settings.interval,
    }
    findings: list[Finding] = list(_rhythm(settings, window))
    try:
        targets = await asyncio.to_thread(_targets, settings)
    except BadConfiguration as error:
        findings.insert(0, Finding(Level.PROBLEM, name, "targets", error.problems[0], "correct targetsFile"))
        return Diagnosis(name, "scraping nothing", facts, tuple(findings))
    if not targets:
        nothing = f'it has no targets: "{settings.targets_file}" lists none'
        findings.insert(0, Finding(Level.PROBLEM, name, "targets", nothing, "is what writes the file running?"))
        return Diagnosis(name, "scraping nothing", facts, tuple(findings))
    chosen = targets[:: -(-len(targets) // _MOST_TARGETS)]
    looks, envoys = await _look(settings, chosen)
    told, able = await asyncio.to_thread(_told, settings, looks)
    meshes, namespaces = await asyncio.to_thread(_around, settings.dialect, looks, envoys) if able else ((), None)
    answered = [look for look in looks if not look.failure]
    slowest = max((look.seconds for look in answered), default=0.0)
    facts |= {
        "targets": len(targets),
        "targetsAsked": len(chosen),
        "targetsAnswering": len(answered),
        "slowestSeconds": round(slowest, 3),
    }
    summary = f"{len(answered)} of {len(chosen)} targets answer, the slowest in {1000 * slowest:.0f} ms; {settings.dialect.name}"
    if len(chosen) < len(targets):
        summary += f"; {len(targets)} targets in all, of which these are a sample"
    summary += f"; scraped every {settings.interval:g}s"
    return Diagnosis(name, summary, facts, (*findings, *told), able, meshes, namespaces)


def _targets(settings: ScrapeSettings) -> list[Target]:
    listed: Iterable[Target] = ()
    if settings.targets_file:
        listed = TargetsFile(settings.targets_file, settings.path, settings.scheme).read()
    return list(dict.fromkeys((*settings.targets, *listed)))


async def _look(settings: ScrapeSettings, targets: Sequence[Target]) -> tuple[list[Look], tuple[str, ...]]:
    """One look at each target, within the time there is, and which versions of Envoy those that answer say they are."""
    quick = replace(settings, timeout=min(settings.timeout, _TIME))
    lens = Lens.of((settings.dialect, *candidates()))
    slots = asyncio.Semaphore(settings.concurrency)

    async def look(fetcher: Fetcher, target: Target) -> Look:
        try:
            async with asyncio.timeout(_TIME), slots:
                return await look_at(fetcher, target, quick, lens)
        except TimeoutError:
            return Look(target, failure=f"no answer within {_TIME:g}s")

    async with Fetcher(quick) as fetcher:
        looks = list(await asyncio.gather(*(look(fetcher, target) for target in targets)))
        return looks, await envoy_versions(fetcher, (look.target for look in looks if not look.failure))


def _around(dialect: Dialect, looks: Sequence[Look], envoys: Iterable[str]) -> tuple[tuple[Mesh, ...], frozenset[str] | None]:
    """What is good to know beside: the mesh with its version, or else that of the Envoys it is made of; and its namespaces."""
    series = [one for look in looks for one in look.series]
    mesh = mesh_of(dialect, versions_in(dialect, series))
    if not mesh.versions:
        mesh = mesh_of(dialect, envoys, "" if dialect.mesh == _ENVOY else _ENVOY)
    return (mesh,), namespaces_in(dialect, series)


def _told(settings: ScrapeSettings, looks: Sequence[Look]) -> tuple[list[Finding], tuple[Ability, ...]]:
    """What the looks tell of the targets and of what they expose."""
    findings = [*_failing(settings, looks), *_slow(settings, looks), *_twice(settings, looks)]
    answered = [look for look in looks if not look.failure]
    if not answered:
        return findings, ()
    foreign = [look for look in answered if not _speaks(settings.dialect, look.series)]
    findings += _foreign(settings, foreign, len(answered))
    series = [one for look in answered for one in look.series]
    if len(foreign) == len(answered):
        return findings, ()
    evidence = evidence_of(settings.dialect, series[:: -(-len(series) // _MOST_SERIES)])
    names = {name: label for label, name in settings.overrides.labels.items()}
    told, able = examine(settings.name, settings.dialect, evidence, names)
    kept = Vocabulary.of(settings.dialect).metrics
    shown = sum(size for look in answered for name, size in look.sizes.items() if name in kept)
    return [*findings, *told, *_traps(settings, series), *_limit(settings, shown)], able


def _speaks(dialect: Dialect, series: Sequence[OneSeries]) -> bool:
    counters = {metric for view in dialect.views for metric in view.counters}
    if not any(name in counters for name, _ in series):
        return False
    return not dialect.signs or any(shows(sign, series) for sign in dialect.signs)


def _failing(settings: ScrapeSettings, looks: Sequence[Look]) -> Iterator[Finding]:
    failing = [look for look in looks if look.failure]
    for look in failing[:_MOST_NAMED]:
        what, _, advice = look.failure.partition("; ")
        hint = advice or "is the proxy running, and are port and path those of its metrics?"
        yield Finding(Level.PROBLEM, settings.name, "targets", f"{look.target.address} cannot be scraped: {what}", hint)
    if len(failing) > _MOST_NAMED:
        more = f"{len(failing) - _MOST_NAMED} more of {len(looks)} targets cannot be scraped"
        yield Finding(Level.PROBLEM, settings.name, "targets", more, "the log of the server names each")


def _slow(settings: ScrapeSettings, looks: Sequence[Look]) -> Iterator[Finding]:
    slow = [look for look in looks if not look.failure and look.seconds > settings.interval / 2]
    if slow:
        worst = max(slow, key=lambda look: look.seconds)
        what = f"{worst.target.address} takes {worst.seconds:.1f}s to answer, of the {settings.interval:g}s between two scrapes"
        yield Finding(Level.WARNING, settings.name, "targets", what, "a longer interval, or a path with a filter that exposes less")


def _twice(settings: ScrapeSettings, looks: Sequence[Look]) -> Iterator[Finding]:
    urls = [look.target.url for look in looks]
    for url in dict.fromkeys(url for url in urls if urls.count(url) > 1):
        what = f"{url} is listed {urls.count(url)} times with other labels: its traffic counts {urls.count(url)} times"
        yield Finding(Level.PROBLEM, settings.name, "replicas", what, "list each target once")


def _foreign(settings: ScrapeSettings, foreign: Sequence[Look], answered: int) -> Iterator[Finding]:
    """About targets that show nothing of the dialect: what they show instead."""
    if not foreign:
        return
    name = settings.dialect.name
    others: dict[str, None] = {}
    for look in foreign:
        others |= {other.name: None for other in candidates() if other.name != name and _speaks(other, look.series)}
    who = foreign[0].target.address if len(foreign) == 1 else f"{len(foreign)} of {answered} targets"
    verb = "shows" if len(foreign) == 1 else "show"
    everywhere = len(foreign) == answered
    if others:
        what = f"dialect: {name} is configured, and {who} {verb} series of {' and '.join(others)}"
        level = Level.PROBLEM if everywhere else Level.WARNING
        yield Finding(level, settings.name, "dialect", what, f"dialect: {next(iter(others))}")
    else:
        idle = f"{who} {verb} no series of {name}"
        advice = f"is {foreign[0].target.path} the right path? a proxy that had no traffic yet shows none either"
        yield Finding(Level.PROBLEM if everywhere else Level.OK, settings.name, "dialect", idle, advice)


def _traps(settings: ScrapeSettings, series: Sequence[OneSeries]) -> Iterator[Finding]:
    for trap in settings.dialect.traps:
        if shows(trap.sign, series) and not (trap.absent is not None and shows(trap.absent, series)):
            what, _, advice = trap.text.partition("; ")
            yield Finding(Level.WARNING, settings.name, "trap", f"{settings.dialect.name}: {what}", advice)


def _limit(settings: ScrapeSettings, count: int) -> Iterator[Finding]:
    if count > settings.series_limit:
        what = f"the targets show {count} series, and seriesLimit keeps {settings.series_limit}"
        yield Finding(Level.PROBLEM, settings.name, "series", what, "raise seriesLimit, or let the proxies expose less")


def _rhythm(settings: ScrapeSettings, window: Window) -> Iterator[Finding]:
    """Whether the window holds enough scrapes, and history is long enough for it."""
    every = f"{settings.interval:g}s"
    advice = f"metrics.window: {format_duration(int(-(-_ENOUGH * settings.interval // 1)))}, or a shorter interval"
    if window.seconds < _LEAST * settings.interval:
        what = f"a target is scraped every {every}, and a window of {window} does not always hold the two scrapes that numbers need"
        yield Finding(Level.PROBLEM, settings.name, "interval", what, advice)
    elif window.seconds < _ENOUGH * settings.interval:
        what = f"a target is scraped every {every}: a window of {window} has no numbers as soon as a scrape fails"
        yield Finding(Level.WARNING, settings.name, "interval", what, advice)
    if window.seconds > settings.longest_window:
        what = f"it keeps {format_duration(settings.longest_window)} of history, less than a window of {window}"
        yield Finding(Level.PROBLEM, settings.name, "interval", what, f"longestWindow: {window}")
