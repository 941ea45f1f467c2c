"""The metrics-api of the tests: how it says no, how it goes away and comes back, and its wire, which two have written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from aiohttp import web
from google.protobuf import descriptor

from backends.linkerd import viz_pb2
from tests.backends.linkerd.calling import Call, calls, channel_to, chosen, resource
from tests.doubles.backfill import INSTANT
from tests.doubles.linkerd import Fault, VizDouble, run_viz
from tests.doubles.linkerd.durations import format_duration, parse_duration
from tests.doubles.linkerd.fleet import fleet_cluster
from tests.doubles.linkerd.schema import SERVICE, Message, message

pytestmark = pytest.mark.real


def _refusal(kind: str, why: str) -> str:
    return json.dumps({"status": "error", "errorType": kind, "error": why})


@pytest.fixture(scope="module")
async def call(viz_double: VizDouble) -> AsyncIterator[Call]:
    """Calls the one over the fleet."""
    async with channel_to(viz_double) as channel:
        yield calls(channel)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({}, "StatSummary request missing Selector Resource", id="no selector"),
        pytest.param(
            {"from_resource": resource("service", "shop", "web")},
            "service is not supported as a target on 'from'",
            id="from service",
        ),
        pytest.param({"to_resource": resource("all")}, "resource type 'all' is not supported as a filter", id="to all"),
        pytest.param(
            {"to_resource": resource("httproute", "shop", "a")}, "'to' queries are not supported with policy", id="to a route"
        ),
        pytest.param(
            {"time_window": "500ms"},
            "time window (500ms) must be at least as long as the Prometheus scrape interval (1s)",
            id="short",
        ),
        pytest.param({"time_window": ""}, 'invalid time window: time: invalid duration ""', id="no window"),
        pytest.param({"time_window": "1d"}, 'invalid time window: time: unknown unit "d" in duration "1d"', id="a unit Go has not"),
    ],
)
async def test_what_is_asked_wrongly_is_told_in_the_body(call: Call, fields: dict[str, Any], error: str):
    selector = {"selector": chosen("deployment", "shop")} if fields else {}
    answer = await call("StatSummary", **{**selector, "time_window": "1m", **fields})
    assert answer.WhichOneof("response") == "error"
    assert error in answer.error.error


@pytest.mark.parametrize(
    ("selector", "window", "code", "told"),
    [
        pytest.param(chosen("node"), "1m", "UNIMPLEMENTED", "unimplemented resource type: node", id="a kind it has not"),
        pytest.param(chosen("deployments"), "1m", "UNIMPLEMENTED", "deployments", id="a kind in the plural"),
        pytest.param(
            chosen("deployment", "shop", "gone"), "1m", "NOT_FOUND", 'deployment.apps "gone" not found', id="no such object"
        ),
        pytest.param(chosen("pod", "shop", "gone"), "1m", "NOT_FOUND", 'pod "gone" not found', id="no such pod"),
        pytest.param(
            chosen("pod", labels="a in (b"), "1m", "UNKNOWN", 'invalid label selector "a in (b"', id="labels that cannot be read"
        ),
        pytest.param(chosen("pod"), "1.5m", "UNKNOWN", 'Query failed: "', id="a window that Go reads and PromQL does not"),
    ],
)
async def test_what_cannot_be_answered_ends_with_a_status(call: Call, selector: Message, window: str, code: str, told: str):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call("StatSummary", selector=selector, time_window=window)
    assert caught.value.code() is grpc.StatusCode[code]
    assert told in (caught.value.details() or "")


async def test_a_prometheus_that_is_gone_is_a_status_a_body_and_a_check():
    async with run_viz(fleet_cluster(), "http://127.0.0.1:1") as viz, channel_to(viz) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match=r"Query failed: .*sum\(.* connect: connection refused") as caught:
            await calls(channel)("StatSummary", selector=chosen("pod"), time_window="1m")
        assert caught.value.code() is grpc.StatusCode.UNKNOWN
        assert "Query failed" in (await calls(channel)("Edges", selector=chosen("pod"))).error.error
        checks = {each.SubsystemName: each.Status for each in (await calls(channel)("SelfCheck")).results}
        assert checks == {"kubernetes": 0, "prometheus": 2}


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        pytest.param(500, "oops", "server_error: server error: 500", id="it fails"),
        pytest.param(
            503, _refusal("timeout", "query timed out"), "server_error: server error: 503", id="it takes too long, and says so"
        ),
        pytest.param(422, _refusal("execution", "too many samples"), "execution: too many samples", id="it gives up"),
        pytest.param(401, "Unauthorized", "client_error: client error: 401", id="it wants credentials"),
        pytest.param(200, "<html></html>", "bad_response: readObjectStart", id="it is no Prometheus"),
    ],
)
async def test_failures_of_prometheus_are_told_as_its_go_client_words_them(status: int, body: str, told: str):
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=body, content_type="application/json")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with run_viz(fleet_cluster(), f"http://127.0.0.1:{runner.addresses[0][1]}") as viz, channel_to(viz) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await calls(channel)("StatSummary", selector=chosen("pod"), time_window="1m")
    finally:
        await runner.cleanup()
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert told in (caught.value.details() or "")


async def test_all_is_well_when_prometheus_answers(call: Call):
    results = (await call("SelfCheck")).results
    assert [(each.SubsystemName, each.Status) for each in results] == [("kubernetes", 0), ("prometheus", 0)]


@pytest.mark.parametrize("text", ["1m", "90s", "1m30s", "1.5h", "500ms", ".5s", "0", "-1m", "100ns"])
def test_durations_are_read_as_go_reads_them(text: str):
    known = {"1m": 60, "90s": 90, "1m30s": 90, "1.5h": 5400, "500ms": 0.5, ".5s": 0.5, "0": 0, "-1m": -60, "100ns": 1e-7}
    assert parse_duration(text) == pytest.approx(known[text])


@pytest.mark.parametrize("text", ["", "1d", "90", "1m 30s", "m", "abc", "--1s"])
def test_what_go_does_not_read_is_no_duration(text: str):
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


@pytest.mark.parametrize(("seconds", "text"), [(0.5, "500ms"), (1, "1s"), (60, "1m0s"), (90, "1m30s"), (3600, "1h0m0s")])
def test_durations_are_written_as_go_writes_them(seconds: float, text: str):
    assert format_duration(seconds) == text


# The socket


async def test_no_time_is_sent_unless_one_is_given(fleet_prometheus: str):
    async with run_viz(fleet_cluster(), fleet_prometheus) as viz, channel_to(viz) as channel:
        answer = await calls(channel)("StatSummary", selector=chosen("deployment", "shop"), time_window="1m")
        # The samples are of years ago.
        assert not [row for row in answer.ok.stat_tables[0].pod_group.rows if row.HasField("stats")]


async def test_what_was_asked_for_goes_wrong_until_it_is_cleared(fleet_prometheus: str):
    async with run_viz(fleet_cluster(), fleet_prometheus, instant=INSTANT) as viz, channel_to(viz) as channel:
        viz.faults.failing["*"] = Fault(grpc.StatusCode.UNAVAILABLE, "away")
        with pytest.raises(grpc.aio.AioRpcError, match="away"):
            await calls(channel)("SelfCheck")
        viz.faults.clear()
        viz.faults.garbled["SelfCheck"] = b"\xff"
        with pytest.raises(Exception, match="parsing"):
            await calls(channel)("SelfCheck")
        viz.faults.clear()
        viz.faults.held["SelfCheck"] = asyncio.Event()
        viz.called.clear()
        waiting = asyncio.ensure_future(calls(channel)("SelfCheck"))
        await asyncio.wait_for(viz.called.wait(), 5)
        viz.faults.clear()
        assert len((await waiting).results) == 2
        assert [name for name, _ in viz.calls] == ["SelfCheck"] * 3


async def test_it_comes_back_at_the_same_address(fleet_prometheus: str):
    async with run_viz(fleet_cluster(), fleet_prometheus) as viz:
        address = viz.address
        await viz.stop()
        async with channel_to(viz) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await calls(channel)("SelfCheck")
        await viz.start()
        assert viz.address == address
        async with channel_to(viz) as channel:
            assert (await calls(channel)("SelfCheck")).results


# The wire

_FLAT = {"StatSummaryResponse.Ok": "StatSummaryOk", "EdgesResponse.Ok": "EdgesOk", "StatTable.PodGroup": "PodGroup"}
_FLAT["StatTable.PodGroup.Row"] = "Row"


def _messages(within: descriptor.Descriptor | descriptor.FileDescriptor) -> list[descriptor.Descriptor]:
    nested = within.message_types_by_name if isinstance(within, descriptor.FileDescriptor) else within.nested_types_by_name
    return [each for one in nested.values() for each in (one, *_messages(one))]


def _wire(field: descriptor.FieldDescriptor) -> tuple[str, int, bool, str]:
    """Name, type, whether it is repeated, and the group of which one field at most is set. An enum is an int32."""
    kind = field.TYPE_INT32 if field.type == field.TYPE_ENUM else field.type
    return field.name, kind, field.is_repeated, field.containing_oneof.name if field.containing_oneof else ""


def test_two_who_wrote_the_schema_down_wrote_the_same():
    compared = 0
    for theirs in _messages(viz_pb2.DESCRIPTOR):
        name = theirs.full_name.removeprefix("linkerd2.viz.")
        ours = message(_FLAT.get(name, name)).DESCRIPTOR
        known = {field.number: _wire(field) for field in ours.fields}
        for field in theirs.fields:
            compared += 1
            assert _wire(field) == known.get(field.number), (name, field.name)
    assert compared > 45
    assert viz_pb2.DESCRIPTOR.package == SERVICE.rpartition(".")[0]
