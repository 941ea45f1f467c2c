"""Any percentile, mean and deviation, and a past instant: against PromQL, and against what was answered then."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import aiohttp
import pytest

from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api, measured
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

SHOP = "/namespaces/shop/deployments"
MICROSECOND = 1.1e-6
NEPAL = timezone(timedelta(hours=5, minutes=45))
LONG_AGO = "2020-02-20T20:02:20Z"


async def promql(store: Prometheus, query: str, timestamp: str) -> dict[str, float]:
    """The values of a vector by the label ``deployment``."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{store.url}/api/v1/query", params={"query": query, "time": timestamp}) as response,
    ):
        return {row["metric"]["deployment"]: float(row["value"][1]) for row in (await response.json())["data"]["result"]}


def inbound(metric: str, by: str) -> str:
    return f'sum by ({by}) (increase({metric}{{direction="inbound",namespace="shop"}}[10s]))'


def values(items: list[Any], name: str) -> dict[str, float | None]:
    return {item["metadata"]["name"]: measured(item)[f"{name}_response_latency"] for item in items}


def by_name(items: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {item["metadata"]["name"]: item["metrics"] for item in items}


async def past(api: Api) -> str:
    """An instant for which there was an answer, and after which there was another one."""
    timestamp: str = (await api.raw(SHOP))["items"][0]["timestamp"]
    await until_past(api, timestamp)
    return timestamp


async def until_past(api: Api, timestamp: str) -> None:
    """Wait for an answer of a later instant."""
    for _ in range(100):
        if (await api.raw(SHOP))["items"][0]["timestamp"] > timestamp:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"there is no answer of a later instant than {timestamp}")


async def test_percentiles_are_those_of_promql(api: Api, prometheus: Prometheus):
    items = (await api.raw(f"{SHOP}?percentiles=1,50,75,95,99.9"))["items"]
    assert [metric["name"] for metric in items[0]["metrics"]] == [
        *(f"{word}_response_latency" for word in ("p99", "p90", "p50")),
        "success_count",
        "failure_count",
        *(f"{word}_response_latency" for word in ("p1", "p75", "p95", "p99.9")),
    ]
    for word, quantile in (("p1", 0.01), ("p75", 0.75), ("p95", 0.95), ("p99.9", 0.999)):
        told = f"histogram_quantile({quantile}, {inbound('response_latency_ms_bucket', 'le, deployment')}) / 1000"
        truth = await promql(prometheus, told, items[0]["timestamp"])
        assert values(items, word) == pytest.approx({name: truth[name] for name in ("api", "web")}, abs=MICROSECOND)


async def test_the_mean_is_the_sum_over_the_count_in_promql(api: Api, prometheus: Prometheus):
    items = (await api.raw(f"{SHOP}?stats=mean"))["items"]
    total, count = (inbound(f"response_latency_ms_{part}", "deployment") for part in ("sum", "count"))
    truth = await promql(prometheus, f"{total} / {count} / 1000", items[0]["timestamp"])
    assert values(items, "mean") == pytest.approx({name: truth[name] for name in ("api", "web")}, abs=MICROSECOND)


async def test_the_deviation_is_that_of_requests_spread_over_their_buckets(api: Api):
    """Of those of web, 23 in a second, 3 come from a slow caller."""
    fast, slow = {(1, 5): 0.5, (10, 20): 0.4, (50, 100): 0.09, (100, 200): 0.01}, {(20, 50): 0.5, (100, 200): 0.4, (200, 500): 0.09}
    slow[500, 1000] = 0.01
    weights = [(bucket, share * rate) for shares, rate in ((fast, 20), (slow, 3)) for bucket, share in shares.items()]
    mean = sum((low + high) / 2 * weight for (low, high), weight in weights) / 23
    variance = sum((((low + high) / 2 - mean) ** 2 + (high - low) ** 2 / 12) * weight for (low, high), weight in weights) / 23
    item = await api.raw(f"{SHOP}/web?stats=stddev")
    assert measured(item)["stddev_response_latency"] == pytest.approx(math.sqrt(variance) / 1000, rel=0.01)


async def test_a_watch_tells_them_too(api: Api):
    reply = await api.proxied(f"{GV}{SHOP}?watch=true&timeoutSeconds=1&percentiles=95&stats=mean,stddev", user=ADMIN)
    events = [json.loads(line) for line in reply.body.splitlines()]
    assert [event["type"] for event in events] == ["ADDED", "ADDED"]
    for event in events:
        extra = event["object"]["metrics"][5:]
        assert [metric["name"].removesuffix("_response_latency") for metric in extra] == ["p95", "mean", "stddev"]
        assert None not in [metric["value"] for metric in extra]


async def test_the_past_is_as_it_was_told_then(api: Api):
    query = "percentiles=95&stats=mean,stddev"
    then = await api.raw(f"{SHOP}?{query}")
    timestamp = then["items"][0]["timestamp"]
    await until_past(api, timestamp)
    again = await api.raw(f"{SHOP}?{query}&time={timestamp}")
    assert {item["timestamp"] for item in again["items"]} == {timestamp}
    assert again["metadata"]["resourceVersion"] == then["metadata"]["resourceVersion"]
    told = by_name(again["items"])
    # What has been deleted was there then, for all that is known.
    assert told.pop("gone")
    assert told == by_name(then["items"])


async def test_every_path_answers_for_then_and_kubectl_asks_by_field(api: Api):
    timestamp = await past(api)
    offset = datetime.fromisoformat(timestamp).astimezone(NEPAL).isoformat().replace("+", "%2B")
    for path in (
        f"{SHOP}/web",
        f"{SHOP}/web/edges",
        "/namespaces/shop/edges",
        "/trafficmetrics",
        "/namespaces/shop/trafficmetrics/deployment.web",
    ):
        answer = await api.raw(f"{path}?time={offset}")
        assert {item["timestamp"] for item in answer.get("items", [answer])} == {timestamp}
    items = (await api.document("tm", "-n", "shop", "--field-selector", f"time={timestamp},resource.name=web"))["items"]
    assert [(item["metadata"]["name"], item["timestamp"]) for item in items] == [("deployment.web", timestamp)]


async def test_what_is_gone_is_found_in_the_past_alone(api: Api):
    timestamp = await past(api)
    run = await api.kubectl("get", "--raw", f"{GV}{SHOP}/gone")
    assert "not found" in run.stderr
    gone = await api.raw(f"{SHOP}/gone?time={timestamp}")
    assert measured(gone)["success_count"] == pytest.approx(70, rel=0.01)
    assert "labels" not in gone["metadata"]


async def test_pages_of_the_past_are_of_one_instant(api: Api):
    timestamp = await past(api)
    names, token = [], ""
    for _ in range(3):
        page = await api.raw(f"{SHOP}?time={timestamp}&limit=1&continue={token}")
        assert page["items"][0]["timestamp"] == timestamp
        names += by_name(page["items"])
        token = page["metadata"].get("continue", "")
    assert (names, token) == (["api", "gone", "web"], "")


async def test_a_time_before_the_store_began_is_told(api: Api):
    run = await api.kubectl("get", "tm", "-n", "shop", "--field-selector", f"time={LONG_AGO}")
    assert run.code == 0
    assert (
        f"Warning: nothing of it was observed at {LONG_AGO}: there were no requests, or it is before what the sources keep"
        in run.stderr
    )
    # Nor does that make the present forgotten.
    assert values((await api.raw(SHOP))["items"], "p50")["web"] is not None


@pytest.mark.parametrize(
    "query", [f"watch=true&time={LONG_AGO}", "time=2999-01-01T00:00:00Z", "time=now", "percentiles=100", "stats=max"]
)
async def test_what_cannot_be_answered_is_a_bad_request(api: Api, query: str):
    reply = await api.proxied(f"{GV}{SHOP}?{query}", user=ADMIN)
    assert (reply.status, reply.document["reason"]) == (400, "BadRequest")
