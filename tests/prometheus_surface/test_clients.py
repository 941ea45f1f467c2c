"""Real clients of the query API, and a real Prometheus that is asked the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.grafana.shop import Shop as Server
from tests.prometheus_surface.conftest import BASE
from tests.prometheus_surface.scraper import Scraper, promtool

pytestmark = pytest.mark.real


async def ask(server: Server, path: str, **parameters: str) -> Any:
    """What our API answers, errors too."""
    async with server.session.get(f"{server.url}{BASE}/api/v1/{path}", params=parameters) as response:
        return await response.json()


async def instant(server: Server, query: str) -> tuple[int, str, str]:
    return await promtool("query", "instant", server.url + BASE, query)


async def test_promtool_asks_for_a_moment(server: Server):
    code, out, err = await instant(server, 'trafficmetrics_success_ratio{namespace="shop",name="cart"}')
    assert (code, err) == (0, "")
    assert out.startswith('trafficmetrics_success_ratio{kind="Deployment", name="cart", namespace="shop"} => 0.9 @[')
    code, out, err = await instant(server, "1+1")
    assert (code, err) == (0, "")
    assert out.startswith("scalar: 2 @[")


async def test_promtool_asks_for_a_range(server: Server):
    span = (f"--start={server.last - 600}", f"--end={server.last}", "--step=60s")
    query = 'trafficmetrics_failure_ratio{namespace="shop",name="cart"}'
    code, out, err = await promtool("query", "range", *span, server.url + BASE, query)
    assert (code, err) == (0, "")
    heading, *points = out.splitlines()
    assert heading == 'trafficmetrics_failure_ratio{kind="Deployment", name="cart", namespace="shop"} =>'
    assert [float(point.split()[0]) for point in points] == pytest.approx([0.1] * 11, rel=1e-3)
    assert [int(point.split("[")[1].rstrip("]")) for point in points] == list(range(server.last - 600, server.last + 1, 60))


async def test_promtool_asks_for_series_and_values(server: Server):
    code, out, err = await promtool("query", "labels", server.url + BASE, "namespace")
    assert (code, out.split(), err) == (0, ["data", "shop"], "")
    code, out, err = await promtool("query", "series", "--match=trafficmetrics_success_ratio{namespace='data'}", server.url + BASE)
    assert (code, err) == (0, "")
    assert out == '{__name__="trafficmetrics_success_ratio", kind="Deployment", name="db", namespace="data"}\n'


async def test_promtool_shows_what_is_wrong(server: Server):
    code, _, err = await instant(server, "sum(trafficmetrics_success_ratio)")
    assert code == 1
    assert "execution: sum() is not evaluated here" in err
    code, _, err = await instant(server, "trafficmetrics_success_ratio{")
    assert code == 1
    assert 'bad_data: invalid parameter "query": 1:30: parse error: unexpected end of input' in err


CART = 'trafficmetrics_{}{{namespace="shop",kind="Deployment",name="cart"{}}}'


@pytest.mark.parametrize(
    "query", ["vector(1)", CART.format("success_ratio", ""), CART.format("response_latency_seconds", ',percentile="99"')]
)
async def test_flagger_is_told_one_number(server: Server, query: str):
    """It takes the last result, and what has ``values`` is an error to it (fluxcd/flagger, pkg/metrics/providers/prometheus.go)."""
    found = (await ask(server, "query", query=query))["data"]["result"]
    assert len(found) == 1
    assert "values" not in found[0]
    assert float(found[0]["value"][1]) == pytest.approx(1 if query == "vector(1)" else 0.9 if "ratio" in query else 0.05, rel=0.01)


async def test_keda_is_told_at_most_one_number(server: Server):
    """It sends the time it is, in RFC 3339, and takes no number for 0 (kedacore/keda, pkg/scalers/prometheus_scaler.go)."""
    now = datetime.fromtimestamp(server.last, UTC).isoformat().replace("+00:00", "Z")
    for name, count in (("cart", 1), ("gone", 0)):
        query = CART.format("requests_per_second", "").replace("cart", name)
        document = await ask(server, "query", query=query, time=now)
        values = [element["value"] for element in document["data"]["result"]]
        assert [float(value) for _, value in values] == pytest.approx([20.0] * count, rel=0.01)


@pytest.mark.parametrize(
    "matchers",
    [
        '{namespace="shop"}',
        '{namespace!="shop"}',
        '{name=~"c.+|web"}',
        '{name!~"c.+|web"}',
        '{name=~"[a-d].*",namespace=~"sh.p|data"}',
        '{name=~"(?i)CART"}',
        '{name=~"^cart$"}',
        '{name=~"c.*"}',
        '{kind=~".*"}',
        '{kind!=""}',
        '{name=~"\\\\w{3}"}',
        "{name=~`\\w{4}`,peer_name=''}",
        '{nothing=""}',
        '{nothing!="x",name=~""}',
        '{nothing="x"}',
        '{name=""}',
        '{peer_name!="x",direction=~"|to"}',
    ],
)
async def test_totals_are_selected_as_a_prometheus_selects_them(server: Server, scraper: Scraper, matchers: str):
    metric = "trafficmetrics_window_requests"
    ours = await ask(server, "query", query=f"{metric}{matchers}")
    theirs = await scraper.vector(f'{metric}{matchers[:-1]},job="totals"}}')
    assert labels_of([element["metric"] for element in ours["data"]["result"]]) == labels_of([labels for labels, _ in theirs])


@pytest.mark.parametrize(
    "matchers", ['{direction="to"}', '{peer_name=~"c.*"}', '{peer_namespace!="",peer_name!="cart"}', '{direction=~"from|x"}']
)
async def test_edges_are_selected_as_a_prometheus_selects_them(server: Server, scraper: Scraper, matchers: str):
    metric = "trafficmetrics_requests_per_second"
    ours = await ask(server, "query", query=f"{metric}{matchers}")
    theirs = await scraper.vector(f'{metric}{matchers[:-1]},job="edges"}}')
    assert theirs
    assert labels_of([element["metric"] for element in ours["data"]["result"]]) == labels_of([labels for labels, _ in theirs])


def labels_of(found: list[dict[str, str]]) -> list[list[tuple[str, str]]]:
    return sorted(sorted(labels.items()) for labels in found)


@pytest.mark.parametrize(
    "query",
    [
        *("1+1", "-2^2", "2^3^2", "10%4*3-1", "(1 + 2) * -3", "0x1f", ".5e1", "1.", "+1", "1 # one\n + 1"),
        *("vector(1)", "vector(1+1)", "vector((2))"),
        *("a", "a:b", "(a)", "a{}", 'a{b="c",}', "{a='b'}", 'a{by="c", offset!="d"}', 'a{b="\\u00e9\\x41\\101\\n"}', "a{b=`\\`}"),
        *(
            "rate(a[5m])",
            "sum(a) by (b)",
            "a[5m]",
            "a offset 5m",
            "a @ 1",
            "a * 2",
            "-a",
            "a and b",
            "1 == bool 1",
            '"x"',
            "Inf",
            "1/0",
        ),
        *(
            "",
            " ",
            "1 +",
            "a b",
            "(a",
            ")",
            "a{",
            "a{b}",
            "a{b=c}",
            'a{b="c" d="e"}',
            "a{,}",
            'a{b="c",,}',
            'a{b="c}',
            'a{b=~"("}',
            "{}",
        ),
        *(
            '{a=""}',
            '{a=~".*"}',
            'a{__name__="b"}',
            "5m",
            "a$",
            "vector(a)",
            "vector()",
            'a{b="\\d"}',
            'a{b="\\777"}',
            "a{1='b'}",
            "a{b=~'(?=x)'}",
        ),
        *(
            "{__name__='a',__name__='b'}",
            "a{a:b='c'}",
            "1 1",
            "vector(1",
            "vector(1)(2)",
            "a{b='\\\"'}",
            'a{b="\\\'"}',
            "==",
            "a{b='c'}{d='e'}",
        ),
    ],
)
async def test_what_is_promql_and_what_is_not_is_what_a_prometheus_says(server: Server, scraper: Scraper, query: str):
    ours, theirs = await ask(server, "query", query=query, time="4"), await scraper.ask("query", query=query, time="4")
    if ours.get("errorType") == "execution":
        # Understood, and more than is evaluated here.
        assert theirs["status"] == "success"
        return
    assert (ours["status"], ours.get("errorType")) == (theirs["status"], theirs.get("errorType")), (ours, theirs)
    if ours["status"] == "success":
        assert ours["data"] == theirs["data"]


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("query", {"query": "1", "time": "now"}),
        ("query", {"query": "1", "time": "2026-11-21"}),
        ("query_range", {"query": "1", "start": "0", "end": "100", "step": "0"}),
        ("query_range", {"query": "1", "start": "0", "end": "100", "step": "x"}),
        ("query_range", {"query": "1", "start": "5", "end": "1", "step": "1"}),
        ("query_range", {"query": "1", "start": "0", "end": "11001", "step": "1"}),
        ("query_range", {"query": "1", "start": "0", "end": "10", "step": "3"}),
        ("query_range", {"query": "1+2", "start": "0.25", "end": "1m", "step": "3"}),
        ("query_range", {"query": "vector(3)", "start": "0.25", "end": "9.5", "step": "3s"}),
        ("query_range", {"query": "vector(3)", "start": "1970-01-01T00:00:05.5Z", "end": "9.5", "step": "1"}),
        ("series", {"match[]": "{}"}),
        ("series", {}),
        ("rules", {}),
        ("alerts", {}),
        ("query_exemplars", {"query": "a", "start": "0", "end": "1"}),
        ("format_query", {"query": "a  {b='c'}"}),
        ("label/nothing/values", {}),
    ],
)
async def test_answers_beside_the_numbers_are_those_of_a_prometheus(
    server: Server, scraper: Scraper, path: str, parameters: dict[str, str]
):
    ours, theirs = await ask(server, path, **parameters), await scraper.ask(path, **parameters)
    assert (ours["status"], ours.get("errorType")) == (theirs["status"], theirs.get("errorType")), (ours, theirs)
    if ours["status"] == "success":
        assert ours["data"] == theirs["data"]
    elif "step" in parameters:
        assert ours["error"].partition(": ")[2] in theirs["error"]
