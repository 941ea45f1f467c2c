"""Annotations of older data sources: each stretch of time out of bounds is marked once, with what was worst in it."""

from __future__ import annotations

from typing import Any

from metrics_api import ResourceRef, timestamp
from tests.unit.surfaces.grafana.town import BASE, NOW, Town, grafana, post, rate


async def marks(text: str, town: Town | None = None, scope: str = "shop") -> list[dict[str, Any]]:
    """Those of the ten minutes up to now, by instants that are 30 seconds apart."""
    between = {"from": timestamp(NOW - 600), "to": timestamp(NOW)}
    async with grafana(town) as session:
        found: list[dict[str, Any]] = await post(
            session, "annotations", {"annotation": {"query": text}, "range": between}, scope=scope
        )
        return found


def stretch(mark: dict[str, Any]) -> tuple[int, int]:
    return mark["time"] // 1_000 - NOW, mark["timeEnd"] // 1_000 - NOW


async def test_the_worst_below_a_bound_is_the_least():
    (mark,) = await marks("rps?name=web&below=1000")
    assert stretch(mark) == (-580, -130)
    assert mark["text"] == f"requests_per_second down to {rate(20, NOW - 580):.6g}"


async def test_what_is_unknown_ends_a_stretch():
    first, second = await marks("rps?name=web&above=0", Town(silence=range(NOW - 400, NOW - 200)))
    assert (stretch(first), stretch(second)) == ((-580, -430), (-190, -10))
    assert first["text"] == f"requests_per_second up to {rate(20, NOW - 430):.6g}"


async def test_every_series_has_marks_of_its_own():
    found = await marks("failure_ratio?above=0.05&direction=from")
    assert [(mark["title"], stretch(mark)) for mark in found] == [
        ("Failure ratio: web → api", (-580, -10)),
        ("Failure ratio: web.v2 → api", (-580, -10)),
    ]


async def test_no_request_goes_uncounted_between_the_instants_of_a_long_range():
    town = Town()
    async with grafana(town) as session:
        body = {"annotation": {"query": "rps?name=web&namespace=shop&above=0"}, "range": {"from": "now-1d", "to": "now"}}
        assert len(await post(session, "annotations", body)) == 1
    ((asked, span),) = town.asked
    assert span is not None
    assert asked.window.seconds == span.step == 435


async def test_within_its_bounds_nothing_is_marked():
    assert await marks("rps?above=2000") == []
    assert await marks("rps?above=0&below=2000&name=nobody") == []


async def test_of_many_marks_the_first_are_told():
    many = {ResourceRef("Deployment", "shop", f"web-{number}"): 1.0 for number in range(1_001)}
    body = {"annotation": {"query": "rps?above=0"}, "range": {"from": timestamp(NOW - 60), "to": timestamp(NOW)}}
    async with (
        grafana(Town(rates=many)) as session,
        session.post(f"{BASE}/namespaces/shop/grafana/annotations", json=body) as response,
    ):
        assert len(await response.json()) == 1_000
        assert "these are the first 1000 stretches of time" in response.headers["Warning"]
