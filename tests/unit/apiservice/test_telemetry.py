"""The server's own metrics: the names dashboards know, and no more series than there are resources."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from apiservice.authorization import Decision
from apiservice.identity import Unauthorized, User
from apiservice.requestinfo import RequestInfo
from apiservice.telemetry import CountedAuthenticator, CountedAuthorizer, Telemetry
from apiservice.telemetry.labels import clean_dry_run
from tests.unit.apiservice.metrics_page import BASE, SHOP, bounds, by, info, observe, scrape

# Requests


@pytest.mark.parametrize(
    ("method", "path", "query", "labels"),
    [
        pytest.param(
            "GET", f"{SHOP}/deployments", {}, {"verb": "LIST", "resource": "deployments", "scope": "namespace"}, id="list"
        ),
        pytest.param("GET", f"{BASE}/pods", {}, {"verb": "LIST", "resource": "pods", "scope": "cluster"}, id="list everywhere"),
        pytest.param(
            "GET",
            f"{SHOP}/pods",
            {"fieldSelector": "metadata.name=p"},
            {"verb": "LIST", "resource": "pods", "scope": "namespace"},
            id="list of one name",
        ),
        pytest.param("GET", f"{BASE}/pods", {"watch": "1"}, {"verb": "WATCH", "resource": "pods", "scope": "cluster"}, id="watch"),
        pytest.param("HEAD", f"{SHOP}/pods/p", {}, {"verb": "GET", "resource": "pods", "scope": "resource"}, id="get"),
        pytest.param("GET", f"{SHOP}/pods/p/edges", {}, {"verb": "GET", "resource": "pods", "subresource": "edges"}, id="edges"),
        pytest.param(
            "GET", f"{SHOP}/pods/p/invented", {}, {"resource": "pods", "subresource": "other"}, id="an invented subresource"
        ),
        pytest.param("GET", "/livez", {}, {"verb": "GET", "resource": "", "subresource": "/livez", "scope": ""}, id="health"),
        pytest.param("GET", "/livez/nope", {}, {"verb": "GET", "resource": "", "subresource": "", "scope": ""}, id="a path"),
        pytest.param("BREW", f"{BASE}/pods", {}, {"verb": "other", "resource": "pods"}, id="an invented method"),
        pytest.param("POST", f"{SHOP}/pods", {}, {"verb": "POST", "resource": "pods", "scope": "resource"}, id="create"),
        pytest.param("PUT", f"{SHOP}/pods/p", {}, {"verb": "PUT", "scope": "resource"}, id="update"),
        pytest.param("DELETE", f"{SHOP}/pods", {}, {"verb": "DELETE", "scope": "namespace"}, id="delete all"),
    ],
)
def test_a_request_is_counted_under_what_it_was_about(
    method: str, path: str, query: dict[str, str], labels: dict[str, str]
) -> None:
    telemetry = Telemetry("0.1.0")
    observe(telemetry, method, path, 404, **query)
    ((found, count),) = scrape(telemetry)["apiserver_request_total"]
    assert found.items() >= {**labels, "code": "404", "component": "apiserver", "dry_run": ""}.items()
    assert count == 1


def test_the_labels_are_those_of_kubernetes() -> None:
    telemetry = Telemetry("0.1.0")
    observe(telemetry, "GET", f"{BASE}/pods")
    telemetry.terminated(info("GET", f"{BASE}/pods"), 429)
    telemetry.aborted(info("GET", f"{BASE}/pods"))
    telemetry.watch_events(info("GET", f"{BASE}/pods", watch="1"), [100])
    scoped = {"verb", "group", "version", "resource", "subresource", "scope", "component"}
    expected = {
        "apiserver_request_total": scoped | {"dry_run", "code"},
        "apiserver_request_duration_seconds_sum": scoped | {"dry_run"},
        "apiserver_response_sizes_sum": scoped,
        "apiserver_request_terminations_total": scoped | {"code"},
        "apiserver_request_aborts_total": scoped - {"component"},
        "apiserver_watch_events_total": {"group", "version", "resource"},
        "apiserver_watch_events_sizes_sum": {"group", "version", "resource"},
    }
    with telemetry.long_running(info("GET", f"{BASE}/pods", watch="1")):
        found = scrape(telemetry)
    assert {name: set(found[name][0][0]) for name in expected} == expected
    assert set(found["apiserver_longrunning_requests"][0][0]) == scoped


def test_invented_resources_share_one_series() -> None:
    telemetry = Telemetry("0.1.0")
    for number in range(50):
        for path in (f"{BASE}/namespaces/n{number}/invented{number}", f"/apis/other.group/v{number}/pods", f"/invented{number}"):
            observe(telemetry, "GET", path)
            telemetry.terminated(info("GET", path), 429)
            telemetry.aborted(info("GET", path))
            telemetry.watch_events(info("GET", path), [10])
            with telemetry.long_running(info("GET", path)):
                pass
    found = scrape(telemetry)
    assert {labels["resource"] for labels, _ in found["apiserver_request_total"]} == {""}
    # A list, and a get of a path.
    assert len(found["apiserver_request_total"]) == len(found["apiserver_request_terminations_total"]) == 2
    assert len(found["apiserver_longrunning_requests"]) == len(found["apiserver_request_aborts_total"]) == 2
    assert len(found["apiserver_watch_events_total"]) == 1


@pytest.mark.parametrize(
    ("observe_one", "name", "expected"),
    [
        pytest.param(
            lambda telemetry: observe(telemetry, "GET", f"{BASE}/pods"),
            "apiserver_request_duration_seconds",
            [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60],
            id="durations",
        ),
        pytest.param(
            lambda telemetry: observe(telemetry, "GET", f"{BASE}/pods"),
            "apiserver_response_sizes",
            [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
            id="sizes",
        ),
        pytest.param(
            lambda telemetry: telemetry.watch_events(info("GET", f"{BASE}/pods"), [1]),
            "apiserver_watch_events_sizes",
            [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072],
            id="events",
        ),
        pytest.param(
            lambda telemetry: telemetry.callers.authenticated(None, 1),
            "authentication_duration_seconds",
            [0.001 * 2**power for power in range(15)],
            id="authentication",
        ),
        pytest.param(
            lambda telemetry: telemetry.callers.certificate_shown(1),
            "apiserver_client_certificate_expiration_seconds",
            [0, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 345600, 604800, 2592000, 7776000, 15552000, 31104000],
            id="certificates",
        ),
        pytest.param(
            lambda telemetry: telemetry.access_reviews.posted("201", 1),
            "apiserver_delegated_authz_request_duration_seconds",
            [0.25, 0.5, 0.7, 1, 1.5, 3, 5, 10],
            id="reviews",
        ),
    ],
)
def test_buckets_are_those_of_kubernetes(observe_one: Callable[[Telemetry], None], name: str, expected: list[float]) -> None:
    telemetry = Telemetry("0.1.0")
    observe_one(telemetry)
    assert bounds(telemetry, name) == pytest.approx(expected)


def test_only_what_is_read_has_a_size() -> None:
    telemetry = Telemetry("0.1.0")
    observe(telemetry, "GET", f"{BASE}/pods")
    observe(telemetry, "GET", f"{BASE}/pods", watch="1")
    observe(telemetry, "DELETE", f"{SHOP}/pods/p")
    assert [(labels["verb"], value) for labels, value in scrape(telemetry)["apiserver_response_sizes_sum"]] == [("LIST", 2000)]


@pytest.mark.parametrize(
    ("values", "label"), [([], ""), (["All"], "All"), (["All", "All"], "All"), (["x"], "invalid"), ([""], "invalid")]
)
def test_a_dry_run_is_none_good_or_invalid(values: list[str], label: str) -> None:
    assert clean_dry_run(values) == label


def test_requests_under_way_are_counted_while_they_are() -> None:
    telemetry = Telemetry("0.1.0")
    with telemetry.in_flight(info("GET", "/livez")), telemetry.in_flight(info("POST", f"{BASE}/pods")):
        assert by(telemetry, "apiserver_current_inflight_requests", "request_kind") == {"readOnly": 1, "mutating": 1}
    assert by(telemetry, "apiserver_current_inflight_requests", "request_kind") == {}


def test_a_watch_is_long_running_and_not_in_flight() -> None:
    telemetry = Telemetry("0.1.0")
    watch = info("GET", f"{BASE}/pods", watch="true")
    with telemetry.in_flight(watch), telemetry.long_running(watch):
        assert by(telemetry, "apiserver_current_inflight_requests", "request_kind") == {}
        assert by(telemetry, "apiserver_longrunning_requests", "verb") == {"WATCH": 1}
    assert by(telemetry, "apiserver_longrunning_requests", "verb") == {}


def test_watchers_are_counted_when_somebody_looks() -> None:
    telemetry = Telemetry("0.1.0")
    watching = [3, 2]
    telemetry.watching(lambda: watching[0], lambda: watching[1])
    watching[0] = 5
    found = scrape(telemetry)
    assert (found["trafficmetrics_watchers"], found["trafficmetrics_watch_questions"]) == ([({}, 5)], [({}, 2)])


# Callers


class Known:
    """Authenticator and authorizer that do as they are told."""

    def __init__(self, user: User | None = None, decision: Decision | None = None) -> None:
        self._user = user
        self._decision = decision

    async def authenticate(self, request: web.Request) -> User:  # noqa: ARG002
        if self._user is None:
            raise Unauthorized("no")
        return self._user

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:  # noqa: ARG002
        if self._decision is None:
            raise OSError("away")
        return self._decision


@pytest.mark.parametrize(
    ("name", "label"),
    [("ann", "other"), ("system:anonymous", "other"), ("ann@example.com", "email_id"), ("admin", "admin"), ("kubelet", "kubelet")],
)
async def test_users_are_counted_by_kind_of_name(name: str, label: str) -> None:
    telemetry = Telemetry("0.1.0")
    counted = CountedAuthenticator(Known(User(name)), telemetry.callers)
    assert (await counted.authenticate(make_mocked_request("GET", "/"))).name == name
    assert by(telemetry, "authenticated_user_requests", "username") == {label: 1}
    assert by(telemetry, "authentication_attempts", "result") == {"success": 1}
    assert by(telemetry, "authentication_duration_seconds_count", "result") == {"success": 1}


async def test_bad_credentials_are_an_error_of_authentication() -> None:
    telemetry = Telemetry("0.1.0")
    with pytest.raises(Unauthorized):
        await CountedAuthenticator(Known(), telemetry.callers).authenticate(make_mocked_request("GET", "/"))
    assert by(telemetry, "authentication_attempts", "result") == {"error": 1}
    assert by(telemetry, "authenticated_user_requests", "username") == {}


@pytest.mark.parametrize(
    ("decision", "result"),
    [
        (Decision(allowed=True), "allowed"),
        (Decision(allowed=False), "no-opinion"),
        (Decision(allowed=False, denied=True), "denied"),
        (None, "error"),
    ],
    ids=["allowed", "no opinion", "denied", "error"],
)
async def test_decisions_are_counted_by_result(decision: Decision | None, result: str) -> None:
    telemetry = Telemetry("0.1.0")
    counted = CountedAuthorizer(Known(decision=decision), telemetry.callers)
    try:
        assert await counted.authorize(User("ann"), info("GET", f"{BASE}/pods"), {}) is decision
    except OSError:
        assert decision is None
    assert by(telemetry, "authorization_attempts_total", "result") == {result: 1}
    assert by(telemetry, "authorization_duration_seconds_count", "result") == {result: 1}


# Reviews


def test_reviews_asked_for_are_counted_while_they_are() -> None:
    telemetry = Telemetry("0.1.0")
    tokens = telemetry.token_reviews
    active = "authentication_token_cache_active_fetch_count"
    with tokens.waiting(), tokens.waiting(), tokens.asking():
        assert by(telemetry, active, "status") == {"blocked": 2, "in_flight": 1}
    with pytest.raises(OSError, match="away"), tokens.waiting(), tokens.asking():
        raise OSError("away")
    tokens.held(0.001)
    assert by(telemetry, active, "status") == {}
    assert by(telemetry, "authentication_token_cache_request_total", "status") == {"hit": 1, "miss": 3}
    assert by(telemetry, "authentication_token_cache_request_duration_seconds_count", "status") == {"hit": 1, "miss": 3}
    assert by(telemetry, "authentication_token_cache_fetch_total", "status") == {"ok": 1, "error": 1}


def test_calls_for_reviews_of_tokens_and_of_access_are_counted_apart() -> None:
    telemetry = Telemetry("0.1.0")
    telemetry.token_reviews.posted("<error>", 0.1)
    telemetry.access_reviews.posted("201", 0.1)
    assert by(telemetry, "apiserver_delegated_authn_request_total", "code") == {"<error>": 1}
    assert by(telemetry, "apiserver_delegated_authz_request_total", "code") == {"201": 1}
    assert by(telemetry, "apiserver_delegated_authz_request_duration_seconds_count", "code") == {"201": 1}


async def test_a_cancelled_wait_for_a_review_is_over() -> None:
    telemetry = Telemetry("0.1.0")

    async def wait() -> None:
        with telemetry.token_reviews.waiting():
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    assert by(telemetry, "authentication_token_cache_active_fetch_count", "status") == {"blocked": 1}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert by(telemetry, "authentication_token_cache_active_fetch_count", "status") == {}


# Sources


def test_questions_to_a_source_are_counted_by_outcome() -> None:
    telemetry = Telemetry("0.1.0", ["mesh", "other"])
    assert scrape(telemetry)["trafficmetrics_source_requests_total"] == [
        ({"source": source, "code": "ok"}, 0) for source in ("mesh", "other")
    ]
    for outcome in ("ok", "BackendUnavailable", "cancelled"):
        telemetry.sources.asked("mesh", outcome, 0.2, 12 if outcome == "ok" else 0)
    assert by(telemetry, "trafficmetrics_source_requests_total", "code") == {"ok": 1, "BackendUnavailable": 1, "cancelled": 1}
    assert by(telemetry, "trafficmetrics_source_request_duration_seconds_count", "source") == {"mesh": 3}
    assert by(telemetry, "trafficmetrics_source_rows_count", "source") == {"mesh": 1}
    assert by(telemetry, "trafficmetrics_source_rows_sum", "source") == {"mesh": 12}


def test_a_source_is_up_when_it_answered_last() -> None:
    telemetry = Telemetry("0.1.0", ["mesh"])
    up, last = "trafficmetrics_source_up", "trafficmetrics_source_last_success_timestamp_seconds"
    assert up not in scrape(telemetry)
    states = []
    for outcome in ("ok", "cancelled", "BackendTimeout", "cancelled", "ok"):
        telemetry.sources.asked("mesh", outcome, 0.2, 0)
        states.append(scrape(telemetry)[up][0][1])
    assert states == [1, 1, 0, 0, 1]
    assert scrape(telemetry)[last][0][1] > 1_700_000_000


def test_the_last_success_is_not_moved_by_failures() -> None:
    now = [100.0]
    telemetry = Telemetry("0.1.0", ["mesh"], clock=lambda: now[0])
    telemetry.sources.asked("mesh", "ok", 0.2, 0)
    now[0] = 200.0
    telemetry.sources.asked("mesh", "BackendTimeout", 0.2, 0)
    assert scrape(telemetry)["trafficmetrics_source_last_success_timestamp_seconds"] == [({"source": "mesh"}, 100)]


def test_shared_answers_are_counted_where_they_are_shared() -> None:
    telemetry = Telemetry("0.1.0")
    telemetry.sharing.answers.held()
    telemetry.sharing.answers.joined()
    telemetry.sharing.samples.missed()
    assert by(telemetry, "trafficmetrics_cache_hits_total", "cache") == {"answers": 1}
    assert by(telemetry, "trafficmetrics_cache_misses_total", "cache") == {"samples": 1}
    assert by(telemetry, "trafficmetrics_single_flight_joins_total", "cache") == {"answers": 1}
