"""Sources that take the place of others: nobody who asks notices, and nothing is left open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

import pytest

from apiservice.reloading import CurrentSources
from metrics_api import Source, Terms
from tests.unit.reloading.sources import Noted, count, opened, source


class Notes:
    """A follower that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def follow(self, sources: Sequence[Source]) -> None:
        self.told.append([each.name for each in sources])

    def forget(self, name: str) -> None:
        self.told.append(name)


async def test_sources_are_open_while_they_are_in_force():
    old, new = Noted("mesh"), Noted("mesh", 2)
    async with opened(source(old, "one")) as current:
        assert old.events == ["opened"]
        assert await count(current) == 1
        changes = await current.take([source(new, "two")])
        assert (old.events, new.events) == (["opened", "asked", "closed"], ["opened"])
        assert await count(current) == 2
    assert new.events == ["opened", "asked", "closed"]
    assert str(changes) == "changed: mesh"


async def test_a_source_that_is_written_as_before_goes_on():
    mesh, edge = Noted("mesh"), Noted("edge")
    again = Noted("mesh")
    async with opened(source(mesh)) as current:
        changes = await current.take([source(edge), source(again)])
        assert (mesh.events, edge.events, again.events) == (["opened"], ["opened"], [])
        assert [each.backend for each in current.sources] == [edge, mesh]
    assert (mesh.events, again.events) == (["opened", "closed"], [])
    assert str(changes) == "added: edge"


async def test_other_terms_do_not_open_a_source_anew():
    mesh = Noted("mesh")
    async with opened(source(mesh, "same")) as current:
        changes = await current.take([source(Noted("mesh"), "same", Terms(namespaces=("team-*",)))])
        assert current.sources[0].terms.namespaces == ("team-*",)
        assert mesh.events == ["opened"]
    assert str(changes) == "changed: mesh"


async def test_of_what_is_written_nowhere_nobody_knows_whether_it_is_the_same():
    mesh, again = Noted("mesh"), Noted("mesh")
    async with opened(Source(mesh)) as current:
        await current.take([Source(again)])
        assert (mesh.events, again.events) == (["opened", "closed"], ["opened"])


async def replaced_while_asked(
    current: CurrentSources, old: Noted, new: Noted
) -> tuple[asyncio.Future[int], asyncio.Future[object]]:
    """A question that ``old`` goes on keeping open, and what puts ``new`` in its place, both under way."""
    old.gate.clear()
    asked = asyncio.ensure_future(count(current))
    await old.asked.wait()
    taking = asyncio.ensure_future(current.take([source(new, "two")]))
    await asyncio.sleep(0.01)
    return asked, taking


async def test_what_is_being_asked_is_answered_by_those_who_were_asked():
    old, new = Noted("mesh"), Noted("mesh", 2)
    async with opened(source(old, "one")) as current:
        asked, taking = await replaced_while_asked(current, old, new)
        # The new one answers already, and the old one is not closed under its asker.
        assert await count(current, 200) == 2
        assert "closed" not in old.events
        assert not taking.done()
        old.gate.set()
        assert await asked == 1
        await taking
        assert old.events[-1] == "closed"


async def test_one_that_cannot_be_opened_leaves_all_as_it_was():
    mesh, good, bad = Noted("mesh"), Noted("good"), Noted("bad", broken=True)
    async with opened(source(mesh)) as current:
        with pytest.raises(OSError, match="no"):
            await current.take([source(good), source(bad)])
        assert [each.name for each in current.sources] == ["mesh"]
        assert (good.events, bad.events) == (["opened", "closed"], [])
        assert await count(current) == 1
    assert mesh.events == ["opened", "asked", "closed"]


async def test_one_that_cannot_be_closed_is_told_of_and_does_not_keep_others_open(caplog: pytest.LogCaptureFixture):
    class Stubborn(Noted):
        async def __aexit__(self, *_: object) -> None:
            raise OSError("stuck")

    other, stubborn = Noted("other"), Stubborn("stubborn")
    async with opened(source(other), source(stubborn)) as current:
        await current.take([source(Noted("mesh"))])
    assert other.events == ["opened", "closed"]
    assert 'source "stubborn" could not be closed' in caplog.text


async def test_the_end_does_not_wait_for_sources_that_leave():
    old, new = Noted("mesh"), Noted("mesh", 2)
    async with opened(source(old, "one")) as current:
        asked, taking = await replaced_while_asked(current, old, new)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        assert old.events[-1] == "closed"
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    assert new.events == ["opened", "closed"]


async def test_a_question_that_never_ends_does_not_keep_a_source_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("apiservice.reloading.current._FAREWELL", 0.01)
    old = Noted("mesh")
    async with opened(source(old, "one")) as current:
        old.gate.clear()
        asked = asyncio.ensure_future(count(current))
        await old.asked.wait()
        async with asyncio.timeout(5):
            await current.take([source(Noted("mesh"), "two")])
        assert old.events[-1] == "closed"
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    assert "are closed while they are being asked" in caplog.text


async def test_one_that_never_closes_does_not_keep_others_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("apiservice.reloading.current._CLOSING", 0.01)

    class Hanging(Noted):
        async def __aexit__(self, *_: object) -> None:
            await asyncio.Event().wait()

    other = Noted("other")
    async with opened(source(other), source(Hanging("hanging"))) as current:
        async with asyncio.timeout(5):
            await current.take([source(Noted("mesh"))])
    assert other.events == ["opened", "closed"]
    assert 'source "hanging" could not be closed' in caplog.text


async def test_sources_are_opened_at_the_same_time():
    together = asyncio.Barrier(3)

    class Slow(Noted):
        async def __aenter__(self) -> Self:
            await together.wait()
            return await super().__aenter__()

    async with asyncio.timeout(5):
        async with opened(*(source(Slow(name)) for name in ("a", "b", "c"))) as current:
            assert len(current.sources) == 3


async def test_followers_are_told_what_is_in_force_and_what_is_gone():
    notes = Notes()
    async with opened(source(Noted("mesh")), source(Noted("edge")), followers=[notes]) as current:
        await current.take([source(Noted("mesh")), source(Noted("new"))])
    assert notes.told == [["mesh", "edge"], ["mesh", "new"], "edge"]


async def test_trouble_is_that_of_the_sources_in_force():
    async with opened(source(Noted("mesh"))) as current:
        assert current.trouble("mesh") is None
        await current.take([source(Noted("edge"))])
        assert current.health("edge").since is None
        with pytest.raises(KeyError):
            current.trouble("mesh")
