"""The whole application over real sockets: what it answers, to whom, and what happens when things go wrong behind it."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from apiservice.app import AppOptions
from apiservice.authorization import AuthorizationError
from apiservice.health import Check, Health
from apiservice.identity import Unauthorized, User
from apiservice.logformat import LogFormat
from apiservice.logs import level_of, writing_log
from metrics_api import BackendTimeout, BackendUnavailable, LatencyUnit, ResourceRef
from metrics_api.provenance import INCOMPLETE
from tests.apiservice.asking import BASE, SHOP, client, status_of
from tests.apiservice.memory import INSTANT, Door, Memory, total

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[TestClient[Any, Any]]:
    """A server nothing is wrong with."""
    async with client() as session:
        yield session


async def names(response: ClientResponse) -> list[str]:
    assert response.status == 200, await response.text()
    return [item["metadata"]["name"] for item in (await response.json())["items"]]


# What is asked right


async def test_a_list_of_a_namespace(shop: TestClient[Any, Any]) -> None:
    response = await shop.get(f"{SHOP}/deployments")
    assert await names(response) == ["api", "cart", "web"]
    document = await response.json()
    assert (document["kind"], document["metadata"]) == ("TrafficMetricsList", {"resourceVersion": str(INSTANT)})


async def test_one_object(shop: TestClient[Any, Any]) -> None:
    document = await (await shop.get(f"{SHOP}/deployments/web")).json()
    assert (document["kind"], document["metadata"]["labels"]) == ("TrafficMetrics", {"app": "web", "tier": "front"})


@pytest.mark.parametrize("path", ["deployments/api/edges", "deployments/api/edges/", "deployments/api%2Fedges"])
async def test_edges_of_one_object_however_the_path_is_spelt(shop: TestClient[Any, Any], path: str) -> None:
    document = await (await shop.get(f"{SHOP}/{path}")).json()
    assert [item["edge"]["direction"] for item in document["items"]] == ["from", "to"]


async def test_edges_of_a_namespace(shop: TestClient[Any, Any]) -> None:
    document = await (await shop.get(f"{SHOP}/edges")).json()
    assert [item["edge"]["resource"]["name"] for item in document["items"]] == ["data"]


@pytest.mark.parametrize("path", ["/", f"{BASE}/", f"{SHOP}/deployments/", f"{SHOP}/deployments/web/", "/openapi/v3/", "/apis/"])
async def test_a_trailing_slash_changes_nothing_and_redirects_nobody(shop: TestClient[Any, Any], path: str) -> None:
    with_slash = await shop.get(path, allow_redirects=False)
    without = await shop.get(path.rstrip("/") or "/", allow_redirects=False)
    assert (with_slash.status, await with_slash.read()) == (200, await without.read())


async def test_a_table_for_kubectl(shop: TestClient[Any, Any]) -> None:
    document = await (await shop.get(f"{SHOP}/deployments", headers={"Accept": TABLE})).json()
    assert (document["kind"], [row["cells"][0] for row in document["rows"]]) == ("Table", ["api", "cart", "web"])


async def test_head_is_get_without_the_body(shop: TestClient[Any, Any]) -> None:
    head, get = await shop.head(f"{SHOP}/deployments"), await shop.get(f"{SHOP}/deployments")
    assert (head.status, await head.read()) == (200, b"")
    assert head.headers["Content-Length"] == str(len(await get.read()))


async def test_pages_follow_each_other_from_one_answer() -> None:
    service = Memory()
    async with client(service) as session:
        first = await (await session.get(f"{SHOP}/deployments?limit=2")).json()
        token = first["metadata"]["continue"]
        assert first["metadata"]["remainingItemCount"] == 1
        service.rows = ()
        second = await (await session.get(f"{SHOP}/deployments", params={"limit": "2", "continue": token})).json()
        assert [item["metadata"]["name"] for item in first["items"] + second["items"]] == ["api", "cart", "web"]
        assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}
        assert service.asked == 1


async def test_with_a_selector_nobody_knows_how_many_remain(shop: TestClient[Any, Any]) -> None:
    document = await (await shop.get(f"{SHOP}/deployments?limit=1&labelSelector=app!=cart")).json()
    assert document["metadata"].keys() == {"resourceVersion", "continue"}


async def test_latencies_in_milliseconds_for_old_clients() -> None:
    async with client(options=AppOptions("0.1.0", unit=LatencyUnit.MILLISECONDS)) as session:
        document = await (await session.get(f"{SHOP}/deployments/web")).json()
    assert document["metrics"][0] == {"name": "p99_response_latency", "unit": "ms", "value": "12"}


async def test_an_incomplete_answer_warns_and_marks_its_rows() -> None:
    service = Memory(warnings=('source "far" timed out', "window rounded up"), incomplete=True)
    async with client(service) as session:
        many = await session.get(f"{SHOP}/deployments")
        one = await session.get(f"{SHOP}/deployments/web")
        warnings = ['299 - "source \\"far\\" timed out"', '299 - "window rounded up"']
        assert many.headers.getall("Warning") == one.headers.getall("Warning") == warnings
        items = [*(await many.json())["items"], await one.json()]
    assert {item["metadata"]["annotations"][INCOMPLETE] for item in items} == {"true"}


async def test_large_lists_are_compressed_for_those_who_can_read_it() -> None:
    rows = tuple(total(ResourceRef("Deployment", "shop", f"d{index}"), 1, 0) for index in range(400))
    async with client(Memory(rows)) as session:
        packed = await session.get(f"{SHOP}/deployments", headers={"Accept-Encoding": "gzip"})
        plain = await session.get(f"{SHOP}/deployments", headers={"Accept-Encoding": "identity"})
        small = await session.get(f"{SHOP}/deployments/d1", headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(await packed.read()) == await plain.read()
        assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
        assert "Content-Encoding" not in plain.headers
        assert plain.headers["Vary"] == "Accept-Encoding"
        assert "Content-Encoding" not in small.headers


async def test_three_hundred_groups_are_no_problem(shop: TestClient[Any, Any]) -> None:
    headers = [("X-Remote-Group", f"group-{number}") for number in range(300)]
    assert (await shop.get(f"{SHOP}/deployments", headers=headers)).status == 200


async def test_a_body_nobody_needs_is_ignored(shop: TestClient[Any, Any]) -> None:
    response = await shop.get(f"{SHOP}/deployments", data=b"protobuf of an old client")
    assert response.status == 200


# Who may ask


async def test_wrong_credentials_are_told_nothing() -> None:
    async with client(door=Door(failure=Unauthorized("token expired at noon"))) as session:
        document = await status_of(await session.get(f"{SHOP}/deployments"))
    assert (document["code"], document["message"]) == (401, "Unauthorized")


async def test_what_is_forbidden_stays_unseen() -> None:
    service = Memory()
    door = Door(User("<eve>"), forbidden=frozenset({f"{SHOP}/deployments", f"{BASE}/foos", "/metrics"}))
    async with client(service, door) as session:
        document = await status_of(await session.get(f"{SHOP}/deployments"))
        unknown = await status_of(await session.get(f"{BASE}/foos"))
        metrics = await status_of(await session.get("/metrics"))
    assert document["message"] == (
        'deployments.metrics.smi-spec.io is forbidden: User "&lt;eve&gt;" cannot list resource "deployments" in API group '
        '"metrics.smi-spec.io" in the namespace "shop": RBAC: no &lt;role&gt; "reader"'
    )
    assert (document["code"], unknown["code"], metrics["code"]) == (403, 403, 403)
    assert service.asked == 0


async def test_an_encoded_slash_is_authorised_as_what_it_is_answered_as() -> None:
    door = Door()
    async with client(door=door) as session:
        await session.get(f"{SHOP}/deployments/api%2Fedges")
    (seen,) = door.seen
    assert (seen.resource, seen.name, seen.subresource) == ("deployments", "api", "edges")


async def test_a_failing_authoriser_is_no_permission() -> None:
    class Broken(Door):
        async def authorize(self, *_: Any) -> Any:
            raise OSError("kube-apiserver is away")

    service = Memory()
    async with client(service, Broken()) as session:
        document = await status_of(await session.get(f"{SHOP}/deployments"))
    assert (document["code"], service.asked) == (500, 0)


@pytest.mark.parametrize(
    ("error", "traced"),
    [
        pytest.param(AuthorizationError("kube-apiserver did not answer"), False, id="known"),
        pytest.param(OSError("broken"), True, id="unforeseen"),
    ],
)
async def test_the_log_has_the_place_in_the_code_only_of_what_nobody_foresaw(error: Exception, *, traced: bool) -> None:
    class Broken(Door):
        async def authorize(self, *_: Any) -> Any:
            raise error

    log = io.StringIO()
    with writing_log(log, LogFormat.TEXT, level_of(0)):
        async with client(door=Broken()) as session:
            await session.get(f"{SHOP}/deployments")
    assert ("Traceback" in log.getvalue()) is traced
    assert "a request failed" in log.getvalue()
    assert str(error) in log.getvalue()


# What every answer has


@pytest.mark.parametrize("path", [f"{SHOP}/deployments", "/livez", "/metrics", "/nope", f"{SHOP}/deployments?window=x"])
async def test_every_answer_has_an_audit_id_a_caching_rule_and_a_type_to_trust(shop: TestClient[Any, Any], path: str) -> None:
    first, second = await shop.get(path), await shop.get(path)
    assert len(first.headers["Audit-Id"]) == 36
    assert first.headers["Audit-Id"] != second.headers["Audit-Id"]
    assert first.headers["Cache-Control"] == "no-cache, private"
    assert first.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_audit_id_of_the_control_plane_is_kept(shop: TestClient[Any, Any]) -> None:
    response = await shop.get("/livez", headers={"Audit-Id": "0b3fa9d2-front"})
    assert response.headers["Audit-Id"] == "0b3fa9d2-front"


async def test_an_audit_id_that_is_none_is_replaced(shop: TestClient[Any, Any]) -> None:
    response = await shop.get("/livez", headers={"Audit-Id": "x" * 5000})
    assert len(response.headers["Audit-Id"]) == 36


async def test_aggregated_discovery_keeps_its_own_caching_rule(shop: TestClient[Any, Any]) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    response = await shop.get("/apis", headers={"Accept": accept})
    assert response.headers["Cache-Control"] == "public"
    again = await shop.get("/apis", headers={"Accept": accept, "If-None-Match": response.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


async def test_the_root_lists_paths_that_exist(shop: TestClient[Any, Any]) -> None:
    paths = (await (await shop.get("/")).json())["paths"]
    assert {"/livez", "/metrics", "/openapi/v3", "/version", BASE} <= set(paths)
    for path in paths:
        assert (await shop.get(path)).status == 200, path


async def test_requests_are_counted(shop: TestClient[Any, Any]) -> None:
    await shop.get(f"{BASE}/jobs")
    text = await (await shop.get("/metrics", headers={"Accept-Encoding": "identity"})).text()
    assert 'resource="jobs"' in text
    assert "apiserver_request_duration_seconds_bucket" in text


# When things go wrong behind the server


async def test_a_bug_is_a_status_and_a_line_in_the_log() -> None:
    log = io.StringIO()
    with writing_log(log, LogFormat.TEXT, level_of(0)):
        async with client(Memory(failure=ZeroDivisionError("password=hunter2"))) as session:
            response = await session.get(f"{SHOP}/deployments?window=1m")
            document = await status_of(response)
            assert (await session.get("/livez")).status == 200
    audit_id = response.headers["Audit-Id"]
    assert (document["reason"], audit_id in document["message"]) == ("InternalError", True)
    assert "hunter2" not in str(document)
    (line,) = [line for line in log.getvalue().splitlines() if line.startswith("E")]
    assert f'method="GET" URI="{SHOP}/deployments?window=1m" audit-ID="{audit_id}" err="ZeroDivisionError: ' in line
    assert "Traceback (most recent call last)" in log.getvalue()


@pytest.mark.parametrize(
    ("failure", "code", "reason", "come_back"),
    [
        pytest.param(BackendUnavailable("mesh", "connection refused", retry_after=3), 503, "ServiceUnavailable", "3", id="down"),
        pytest.param(BackendTimeout("mesh", "no answer within 10s", retry_after=3), 504, "Timeout", None, id="slow"),
    ],
)
async def test_a_failing_source_is_never_an_empty_list(failure: Exception, code: int, reason: str, come_back: str | None) -> None:
    async with client(Memory(failure=failure)) as session:
        response = await session.get(f"{SHOP}/deployments")
        document = await status_of(response)
    assert (document["code"], document["reason"], response.headers.get("Retry-After")) == (code, reason, come_back)
    assert 'source "mesh"' in document["message"]


async def test_a_slow_answer_ends_at_the_timeout_asked_for() -> None:
    service = Memory(delay=60)
    async with client(service) as session:
        response = await session.get(f"{SHOP}/deployments?timeout=100ms")
        document = await status_of(response)
    assert (document["code"], document["reason"]) == (504, "Timeout")
    assert service.cancelled.is_set()


async def test_a_client_that_has_gone_is_not_worked_for() -> None:
    service = Memory(delay=60)
    async with client(service) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await session.get(f"{SHOP}/deployments")
        async with asyncio.timeout(5):
            await service.cancelled.wait()


async def test_more_questions_than_can_be_worked_on_are_told_to_come_back() -> None:
    service = Memory(delay=60)
    async with client(service, options=AppOptions("0.1.0", max_in_flight=2)) as session:
        waiting = [asyncio.create_task(session.get(f"{SHOP}/deployments")) for _ in range(2)]
        for _ in waiting:
            await service.arrivals.get()
        response = await session.get(f"{SHOP}/deployments")
        document = await status_of(response)
        assert (document["reason"], response.headers["Retry-After"]) == ("TooManyRequests", "1")
        assert (await session.get("/livez")).status == (await session.get(BASE)).status == 200
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_discovery_openapi_and_health_do_not_wait_for_the_sources() -> None:
    service = Memory(delay=60)
    async with client(service) as session:
        waiting = asyncio.create_task(session.get(f"{SHOP}/deployments"))
        await service.arrivals.get()
        async with asyncio.timeout(5):
            for path in ("/livez", "/readyz", "/apis", BASE, "/openapi/v2", "/openapi/v3", "/version", "/metrics"):
                assert (await session.get(path)).status == 200
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_large_list_lets_others_through() -> None:
    rows = tuple(total(ResourceRef("Deployment", "shop", f"d{index}"), 1, 0) for index in range(5_000))
    async with client(Memory(rows)) as session:

        async def read() -> Any:
            async with session.get(f"{SHOP}/deployments", headers={"Accept-Encoding": "identity"}) as response:
                return await response.json()

        large = asyncio.create_task(read())
        served = 0
        while not large.done():
            assert (await session.get("/livez")).status == 200
            served += 1
        assert len((await large)["items"]) == 5_000
    assert served > 10


async def test_readiness_fails_as_its_checks_do_and_liveness_does_not() -> None:
    health = Health(readyz=[Check("shutdown", lambda: "the server is stopping")])
    async with client(health=health) as session:
        ready, live = await session.get("/readyz"), await session.get("/livez")
        assert (ready.status, live.status) == (500, 200)
        assert (await ready.text()).endswith("readyz check failed\n")


async def test_the_version_of_an_object_satisfies_a_reader_who_saw_it(shop: TestClient[Any, Any]) -> None:
    response = await shop.get(f"{SHOP}/deployments?resourceVersion={INSTANT}&resourceVersionMatch=Exact")
    assert len(await names(response)) == 3
