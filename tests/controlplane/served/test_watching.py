"""Watch as kubectl does it: what it prints at first, and what it adds when the traffic changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.controlplane.daemon import Daemon
from tests.controlplane.plane import ControlPlane
from tests.controlplane.served.harbour import HARBOUR, WATCHER, Harbour, busy, quiet
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

DEPLOYMENTS = "deployments.metrics.smi-spec.io"
REQUESTS = '{.metrics[?(@.name=="success_count")].value}'
WATCHES = {
    "table": ["get", "trafficmetrics", "-w"],
    "wide": ["get", "tm", "-o", "wide", "-w"],
    "changes": ["get", "tm", "--watch-only"],
    "events": ["get", DEPLOYMENTS, "-w", "--output-watch-events"],
    "documents": ["get", DEPLOYMENTS, "-w", "--output-watch-events", "-o", "json"],
    "objects": ["get", DEPLOYMENTS, "-o", "json", "-w"],
    "one": ["get", DEPLOYMENTS, "ferry", "-w"],
    "some": ["get", "pods.metrics.smi-spec.io", "-l", "app=ferry", "-w"],
    "until a number": ["wait", "tm/deployment.ferry", f"--for=jsonpath={REQUESTS}=150", "--timeout=60s"],
    "until an end": ["wait", f"{DEPLOYMENTS}/raft", "--for=delete", "--timeout=60s"],
}


@pytest.fixture(scope="module")
async def watching(harbour: Harbour) -> AsyncIterator[dict[str, Daemon]]:
    """All of them, after the ferry's traffic has grown to three times as much and the raft has gone."""
    plane = harbour.api.plane
    async with AsyncExitStack() as stack:
        mark = plane.audit.mark()
        running = {
            name: await stack.enter_async_context(plane.following(*arguments, "-n", HARBOUR, user=WATCHER))
            for name, arguments in WATCHES.items()
        }
        await until_watched(plane, mark, len(WATCHES))
        harbour.turn()
        await harbour.sink()
        events = running["events"]
        await events.until_printed(lambda line: line.split()[:2] == ["DELETED", "raft"])
        await events.until_printed(lambda line: line.split()[1] == "ferry" and "30.0rps" in line)
        # All are told at once, and kubectl needs no time to speak of.
        await asyncio.sleep(1)
        yield running


async def until_watched(plane: ControlPlane, mark: int, count: int) -> None:
    """Waits until so many watches have begun."""
    for _ in range(300):
        begun = [
            event
            for event in plane.audit.matching(mark)
            if (event["verb"], event["stage"], event["user"]["username"]) == ("watch", "ResponseStarted", WATCHER.name)
        ]
        if len(begun) >= count:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{count} should watch, and {len(begun)} do")


def rows(daemon: Daemon) -> list[list[str]]:
    """What was printed, by line and cell."""
    return [line.split() for line in daemon.lines()]


@pytest.mark.parametrize("name", ["table", "wide"])
async def test_a_watched_table_begins_with_all_rows(watching: dict[str, Daemon], name: str):
    header, *printed = rows(watching[name])
    assert [row[0] for row in printed[:3]] == ["deployment.calm", "deployment.ferry", "deployment.raft"]
    assert all("10.0rps" in row for row in printed[:3])
    assert ("WINDOW" in header) is (name == "wide")
    assert {len(row) for row in printed} == {len(header)}


async def test_columns_are_defined_once(harbour: Harbour):
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    path = f"{GV}/namespaces/{HARBOUR}/deployments?watch=true&timeoutSeconds=1"
    reply = await harbour.api.proxied(path, user=WATCHER, headers={"Accept": table})
    first, *others = [json.loads(line)["object"] for line in reply.body.splitlines()]
    assert [column["name"] for column in first["columnDefinitions"]][:3] == ["Name", "Success", "RPS"]
    assert others
    assert [other for other in others if other.get("columnDefinitions")] == []


@pytest.mark.parametrize("name", ["table", "wide", "changes", "one", "some"])
async def test_a_row_is_printed_again_when_it_changes(watching: dict[str, Daemon], name: str):
    ferry = [row for row in rows(watching[name]) if "ferry" in row[0]]
    assert "30.0rps" in ferry[-1]
    assert len({tuple(row) for row in ferry}) > 1


async def test_changes_can_be_watched_alone(watching: dict[str, Daemon]):
    header, *printed = rows(watching["changes"])
    assert header[0] == "NAME"
    assert [row for row in printed if row[0] == "deployment.ferry" and "10.0rps" in row] == []


async def test_a_row_can_be_watched_alone(watching: dict[str, Daemon]):
    assert {row[0] for row in rows(watching["one"])[1:]} == {"ferry"}
    assert {row[0].partition("-")[0] for row in rows(watching["some"])[1:]} == {"ferry"}


async def test_events_say_what_came_changed_and_went(watching: dict[str, Daemon]):
    header, *printed = [row[:2] for row in rows(watching["events"])]
    assert header == ["EVENT", "NAME"]
    assert printed[:3] == [["ADDED", "calm"], ["ADDED", "ferry"], ["ADDED", "raft"]]
    assert ["MODIFIED", "ferry"] in printed
    assert [row for row in printed[3:] if row[0] != "MODIFIED"] == [["DELETED", "raft"]]


@pytest.mark.parametrize("name", ["documents", "objects"])
async def test_documents_are_whole_and_in_order(watching: dict[str, Daemon], name: str):
    printed = [document.get("object", document) for document in documents("\n".join(watching[name].lines()))]
    assert {row["kind"] for row in printed} == {"TrafficMetrics"}
    ferry = [row for row in printed if row["metadata"]["name"] == "ferry"]
    assert (quiet(ferry[0]), busy(ferry[-1])) == (True, True)
    versions = [int(row["metadata"]["resourceVersion"]) for row in printed]
    assert versions == sorted(versions)


def documents(text: str) -> Iterator[Any]:
    """The JSON documents that follow one another in a text."""
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        yield document
        text = text[end:].lstrip()


@pytest.mark.parametrize("name", ["until a number", "until an end"])
async def test_kubectl_can_wait_for_traffic(watching: dict[str, Daemon], name: str):
    assert await watching[name].ended(10)
    assert watching[name].exit_code() == 0
    assert watching[name].tail().endswith("condition met")


@pytest.mark.parametrize("name", ["table", "wide", "changes", "events", "documents", "objects", "one", "some"])
async def test_a_watch_lasts(watching: dict[str, Daemon], name: str):
    assert watching[name].exit_code() is None
