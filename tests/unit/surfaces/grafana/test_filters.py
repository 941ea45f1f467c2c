"""Ad hoc filters, and the choices that variables make: what each of their forms leaves of the rows there are."""

from __future__ import annotations

from typing import Any

import pytest

from apiservice.surfaces.grafana.choice import parse_choice
from metrics_api import BadQuery, ResourceRef
from tests.unit.surfaces.grafana.town import Town, grafana, post, query, rows

ALL = ["api", "db", "web", "web.v2"]


async def names(target: str, *filters: tuple[str, str, Any], several: Any = None) -> list[str]:
    given = [{"key": key, "operator": operator, "value": value} for key, operator, value in filters]
    if several is not None:
        given[-1]["values"] = several
    async with grafana() as session:
        (frame,) = await post(session, "query", query({"target": target}, filters=given))
    return sorted(name for (name,) in rows(frame, "name"))


@pytest.mark.parametrize(
    ("filter_", "left"),
    [
        (("namespace", "=", "shop"), ["api", "web"]),
        (("namespace", "!=", "shop"), ["db", "web.v2"]),
        (("namespace", "=~", "sh.p|nothing"), ["api", "web"]),
        (("namespace", "!~", "s.*"), ["db", "web.v2"]),
        (("name", "=", "web"), ["web"]),
        (("name", "=~", "web.*"), ["web", "web.v2"]),
        (("name", "=~", "we"), []),
        (("kind", "=", "deployments"), ["api", "web", "web.v2"]),
        (("kind", "!=", "Deployment"), ["db"]),
        (("cluster", "=", ""), ALL),
        (("cluster", "=", "west"), []),
        (("peer", "=", ""), ALL),
        (("peer", "=", "api"), []),
        (("requests_per_second", ">", "1007"), ["api", "web"]),
        (("requests_per_second", "<", 1010), ["db", "web.v2"]),
        (("failure_ratio", "=", "0"), ["db", "web", "web.v2"]),
        (("failure_ratio", "!=", "0"), ["api"]),
        (("p99_response_latency", ">", "0.1"), ["web"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
async def test_a_filter_leaves_the_rows_it_is_true_of(filter_: tuple[str, str, Any], left: list[str]):
    assert await names("golden_metrics", filter_) == left


@pytest.mark.parametrize("operator", ["=", "!=", "<", ">"])
async def test_what_is_unknown_is_compared_with_nothing(operator: str):
    idle = ResourceRef("Deployment", "shop", "idle")
    filters = [{"key": "success_rate", "operator": operator, "value": "0.5"}]
    # It has no requests at all, so nobody knows how many of them succeed.
    async with grafana(Town(rates={idle: -1_000.0})) as session:
        (frame,) = await post(session, "query", query({"target": "golden_metrics"}))
        assert rows(frame, "name", "requests_per_second", "success_rate") == [("idle", 0.0, None)]
        (frame,) = await post(session, "query", query({"target": "golden_metrics"}, filters=filters))
        assert rows(frame, "name") == []


async def test_all_filters_hold():
    assert await names("golden_metrics", ("namespace", "=", "shop"), ("name", "!=", "web")) == ["api"]
    assert await names("golden_metrics", ("namespace", "=", "shop"), ("namespace", "=", "data")) == []


async def test_one_of_several_is_a_filter_of_today():
    assert await names("golden_metrics", ("name", "=|", ""), several=["web", "db"]) == ["db", "web"]
    assert await names("golden_metrics", ("name", "!=|", ""), several=["web", "db"]) == ["api", "web.v2"]


@pytest.mark.parametrize(
    ("filter_", "left"),
    [
        (("direction", "=", "to"), ["api", "web", "web", "web.v2"]),
        (("direction", "!=", "to"), ["api", "api", "db"]),
        (("peer", "=", "api"), ["db", "web", "web.v2"]),
        (("peer", "=~", r".*\.example\.com"), ["web"]),
        (("peer_kind", "=", "statefulsets"), ["api"]),
        (("peer_namespace", "=", "shop"), ["api", "db", "web", "web.v2"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_edges_are_filtered_by_their_peers(filter_: tuple[str, str, Any], left: list[str]):
    assert await names("edges", filter_) == left


async def test_a_filter_of_numbers_leaves_gaps_in_a_series():
    filters = [{"key": "requests_per_second", "operator": ">", "value": "1000"}]
    async with grafana() as session:
        (frame,) = await post(
            session, "query", query({"target": "rps", "payload": {"name": "web", "namespace": "shop"}}, filters=filters)
        )
    assert [value is None for value in frame["fields"][1]["values"]] == [True] * 8 + [False] * 2


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        ("web", ["web"]),
        ("web.v2", ["web.v2"]),
        ("web\\.v2", ["web.v2"]),
        ("(web|api)", ["web", "api"]),
        ("web|api", ["web", "api"]),
        ("(web\\.v2|pay\\.example\\.com)", ["web.v2", "pay.example.com"]),
        ("{web,api}", ["web", "api"]),
        ("web, api", ["web", "api"]),
        (["web", "(api|db)"], ["web", "api", "db"]),
        (["web", ""], ["web"]),
        ("web@west", ["web@west"]),
        ("eu\\/pay", ["eu/pay"]),
        (8080, ["8080"]),
    ],
    ids=str,
)
def test_names_are_read_in_every_form_of_a_variable(given: Any, listed: list[str]):
    choice = parse_choice(given, "name")
    assert choice.names == set(listed)
    assert [name for name in (*listed, "other", "webxv2") if not choice.has(name)] == ["other", "webxv2"]


@pytest.mark.parametrize("given", [None, "", ".*", ".+", "*", "$__all", "All", [], ["$__all"], [""], [None]], ids=str)
def test_everything_is_chosen_by_nothing(given: Any):
    choice = parse_choice(given, "name")
    assert (choice.everything, choice.names, choice.only, choice.has("web")) == (True, None, None, True)


def test_a_pattern_is_no_list_of_names():
    choice = parse_choice(["web-.*", "api"], "name")
    assert (choice.everything, choice.names, choice.only) == (False, None, None)
    assert [choice.has(name) for name in ("web-1", "api", "web", "xapi")] == [True, True, False, False]


@pytest.mark.parametrize("given", [True, {"a": 1}, 1.5, [["web"]], "${workload}", "[[workload]]", "(a", "a\\"], ids=str)
def test_what_is_no_choice_is_refused(given: Any):
    with pytest.raises(BadQuery, match=r"^name"):
        parse_choice(given, "name")
