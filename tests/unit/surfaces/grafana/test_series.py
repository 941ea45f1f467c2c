"""Time series: the numbers of every instant, with the window that fits, null where nothing is known, and names that tell them apart."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from metrics_api import ResourceRef, Span
from tests.unit.surfaces.grafana.town import API, NOW, RATES, WEB, Town, columns, grafana, post, query, rate, share


async def panel(*targets: Any, town: Town | None = None, **more: Any) -> list[dict[str, Any]]:
    async with grafana(town) as session:
        frames: list[dict[str, Any]] = await post(session, "query", query(*targets, **more))
        return frames


def series(frame: dict[str, Any]) -> tuple[list[int], list[float | None]]:
    time, value = frame["fields"]
    return [milliseconds // 1_000 for milliseconds in time["values"]], value["values"]


WEB_ALONE = {"namespace": "shop", "kind": "deployments", "name": "web"}
API_ALONE = {**WEB_ALONE, "name": "api"}


@pytest.mark.parametrize(
    ("metric", "expected", "unit"),
    [
        ("requests_per_second", lambda at: rate(10, at), "reqps"),
        ("success_rate", lambda _: 1 - share(API), "percentunit"),
        ("failure_ratio", lambda _: share(API), "percentunit"),
        ("p50_response_latency", lambda _: 0.01, "s"),
        ("p90_response_latency", lambda _: 0.02, "s"),
        ("p99_response_latency", lambda _: 0.1, "s"),
        ("success_count", lambda at: rate(10, at) * 60 * (1 - share(API)), "short"),
        ("failure_count", lambda at: rate(10, at) * 60 * share(API), "short"),
    ],
)
async def test_the_numbers_of_every_instant(metric: str, expected: Any, unit: str):
    (frame,) = await panel({"target": metric, "payload": API_ALONE})
    instants, values = series(frame)
    assert instants == [NOW - 580 + 60 * minute for minute in range(10)]
    assert values == pytest.approx([expected(instant) for instant in instants], abs=1e-6)
    assert frame["fields"][1]["config"]["unit"] == unit


async def test_the_source_is_asked_once_for_the_whole_range():
    town = Town()
    await panel(*({"target": metric, "payload": WEB_ALONE} for metric in ("p50", "p90", "p99", "rps")), town=town)
    spans = {span for _, span in town.asked}
    assert spans == {Span(NOW - 580, NOW - 40, 60)}
    assert len(town.asked) == 1


async def test_what_was_not_observed_is_null_and_never_zero():
    town = Town(born={WEB: NOW - 200})
    (frame,) = await panel({"target": "rps", "payload": WEB_ALONE}, town=town)
    instants, values = series(frame)
    assert [value is None for value in values] == [instant < NOW - 200 for instant in instants]
    assert values[-1] == pytest.approx(rate(20, NOW - 40))


async def test_nothing_at_all_is_a_frame_without_values():
    (frame,) = await panel({"target": "rps", "payload": {**WEB_ALONE, "name": "nobody"}})
    assert (frame["refId"], columns(frame)) == ("A", {"Time": [], "requests_per_second": []})


@pytest.mark.parametrize(
    ("window", "interval", "seconds"),
    [
        ("", 10_000, 30),
        ("auto", 120_000, 120),
        ("2m", 10_000, 120),
        ("$__interval", 0, 0),
        ("500ms", 10_000, 1),
        ("1d", 10_000, 86_400),
    ],
    ids=["default", "a long step", "as asked", "no variable", "less than a second", "a day"],
)
async def test_the_window_is_the_one_that_fits(window: str, interval: int, seconds: int):
    town = Town()
    asked = query({"target": "success_count", "payload": {**WEB_ALONE, "window": window}}, intervalMs=interval)
    async with grafana(town) as session:
        if not seconds:
            status = await post(session, "query", asked, code=400)
            assert '"$__interval" is not a duration' in status["message"]
            return
        (frame,) = await post(session, "query", asked)
    instants, values = series(frame)
    assert {asked.window.seconds for asked, _ in town.asked} == {seconds}
    assert values[-1] == pytest.approx(rate(20, instants[-1]) * seconds)


async def test_a_range_that_ends_in_the_future_ends_now():
    (frame,) = await panel({"target": "rps", "payload": WEB_ALONE}, minutes=20, end=NOW + 600)
    instants, _ = series(frame)
    assert (instants[0], instants[-1]) == (NOW - 580, NOW - 40)


async def test_a_range_in_the_future_has_nothing_to_show():
    town = Town()
    (frame,) = await panel({"target": "rps", "payload": WEB_ALONE}, end=NOW + 6_000, minutes=1, town=town)
    assert (series(frame), town.asked) == (([], []), [])


async def test_a_long_range_takes_a_longer_step_and_is_no_error():
    (frame,) = await panel({"target": "rps", "payload": WEB_ALONE}, minutes=60 * 24 * 30, intervalMs=1_000, maxDataPoints=100_000)
    instants, _ = series(frame)
    assert 900 < len(instants) <= 1_000
    assert {later - earlier for earlier, later in pairwise(instants)} == {2_595}


async def test_many_series_take_a_longer_step_and_it_is_said():
    town = Town(rates={ResourceRef("Deployment", "shop", f"web-{number}"): 1.0 for number in range(100)})
    frames = await panel({"target": "rps", "payload": {"namespace": "shop"}}, minutes=500, town=town)
    assert len(frames) == 100
    assert {len(series(frame)[0]) for frame in frames} == {198}
    (notice,) = frames[0]["meta"]["notices"]
    assert notice["severity"] == "warning"
    assert notice["text"].startswith("there are 100 series, so points are 151s apart instead of 61s:")
    assert [frame for frame in frames[1:] if "notices" in frame["meta"]] == []


async def test_queries_of_one_name_are_not_mixed_up():
    frames = await panel(
        {"refId": "A", "target": "rps", "payload": WEB_ALONE}, {"refId": "A", "target": "rps", "payload": API_ALONE}
    )
    assert [(frame["refId"], frame["name"]) for frame in frames] == [("A", "web"), ("A", "api")]


async def test_edges_are_series_with_their_peers():
    frames = await panel({"target": "rps", "payload": {**API_ALONE, "direction": "both"}})
    assert [frame["fields"][1]["config"]["displayNameFromDS"] for frame in frames] == ["api → db", "web → api", "web.v2 → api"]
    resource = {"namespace": "shop", "kind": "Deployment", "name": "api"}
    assert [frame["fields"][1]["labels"] for frame in frames[:2]] == [
        {**resource, "direction": "to", "peer": "db", "peer_kind": "StatefulSet", "peer_namespace": "data"},
        {**resource, "direction": "from", "peer": "web", "peer_kind": "Deployment", "peer_namespace": "shop"},
    ]
    assert series(frames[0])[1][-1] == pytest.approx(rate(4, NOW - 40))


async def test_a_peer_is_chosen_among_the_edges():
    frames = await panel({"target": "rps", "payload": {"namespace": "shop", "direction": "from", "peer": "(web|nobody)"}})
    assert [frame["name"] for frame in frames] == ["web → api"]


async def test_series_are_named_by_what_tells_them_apart():
    several = {"namespace": "shop", "name": "(web|api)"}
    frames = await panel({"target": "(p50|p99)", "payload": several})
    assert [frame["name"] for frame in frames] == ["api p50", "web p50", "api p99", "web p99"]
    rates = {**RATES, ResourceRef("Deployment", "data", "web"): 2.0, ResourceRef("StatefulSet", "shop", "web"): 3.0}
    frames = await panel({"target": "rps", "payload": {"name": "web"}}, town=Town(rates=rates))
    assert [frame["name"] for frame in frames] == ["web Deployment (data)", "web Deployment (shop)", "web StatefulSet (shop)"]


async def test_the_legend_of_a_query_names_its_series():
    frames = await panel({"target": "rps", "payload": {**WEB_ALONE, "legend": "{{ namespace }}/{{name}}{{gone}}: {{metric}}"}})
    assert [frame["name"] for frame in frames] == ["shop/web: requests_per_second"]


@pytest.mark.parametrize("code", [pytest.param(["shop", "data"], id="JSON"), pytest.param("(shop|data)", id="text")])
async def test_a_variable_with_several_values_is_several_namespaces(code: Any):
    town = Town()
    frames = await panel({"target": "rps", "payload": {"namespace": code}}, town=town)
    assert sorted(frame["name"] for frame in frames) == ["api", "db", "web", "web.v2"]
    assert {asked.namespace for asked, _ in town.asked} == {"shop", "data"}


async def test_warnings_of_the_api_are_notices_said_once():
    town = Town(warnings=('source "aws": is down',))
    async with grafana(town) as session:
        body = query({"target": "rps", "payload": WEB_ALONE}, {"target": "p99", "payload": WEB_ALONE})
        async with session.post("/apis/metrics.smi-spec.io/v1alpha1/grafana/query", json=body) as response:
            frames = await response.json()
            assert response.headers["Warning"] == '299 - "source \\"aws\\": is down"'
    notices = [frame["meta"].get("notices") for frame in frames]
    assert notices == [[{"severity": "warning", "text": 'source "aws": is down'}], None]


async def test_a_word_that_means_nothing_in_a_payload_is_said():
    (frame,) = await panel({"target": "rps", "payload": {**WEB_ALONE, "namspace": "shop", "__from": "1", "from": "now-1h"}})
    (notice,) = frame["meta"]["notices"]
    assert notice["text"].startswith("the payload has namspace, which means nothing here: known are namespace, kind, name")
