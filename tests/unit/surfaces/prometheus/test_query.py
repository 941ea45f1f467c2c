"""Queries at one moment, as Grafana, Flagger, KEDA and Argo Rollouts send them."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from apiservice.surfaces.prometheus.evaluation import number
from metrics_api import ResourceRef
from metrics_api.errors import BackendForgot, BackendTimeout, BackendUnavailable, NotFound, Unsupported
from tests.apiservice.memory import INSTANT, total
from tests.unit.surfaces.prometheus.shop import BASE, HOST, NOW, ROOT, Shop, client, data, failure, values

QUERY = f"{BASE}/api/v1/query"
WEB = 'trafficmetrics_success_ratio{namespace="shop",kind="Deployment",name="web",cluster=""}'


async def ask(shop: TestClient[Any, Any], query: str, path: str = QUERY, **more: str) -> Any:
    return await data(await shop.get(path, params={"query": query, **more}))


async def test_grafana_sees_that_somebody_is_there(shop: TestClient[Any, Any]):
    reply = await shop.post(QUERY, data={"query": "1+1", "time": "4"})
    assert await data(reply) == {"resultType": "scalar", "result": [4, "2"]}
    assert reply.headers["Content-Type"] == "application/json"


async def test_flagger_sees_that_somebody_is_there(shop: TestClient[Any, Any]):
    assert await ask(shop, "vector(1)") == {"resultType": "vector", "result": [{"metric": {}, "value": [NOW, "1"]}]}


async def test_a_workload_is_exactly_one_element(shop: TestClient[Any, Any]):
    assert await ask(shop, WEB) == {
        "resultType": "vector",
        "result": [
            {
                "metric": {"__name__": "trafficmetrics_success_ratio", "namespace": "shop", "kind": "Deployment", "name": "web"},
                "value": [NOW, "0.9"],
            }
        ],
    }


async def test_a_form_in_the_body_is_the_same_as_a_url(shop: TestClient[Any, Any]):
    """client_golang posts first, and gets when that is refused."""
    assert await data(await shop.post(QUERY, data={"query": WEB})) == await ask(shop, WEB)
    assert await data(await shop.post(f"{QUERY}?query=1", data={"query": "2"})) == {"resultType": "scalar", "result": [NOW, "2"]}
    assert (await data(await shop.post(f"{QUERY}?query=1", data=b"query=2", headers={"Content-Type": "text/plain"})))["result"][
        1
    ] == "1"


@pytest.mark.parametrize("time", ["2026-11-21T22:26:43Z", "2026-11-21T22:26:43.2Z", "1795300003.123", "1795300050"])
async def test_now_is_the_latest_there_is_whatever_the_clock_of_the_client(time: str):
    """KEDA writes RFC 3339, Grafana seconds; a client may be a minute ahead. All share one answer."""
    shop = Shop()
    async with client(shop) as session:
        found = await ask(session, WEB, time=time)
        assert [element["value"][1] for element in found["result"]] == ["0.9"]
        assert [question.instant for question in shop.questions] == [None]


async def test_the_past_is_told_as_it_was():
    shop = Shop()
    query = 'trafficmetrics_window_requests{namespace="shop",name="web",outcome="success",cluster=""}'
    async with client(shop) as session:
        found = await ask(session, query, time=f"{INSTANT - 600}.9")
        assert found["result"][0]["value"] == [INSTANT - 600 + 0.9, "400"]
        assert [question.instant for question in shop.questions] == [INSTANT - 600]


@pytest.mark.parametrize(("time", "which"), [(INSTANT + 3600, "in the future"), (-1, "before 1970")])
async def test_a_time_of_which_nothing_is_known_is_empty_and_says_so(shop: TestClient[Any, Any], time: int, which: str):
    document = await (await shop.get(QUERY, params={"query": WEB, "time": str(time)})).json()
    assert document["data"] == {"resultType": "vector", "result": []}
    assert document["warnings"] == [f"the time is {which}, of which nothing is known"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (
            'trafficmetrics_requests_per_second{namespace="shop",cluster=""}',
            {"api": "3.3333333333333335", "cart": "0.6666666666666666", "quiet": "0", "web": "2"},
        ),
        ('trafficmetrics_failure_ratio{cluster="",namespace!="data"}', {"api": "0.1", "cart": "0", "web": "0.1"}),
        ('trafficmetrics_requests_per_second{cluster="west"}', {"web": "0.4"}),
        ('trafficmetrics_response_latency_seconds{name="api",percentile="99"}', {"api": "0.032"}),
        ('trafficmetrics_window_requests{outcome="failure",name=~"web|api",cluster=""}', {"api": "10", "web": "6"}),
        ('trafficmetrics_requests_per_second{kind="StatefulSet"}', {"db": "1.3333333333333333"}),
        ('trafficmetrics_requests_per_second{kind="Pod"}', {"web-1": "1"}),
        ('trafficmetrics_requests_per_second{kind="Namespace"}', {"data": "1.3333333333333333", "shop": "6"}),
        ('trafficmetrics_requests_per_second{kind="Namespace",name="data"}', {"data": "1.3333333333333333"}),
        ('trafficmetrics_requests_per_second{kind="Namespace",name="gone"}', {}),
        ('trafficmetrics_requests_per_second{name!~"[a-w].*"}', {}),
        ('trafficmetrics_success_ratio{name="idle"}', {}),
        ("trafficmetrics_incomplete", {"": "0"}),
        ('{__name__="trafficmetrics_requests_per_second",name="cart"}', {"cart": "0.6666666666666666"}),
    ],
)
async def test_values_are_those_of_the_api(shop: TestClient[Any, Any], query: str, found: dict[str, str]):
    assert values(await ask(shop, query)) == found


async def test_what_is_unknown_is_no_series_and_a_measured_zero_is_one(shop: TestClient[Any, Any]):
    assert (await ask(shop, '{name="idle"}'))["result"] == []
    quiet = await ask(shop, '{name="quiet"}')
    assert [(element["metric"]["__name__"], element["value"][1]) for element in quiet["result"]] == [
        ("trafficmetrics_requests_per_second", "0"),
        ("trafficmetrics_window_requests", "0"),
        ("trafficmetrics_window_requests", "0"),
    ]


async def test_edges_are_series_of_their_own(shop: TestClient[Any, Any]):
    found = await ask(shop, 'trafficmetrics_window_requests{namespace="shop",direction="to",outcome="success"}')
    ends = [
        (element["metric"]["name"], element["metric"].get("peer_kind"), element["metric"]["peer_name"], element["value"][1])
        for element in found["result"]
    ]
    assert ends == [("api", "StatefulSet", "db", "40"), ("web", "Deployment", "api", "90"), ("web", None, HOST, "3")]
    whom = await ask(shop, 'trafficmetrics_requests_per_second{name="api",peer_namespace="shop"}')
    assert [element["metric"]["direction"] for element in whom["result"]] == ["from"]


async def test_totals_never_stand_among_edges_nor_edges_among_totals(shop: TestClient[Any, Any]):
    for query in ('trafficmetrics_success_ratio{peer_name!="api"}', "trafficmetrics_requests_per_second"):
        found = await ask(shop, query)
        assert found["result"]
        assert not [element for element in found["result"] if "direction" in element["metric"]]
    edges = await ask(shop, '{peer_name=~".+"}')
    assert edges["result"]
    assert all("direction" in element["metric"] for element in edges["result"])


async def test_series_say_which_window_was_chosen_by_a_matcher(shop: TestClient[Any, Any]):
    found = await ask(shop, 'trafficmetrics_requests_per_second{namespace="shop",name="cart",window="5m"}')
    assert found["result"][0]["metric"]["window"] == "5m"
    assert found["result"][0]["value"][1] == number(20 / 300)


async def test_the_url_may_name_the_usual_window(shop: TestClient[Any, Any]):
    """Grafana adds "custom query parameters" of a data source to each request."""
    found = await ask(shop, 'trafficmetrics_requests_per_second{namespace="shop",name="cart"}', window="1m")
    assert "window" not in found["result"][0]["metric"]
    assert found["result"][0]["value"][1] == number(20 / 60)
    assert (await failure(await shop.get(QUERY, params={"query": "1", "window": "soon"})))[:2] == (400, "bad_data")
    several = await failure(await shop.get(f"{QUERY}?query=1&window=1m&window=2m"))
    assert several == (400, "bad_data", 'invalid parameter "window": different windows are asked for: 1m0s, 2m0s')


async def test_no_more_than_the_limit(shop: TestClient[Any, Any]):
    reply = await shop.get(QUERY, params={"query": "trafficmetrics_requests_per_second", "limit": "2"})
    document = await reply.json()
    assert (len(document["data"]["result"]), document["warnings"]) == (2, ["results truncated due to limit"])
    assert len((await ask(shop, "trafficmetrics_requests_per_second", limit="0"))["result"]) > 2
    assert (await failure(await shop.get(QUERY, params={"query": "1", "limit": "-1"})))[:2] == (400, "bad_data")


async def test_what_the_api_warns_of_is_told():
    async with client(Shop(warnings=("source a: late", "source a: late"), incomplete=True)) as session:
        document = await (await session.get(QUERY, params={"query": WEB})).json()
        assert document["warnings"] == ["source a: late"]
        assert values(await ask(session, "trafficmetrics_incomplete")) == {"": "1"}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", (400, "bad_data", 'invalid parameter "query": 1:1: parse error: unexpected end of input')),
        ("a b", (400, "bad_data", 'invalid parameter "query": 1:3: parse error: unexpected <b>')),
        ("rate(a[5m])", (422, "execution", "rate() is not evaluated here")),
        ("a * 100", (422, "execution", '"*" with anything but numbers is not evaluated here')),
        ('trafficmetrics_success_ratio{kind="Gizmo",window="1ms"}', (400, "bad_data", 'window "1ms" is not in whole seconds')),
        ('trafficmetrics_success_ratio{direction="sideways"}', (400, "bad_data", 'edge.direction is "to" or "from"')),
        ('trafficmetrics_success_ratio{namespace="a/b"}', (400, "bad_data", 'names hold no "/"')),
    ],
)
async def test_mistakes_are_told_as_prometheus_tells_them(shop: TestClient[Any, Any], query: str, told: tuple[int, str, str]):
    code, word, message = await failure(await shop.get(QUERY, params={"query": query}))
    assert (code, word) == told[:2]
    assert told[2] in message


@pytest.mark.parametrize(("name", "value"), [("time", "yesterday"), ("time", "1e99"), ("timeout", "soon"), ("limit", "x")])
async def test_parameters_are_checked(shop: TestClient[Any, Any], name: str, value: str):
    reply = await shop.post(QUERY, data={"query": "1", name: value})
    code, word, message = await failure(reply)
    assert (code, word) == (400, "bad_data")
    assert message.startswith(f'invalid parameter "{name}": ')


async def test_a_form_that_is_no_text_is_refused(shop: TestClient[Any, Any]):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await failure(await shop.post(QUERY, data=b"query=%ff", headers=headers)))[:2] == (400, "bad_data")
    assert (await failure(await shop.post(QUERY, data=b"\xff=1", headers=headers)))[:2] == (400, "bad_data")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BackendUnavailable("mesh", "it does not answer"), (503, "unavailable", 'source "mesh": it does not answer')),
        (BackendTimeout("mesh", "no answer within 10s"), (503, "timeout", 'source "mesh": no answer within 10s')),
        (Unsupported("no source tells of Jobs"), (422, "execution", "no source tells of Jobs")),
        (TimeoutError(), (503, "timeout", "query timed out: ask for less, or for a shorter time")),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_failures_have_the_types_of_prometheus(error: Exception, told: tuple[int, str, str]):
    async with client(Shop(failure=error)) as session:
        reply = await session.get(QUERY, params={"query": WEB})
        assert await failure(reply) == told
        assert ("Retry-After" in reply.headers) == (told[1] == "unavailable")


@pytest.mark.parametrize(
    ("error", "told"),
    [(NotFound("namespaces", "x"), []), (BackendForgot("mesh", "keeps one hour"), ['source "mesh": keeps one hour'])],
)
async def test_what_is_not_there_has_no_series(error: Exception, told: list[str]):
    async with client(Shop(failure=error)) as session:
        document = await (await session.get(QUERY, params={"query": WEB, "time": str(INSTANT - 9000)})).json()
        assert (document["data"]["result"], document.get("warnings", [])) == ([], told)


@pytest.mark.parametrize("text", ["50ms", "0.05"])
@pytest.mark.parametrize("where", ["params", "data"])
async def test_a_query_takes_no_longer_than_it_may(where: str, text: str):
    shop = Shop(delay=30)
    async with client(shop) as session:
        reply = await session.post(QUERY, **{where: {"query": WEB, "timeout": text}})
        assert (await failure(reply))[:2] == (503, "timeout")
        assert shop.cancelled.is_set()


async def test_what_nobody_foresaw_is_told_by_the_server_as_ever():
    async with client(Shop(failure=ValueError("secret"))) as session:
        reply = await session.get(QUERY, params={"query": WEB})
        assert (reply.status, "secret" in await reply.text()) == (500, False)


@pytest.mark.parametrize(
    ("method", "path", "code", "word"),
    [
        ("GET", "", 404, "not_found"),
        ("GET", "/api/v1", 404, "not_found"),
        ("GET", "/api/v1/targets", 404, "not_found"),
        ("GET", "/query", 404, "not_found"),
        ("GET", "/api/v1/label/name", 404, "not_found"),
        ("GET", "/api/v1/label/a/b/values", 404, "not_found"),
        ("PUT", "/api/v1/query", 405, "bad_data"),
        ("DELETE", "/api/v1/series", 405, "bad_data"),
        ("POST", "/api/v1/metadata", 405, "bad_data"),
        ("POST", "/api/v1/label/name/values", 405, "bad_data"),
    ],
)
async def test_other_paths_and_methods_are_told_apart(shop: TestClient[Any, Any], method: str, path: str, code: int, word: str):
    reply = await shop.request(method, BASE + path)
    assert (await failure(reply))[:2] == (code, word)
    assert ("GET" in reply.headers.get("Allow", "")) == (code == 405)


async def test_paths_of_others_are_left_to_them(shop: TestClient[Any, Any]):
    reply = await shop.get(f"{ROOT}/prometheuses/api/v1/query")
    assert (reply.status, (await reply.json())["kind"]) == (404, "Status")


@pytest.mark.parametrize("path", ["prometheus/api/v1/query", "prometheus/api/v1/label/name/values", "prometheus/metrics"])
async def test_verbs_in_paths_lead_nowhere(shop: TestClient[Any, Any], path: str):
    """kube-apiserver authorises those as another verb."""
    assert (await shop.get(f"{ROOT}/proxy/{path}", params={"query": "1"})).status == 404


async def test_a_large_answer_is_compressed_for_who_asks_for_it():
    rows = tuple(total(ResourceRef("Deployment", "shop", f"deployment-{number}"), 1, 0) for number in range(2_000))
    async with client(Shop(rows=rows)) as session:
        for accepted, coding, query in (
            ("gzip", "gzip", "name!=''"),
            ("gzip", None, "name='deployment-1'"),
            ("identity", None, "name!=''"),
        ):
            params = {"query": f"trafficmetrics_success_ratio{{{query}}}"}
            reply = await session.get(QUERY, params=params, headers={"Accept-Encoding": accepted})
            assert reply.headers.get("Content-Encoding") == coding
            assert len((await data(reply))["result"]) == (2_000 if "!" in query else 1)


async def test_the_same_expression_is_given_back_as_it_is_understood(shop: TestClient[Any, Any]):
    reply = await shop.get(f"{BASE}/api/v1/format_query", params={"query": "a  { b = 'c' }"})
    assert await data(reply) == 'a{b="c"}'


async def test_there_are_no_exemplars(shop: TestClient[Any, Any]):
    path = f"{BASE}/api/v1/query_exemplars"
    assert await data(await shop.get(path, params={"query": "rate(a[5m])", "start": "1", "end": "2"})) == []
    assert (await failure(await shop.get(path, params={"query": "a{"})))[:2] == (400, "bad_data")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1"), (0.1, "0.1"), (1e-7, "0.0000001"), (1.5e22, "15000000000000000000000"), (2 / 3, "0.6666666666666666")],
)
def test_numbers_are_written_without_exponents(value: float, text: str):
    assert number(value) == text
