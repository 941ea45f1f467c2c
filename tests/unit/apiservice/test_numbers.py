"""Plain numbers: every row as one flat object of floats, out of the same answers, in pages of the same tokens."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import TestClient
from multidict import MultiDict

from apiservice.app import AppOptions
from apiservice.negotiate import Encoding
from apiservice.numbers import negotiate_numbers, represent_number_list, represent_numbers, wants_numbers
from apiservice.representation import Style
from apiservice.result import Result
from metrics_api import BadQuery, Direction, Edge, Extra, LatencyUnit, ResourceRef, Side, SplitBackend, TrafficMetrics, Window
from metrics_api.numbers import number_row
from tests.apiservice.asking import BASE, SHOP, client, status_of
from tests.apiservice.memory import INSTANT, Memory, total

WEB = TrafficMetrics(
    name="web",
    namespace="shop",
    resource=ResourceRef("Deployment", "shop", "web"),
    edge=Edge(),
    instant=INSTANT,
    window=Window(30),
    p99=12_300,
    p90=8_000,
    p50=1,
    success=99_500,
    failure=500,
    source="mesh",
)
PLAIN = {
    "namespace": "shop",
    "kind": "Deployment",
    "name": "web",
    "cluster": "",
    "direction": "from",
    "side": "server",
    "peerKind": "",
    "peerNamespace": "",
    "peerName": "",
    "rps": 3.3333333333333335,
    "successRate": 0.995,
    "failureRatio": 0.005,
    "p50Ms": 0.001,
    "p90Ms": 8,
    "p99Ms": 12.3,
    "successCount": 99.5,
    "failureCount": 0.5,
    "window": "30s",
    "windowSeconds": 30,
    "timestamp": "2026-11-21T22:26:40Z",
    "source": "mesh",
    "incomplete": False,
    "sampled": False,
    "stale": False,
}
NUMBERS = {"format": "numbers"}


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[TestClient[Any, Any]]:
    """A server nothing is wrong with."""
    async with client() as session:
        yield session


async def got(session: TestClient[Any, Any], path: str, **parameters: str) -> Any:
    response = await session.get(path, params={**NUMBERS, **parameters})
    assert response.status == 200, await response.text()
    assert response.headers["Content-Type"] == "application/json"
    return json.loads(await response.read(), parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))


# A row


def test_a_row_is_one_flat_object_with_a_key_for_each_number() -> None:
    assert number_row(WEB) == PLAIN
    assert list(number_row(WEB)) == list(PLAIN)


def test_numbers_are_written_as_the_decimals_they_are() -> None:
    row = replace(WEB, p99=12_300, p90=100_000, success=100_000, failure=0)
    text = b"".join(represent_numbers(row, (), Style(numbers=True))).decode()
    assert '"p90Ms":100,"p99Ms":12.3,"successCount":100,"failureCount":0,' in text
    assert '"successRate":1,"failureRatio":0,' in text


def test_what_is_unknown_is_null_and_its_key_is_there() -> None:
    unknown = number_row(replace(WEB, p99=None, p90=None, p50=None, success=None, failure=None))
    assert list(unknown) == list(PLAIN)
    told = {key for key, value in unknown.items() if value is None}
    assert told == {"rps", "successRate", "failureRatio", "p50Ms", "p90Ms", "p99Ms", "successCount", "failureCount"}


def test_a_measured_zero_is_zero_and_its_ratios_are_unknown() -> None:
    idle = number_row(replace(WEB, p99=None, p90=None, p50=None, success=0, failure=0))
    assert [idle[key] for key in ("rps", "successCount", "failureCount")] == [0, 0, 0]
    assert [idle[key] for key in ("successRate", "failureRatio", "p99Ms")] == [None, None, None]


def test_rates_need_both_counts() -> None:
    half = number_row(replace(WEB, failure=None))
    assert (half["rps"], half["successRate"], half["successCount"]) == (None, None, 99.5)


def test_an_edge_has_its_peer_and_who_observed_it() -> None:
    edge = number_row(replace(WEB, edge=Edge(Direction.TO, Side.CLIENT, ResourceRef("StatefulSet", "data", "db"))))
    found = {key: edge[key] for key in ("direction", "side", "peerKind", "peerNamespace", "peerName")}
    assert found == {"direction": "to", "side": "client", "peerKind": "StatefulSet", "peerNamespace": "data", "peerName": "db"}


def test_a_row_of_a_split_has_its_backend() -> None:
    split = number_row(replace(WEB, backend=SplitBackend("web", "web-v2", 10)))
    assert (split["backendApex"], split["backendName"], split["backendWeight"]) == ("web", "web-v2", 10)
    assert {key: value for key, value in split.items() if not key.startswith("backend")} == PLAIN


def test_the_name_is_that_of_the_object_whatever_the_row_is_called() -> None:
    far = number_row(replace(WEB, name="deployment.web@west", cluster="west"))
    assert (far["kind"], far["name"], far["cluster"]) == ("Deployment", "web", "west")


def test_measures_asked_for_beside_the_five_have_keys_of_their_own() -> None:
    extras = tuple(Extra(f"{word}_response_latency", micro) for word, micro in (("p95", 9_100), ("p99.9", None), ("mean", 2_000)))
    row = number_row(replace(WEB, extras=extras))
    assert [row[key] for key in ("p95Ms", "p99.9Ms", "meanMs")] == [9.1, None, 2]
    assert row.keys() == PLAIN.keys() | {"p95Ms", "p99.9Ms", "meanMs"}


@pytest.mark.parametrize("mark", ["incomplete", "sampled", "stale"])
def test_what_is_to_be_known_of_a_row_is_a_boolean(mark: str) -> None:
    row = number_row(replace(WEB, annotations={f"metrics.smi-spec.io/{mark}": "true"}))
    assert {key: row[key] for key in ("incomplete", "sampled", "stale")} == {
        "incomplete": False,
        "sampled": False,
        "stale": False,
        mark: True,
    }


@pytest.mark.parametrize("style", [Style(), Style(pretty=True), Style(Encoding.YAML)], ids=["json", "pretty", "yaml"])
@pytest.mark.parametrize("count", [0, 1, 101], ids=str)
def test_a_list_encoded_in_parts_is_the_whole_list(style: Style, count: int) -> None:
    rows = tuple(replace(WEB, resource=WEB.resource._replace(name=f"d{index}")) for index in range(count))
    result = Result(rows, INSTANT, Window(30), ("half of it",), incomplete=True)
    body = b"".join(represent_number_list(rows, {"continue": "x"}, result, replace(style, numbers=True)))
    document = yaml.safe_load(body)
    assert document == {
        "metadata": {"continue": "x"},
        "incomplete": True,
        "warnings": ["half of it"],
        "items": [number_row(row) for row in rows],
    }


# Who asks for it


def test_without_a_format_nobody_gets_numbers() -> None:
    assert not wants_numbers(MultiDict(), served=True)
    assert not wants_numbers(MultiDict(format=""), served=False)


@pytest.mark.parametrize("query", [[("format", "csv")], [("format", "numbers"), ("format", "csv")]], ids=["alone", "beside one"])
def test_a_format_there_is_not_names_those_there_are(query: list[tuple[str, str]]) -> None:
    with pytest.raises(BadQuery, match='format "csv" is not known: it is numbers, or left out'):
        wants_numbers(MultiDict(query), served=True)


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        pytest.param("", Encoding.JSON, id="nothing"),
        pytest.param("application/json;q=0.9,text/plain", Encoding.JSON, id="Infinity"),
        pytest.param("text/plain", Encoding.JSON, id="text alone"),
        pytest.param("application/json;as=Table;v=v1;g=meta.k8s.io", Encoding.JSON, id="a Table"),
        pytest.param("*/*;q=0", Encoding.JSON, id="nothing at all"),
        pytest.param("application/yaml", Encoding.YAML, id="YAML"),
    ],
)
def test_no_client_is_refused_for_its_accept_header(accept: str, encoding: Encoding) -> None:
    chosen = negotiate_numbers(accept)
    assert (chosen.encoding, chosen.transform) == (encoding, None)


# Over a socket


async def test_one_object(shop: TestClient[Any, Any]) -> None:
    document = await got(shop, f"{SHOP}/deployments/web")
    assert (document["name"], document["successRate"], document["p99Ms"], document["rps"]) == ("web", 0.9, 12, 2)
    assert (document["incomplete"], document["warnings"]) == (False, [])


async def test_a_list(shop: TestClient[Any, Any]) -> None:
    document = await got(shop, f"{SHOP}/deployments")
    assert list(document) == ["metadata", "incomplete", "warnings", "items"]
    assert document["metadata"] == {"continue": "", "resourceVersion": str(INSTANT)}
    assert [item["name"] for item in document["items"]] == ["api", "cart", "web"]


@pytest.mark.parametrize(
    ("path", "parameters", "found"),
    [
        pytest.param("deployments/api/edges", {}, [("api", "from", "web"), ("api", "to", "db")], id="edges"),
        pytest.param("trafficmetrics", {"limit": "1"}, [("api", "from", "")], id="traffic"),
        pytest.param(
            "trafficmetrics", {"fieldSelector": "edge.direction=to,resource.name=web"}, [("web", "to", "api")], id="selected"
        ),
        pytest.param("edges", {}, [("shop", "to", "data")], id="edges of a namespace"),
    ],
)
async def test_every_list_has_the_form(
    shop: TestClient[Any, Any], path: str, parameters: dict[str, str], found: list[tuple[str, str, str]]
) -> None:
    items = (await got(shop, f"{SHOP}/{path}", **parameters))["items"]
    assert [(item["name"], item["direction"], item["peerName"]) for item in items] == found


async def test_other_percentiles_and_statistics_are_on_every_row(shop: TestClient[Any, Any]) -> None:
    items = (await got(shop, f"{SHOP}/deployments", percentiles="95,99.9", stats="mean,stddev"))["items"]
    assert {(item["p95Ms"], item["p99.9Ms"], item["meanMs"], item["stddevMs"]) for item in items} == {(1, 1, 1, 1)}


async def test_latencies_are_milliseconds_whatever_unit_the_objects_have() -> None:
    async with client(options=AppOptions("0.1.0", unit=LatencyUnit.MILLISECONDS)) as session:
        assert (await got(session, f"{SHOP}/deployments/web"))["p99Ms"] == 12


async def test_a_partial_answer_says_so_in_the_body() -> None:
    async with client(Memory(warnings=('source "far" timed out',), incomplete=True)) as session:
        one = await got(session, f"{SHOP}/deployments/web")
        many = await got(session, f"{SHOP}/deployments")
        none = await got(session, f"{BASE}/namespaces/nowhere/deployments")
    for document in (one, many, none):
        assert (document["incomplete"], document["warnings"]) == (True, ['source "far" timed out'])
    assert {item["incomplete"] for item in many["items"]} == {True}


async def test_warnings_are_those_of_the_answer_and_of_no_other() -> None:
    service = Memory()
    async with client(service) as session:
        for path in ("deployments/web", "deployments"):
            service.warnings = ()
            assert (await got(session, f"{SHOP}/{path}"))["warnings"] == []
            service.warnings = ("window rounded up",)
            assert (await got(session, f"{SHOP}/{path}"))["warnings"] == ["window rounded up"]


async def test_the_forms_of_one_answer_are_not_mixed_up(shop: TestClient[Any, Any]) -> None:
    for path in (f"{SHOP}/deployments/web", f"{SHOP}/deployments"):
        objects, numbers = await (await shop.get(path)).json(), await got(shop, path)
        assert await (await shop.get(path)).json() == objects
        assert await got(shop, path) == numbers
        assert "apiVersion" in objects
        assert "apiVersion" not in numbers


async def test_pages_go_on_in_either_form(shop: TestClient[Any, Any]) -> None:
    first = await got(shop, f"{SHOP}/deployments", limit="1")
    assert first["metadata"].keys() == {"resourceVersion", "continue", "remainingItemCount"}
    page = {"limit": "1", "continue": first["metadata"]["continue"]}
    second = await (await shop.get(f"{SHOP}/deployments", params=page)).json()
    assert [item["metadata"]["name"] for item in second["items"]] == ["cart"]
    third = await got(shop, f"{SHOP}/deployments", limit="1", **{"continue": second["metadata"]["continue"]})
    assert ([item["name"] for item in third["items"]], third["metadata"]["continue"]) == (["web"], "")


async def test_a_token_of_numbers_is_for_its_own_question_alone(shop: TestClient[Any, Any]) -> None:
    token = (await got(shop, f"{SHOP}/deployments", limit="1"))["metadata"]["continue"]
    other = await shop.get(f"{SHOP}/deployments", params={**NUMBERS, "continue": token, "window": "5m"})
    assert (await status_of(other))["message"] == "continue key is not valid"


async def test_infinity_gets_json(shop: TestClient[Any, Any]) -> None:
    accept = {"Accept": "application/json;q=0.9,text/plain", "Accept-Encoding": "gzip"}
    response = await shop.get(f"{SHOP}/deployments", params=NUMBERS, headers=accept)
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")


async def test_large_lists_are_compressed_and_head_tells_their_length() -> None:
    rows = tuple(total(ResourceRef("Deployment", "shop", f"d{index}"), 1, 0) for index in range(400))
    async with client(Memory(rows)) as session:
        packed = await session.get(f"{SHOP}/deployments", params=NUMBERS, headers={"Accept-Encoding": "gzip"})
        plain = await session.get(f"{SHOP}/deployments", params=NUMBERS, headers={"Accept-Encoding": "identity"})
        head = await session.head(f"{SHOP}/deployments", params=NUMBERS, headers={"Accept-Encoding": "identity"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await packed.read()) == await plain.read()
        assert head.headers["Content-Length"] == str(len(await plain.read()))
        assert await head.read() == b""


async def test_pretty_is_indented(shop: TestClient[Any, Any]) -> None:
    response = await shop.get(f"{SHOP}/deployments", params={**NUMBERS, "pretty": "true"})
    text = await response.text()
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


@pytest.mark.parametrize("path", ["deployments", "deployments/web"])
async def test_a_wrong_format_is_refused(shop: TestClient[Any, Any], path: str) -> None:
    document = await status_of(await shop.get(f"{SHOP}/{path}?format=csv"))
    assert (document["code"], 'format "csv" is not known: it is numbers' in document["message"]) == (400, True)


@pytest.mark.parametrize("form", ["numbers", "csv"])
async def test_a_watch_has_no_numbers(shop: TestClient[Any, Any], form: str) -> None:
    document = await status_of(await shop.get(f"{SHOP}/deployments?watch=true&format={form}"))
    assert (document["code"], "format" in document["message"]) == (400, True)


async def test_they_can_be_switched_off() -> None:
    service = Memory()
    async with client(service, options=AppOptions("0.1.0", numbers=False)) as session:
        document = await status_of(await session.get(f"{SHOP}/deployments/web", params=NUMBERS))
        assert (document["code"], "switched off on this server (surfaces.numbers)" in document["message"]) == (400, True)
        assert service.asked == 0
        assert (await session.get(f"{SHOP}/deployments/web")).status == 200
