"""What is known of how sources have been outlives a change of the configuration that is about others, and ends with the source."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from apiservice.federation.fanout import Fanout
from apiservice.federation.fanouts import Federation
from apiservice.objects import StandaloneObjects
from apiservice.reloading import CurrentSources
from apiservice.sources.health import SourceState
from apiservice.telemetry import Telemetry
from metrics_api import Answer, BackendUnavailable, Source, Terms, TrafficError, TrafficQuery
from tests.unit.reloading.sources import Noted, count, source

CIRCUIT = "trafficmetrics_source_circuit_open"
UP = "trafficmetrics_source_up"
REQUESTS = "trafficmetrics_source_requests_total"


class Failing(Noted):
    """A source that answers nothing while it is down."""

    down = True

    async def answer(self, query: TrafficQuery) -> Answer:
        answer = await super().answer(query)
        if self.down:
            raise BackendUnavailable(self.name, "down")
        return answer


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry("0.1.0")


def opened(telemetry: Telemetry, *sources: Source):
    """The sources in force, which are tried again after a tenth of a second."""
    objects = StandaloneObjects("Deployment")
    return CurrentSources.opened(
        sources,
        lambda members: Federation(members, "", lambda each: Fanout(each, telemetry.sources, 0.2), telemetry.sources),
        lambda federation: federation.service(objects, objects),
        (telemetry,),
    )


async def fail(current: CurrentSources, times: int = 3, first: int = 100) -> None:
    for instant in range(first, first + times):
        with suppress(TrafficError):
            await count(current, instant)


def told(telemetry: Telemetry, name: str, of: str = "mesh", **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, {"source": of, **labels})


@pytest.mark.parametrize(
    "terms",
    [
        pytest.param(Terms(), id="as before"),
        pytest.param(Terms(namespaces=("shop",)), id="other namespaces"),
        pytest.param(Terms(hedge_after=3), id="asked twice"),
        pytest.param(Terms(cluster="west"), id="another cluster"),
    ],
)
async def test_a_source_that_is_down_is_still_known_to_be_when_others_come(telemetry: Telemetry, terms: Terms) -> None:
    async with opened(telemetry, source(Failing("mesh"))) as current:
        await fail(current)
        health, trouble = current.health("mesh"), current.trouble("mesh")
        assert (health.state, trouble) == (SourceState.OPEN, 'source "mesh": down')
        await current.take([source(Failing("mesh"), terms=terms), source(Noted("edge"))])
        assert (current.health("mesh").since, current.trouble("mesh")) == (health.since, trouble)
        assert current.health("mesh").state is SourceState.OPEN
        assert (told(telemetry, CIRCUIT), told(telemetry, CIRCUIT, "edge"), told(telemetry, UP)) == (1, 0, 0)


async def test_a_circuit_that_outlived_a_change_closes_when_the_source_is_well(telemetry: Telemetry) -> None:
    mesh = Failing("mesh")
    async with opened(telemetry, source(mesh)) as current:
        await fail(current)
        await current.take([source(Failing("mesh")), source(Noted("edge"))])
        await current.take([source(Failing("mesh"))])
        mesh.down = False
        await asyncio.sleep(0.15)
        assert await count(current, 300) == 1
        assert (told(telemetry, CIRCUIT), told(telemetry, UP)) == (0, 1)
        assert (current.health("mesh").state, current.trouble("mesh")) == (SourceState.OK, None)


async def test_what_fails_of_those_who_asked_before_a_change_counts_for_those_who_ask_after(telemetry: Telemetry) -> None:
    mesh = Failing("mesh")
    async with opened(telemetry, source(mesh)) as current:
        mesh.gate.clear()
        asked = [asyncio.ensure_future(count(current, instant)) for instant in (100, 101, 102)]
        await mesh.asked.wait()
        taking = asyncio.ensure_future(current.take([source(Failing("mesh")), source(Noted("edge"))]))
        await asyncio.sleep(0.01)
        mesh.gate.set()
        await asyncio.gather(*asked, return_exceptions=True)
        await taking
        assert current.health("mesh").state is SourceState.OPEN
        assert told(telemetry, CIRCUIT) == 1


async def test_the_probe_of_a_source_that_stays_goes_on(telemetry: Telemetry) -> None:
    mesh = Failing("mesh")
    async with opened(telemetry, source(mesh)) as current:
        await fail(current)
        await asyncio.sleep(0.15)
        mesh.gate.clear()
        await fail(current, 1, 200)
        await current.take([source(Failing("mesh")), source(Noted("edge"))])
        mesh.down = False
        mesh.gate.set()
        await asyncio.sleep(0.01)
        assert (current.health("mesh").state, told(telemetry, CIRCUIT)) == (SourceState.OK, 0)


async def test_a_source_by_the_name_of_another_begins_anew(telemetry: Telemetry) -> None:
    async with opened(telemetry, source(Failing("mesh"), "one")) as current:
        await fail(current)
        await current.take([source(Noted("mesh", 2), "two")])
        assert (current.health("mesh").state, current.trouble("mesh")) == (SourceState.UNKNOWN, None)
        assert told(telemetry, CIRCUIT) == 0
        assert await count(current, 200) == 2


async def test_what_is_left_of_a_source_says_nothing_of_the_one_that_has_its_name(telemetry: Telemetry) -> None:
    old = Failing("mesh")
    async with opened(telemetry, source(old, "one")) as current:
        old.gate.clear()
        asked = [asyncio.ensure_future(count(current, instant)) for instant in (100, 101, 102)]
        await old.asked.wait()
        taking = asyncio.ensure_future(current.take([source(Noted("mesh", 2), "two")]))
        await asyncio.sleep(0.01)
        assert await count(current, 200) == 2
        old.gate.set()
        await asyncio.gather(*asked, return_exceptions=True)
        await taking
        assert (told(telemetry, CIRCUIT), told(telemetry, UP)) == (0, 1)
        assert told(telemetry, REQUESTS, code="BackendUnavailable") is None


async def test_nothing_is_told_of_a_source_that_is_gone_and_still_asked(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apiservice.reloading.current._FAREWELL", 0.01)
    old = Failing("mesh")
    async with opened(telemetry, source(old)) as current:
        old.gate.clear()
        asked = [asyncio.ensure_future(count(current, instant)) for instant in (100, 101, 102)]
        await old.asked.wait()
        await current.take([source(Noted("edge"))])
        old.gate.set()
        await asyncio.gather(*asked, return_exceptions=True)
        assert [told(telemetry, name) for name in (CIRCUIT, UP)] == [None, None]


async def test_other_terms_are_those_of_questions_from_then_on(telemetry: Telemetry) -> None:
    slow = replace(source(Noted("mesh")), terms=Terms(hedge_after=0.01))
    async with opened(telemetry, source(Noted("mesh"))) as current:
        mesh = current.sources[0].backend
        assert isinstance(mesh, Noted)
        await current.take([slow])
        mesh.gate.clear()
        asked = asyncio.ensure_future(count(current))
        async with asyncio.timeout(5):
            while not told(telemetry, "trafficmetrics_source_hedges_total"):  # noqa: ASYNC110 - a counter tells nobody
                await asyncio.sleep(0.01)
        mesh.gate.set()
        assert await asked == 1
