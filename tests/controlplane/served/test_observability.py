"""Observability: what the server counts and logs about real traffic, for those who may read it, and for nobody else."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import MONITOR, SHOP_READER, STRANGER, TOKEN_READER
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, configured, run_server

pytestmark = pytest.mark.real

SHOP = f"{GV}/namespaces/shop"
TRAFFIC = f"{GV}/trafficmetrics"
PAGE = Path(__file__).parents[3] / "docs" / "observability.md"

Labels = Mapping[str, str]


class Counts(NamedTuple):
    """A page of metrics. ``samples`` holds every value by name and labels."""

    text: str
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def total(self, name: str, /, **labels: str) -> float:
        """The sum of the values of a metric with such labels."""
        return sum(value for (found, have), value in self.samples.items() if found == name and labels.items() <= set(have))

    def series(self, prefix: str) -> int:
        """How many series have names that begin so."""
        return sum(name.startswith(prefix) for name, _ in self.samples)


async def counts(api: Api) -> Counts:
    reply = await api.direct("/metrics", user=MONITOR)
    assert reply.status == 200
    text = reply.body.decode()
    families = text_string_to_metric_families(text)
    samples = {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}
    return Counts(text, samples)


async def lines(api: Api, audit_id: str, count: int = 1) -> list[str]:
    """What the server has logged about a request; it writes its log a moment later."""
    for _ in range(100):
        found = [line for line in api.server.daemon.tail(10_000).splitlines() if audit_id in line]
        if len(found) >= count:
            break
        await asyncio.sleep(0.02)
    return found


@pytest.fixture(scope="module")
async def told(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """A server that tells everything, asked directly; its second source does not exist."""
    nowhere = {"name": "far", "type": "prometheus", "dialect": "linkerd", "url": f"http://{LOOPBACK}:1"}
    configuration = configured(api.plane, prometheus.url)
    configuration["backends"].append(nowhere)
    configuration["logging"] = {"verbosity": 10}
    async with run_server(api.plane, tmp_path_factory.mktemp("told"), configuration) as server:
        yield Api(api.plane, server)


# Who may read


async def test_metrics_are_for_those_who_monitor(api: Api):
    assert (await api.direct("/metrics")).status == 403
    assert (await api.direct("/metrics", user=STRANGER)).status == 403
    for path in ("/metrics", "/metrics/slis"):
        assert (await api.direct(path, user=MONITOR)).status == 200


# What is counted


async def test_three_lists_are_three_more(told: Api):
    before = await counts(told)
    for _ in range(3):
        assert (await told.direct(f"{SHOP}/deployments", user=SHOP_READER)).status == 200
    assert (await told.direct(f"{GV}/deployments", user=SHOP_READER)).status == 403
    after = await counts(told)

    def more(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    about = {"verb": "LIST", "resource": "deployments", "group": "metrics.smi-spec.io"}
    assert more("apiserver_request_total", **about, scope="namespace", code="200") == 3
    assert more("apiserver_request_total", **about, scope="cluster", code="403") == 1
    assert more("apiserver_request_duration_seconds_count", **about) == 4
    assert more("apiserver_response_sizes_count", **about) == 4
    # The second page of metrics was asked for, too, when it was made.
    assert more("authentication_attempts", result="success") == 5
    assert more("authenticated_user_requests", username="other") == 5
    assert more("authorization_attempts_total", result="allowed") == 4
    assert more("authorization_attempts_total", result="no-opinion") == 1
    assert more("apiserver_client_certificate_expiration_seconds_count") == 5
    assert (
        more("trafficmetrics_cache_hits_total", cache="answers") + more("trafficmetrics_cache_misses_total", cache="answers") == 3
    )
    assert after.total("apiserver_current_inflight_requests", request_kind="readOnly") == 1


async def test_sources_are_counted_each(told: Api):
    before = await counts(told)
    assert (await told.direct(f"{TRAFFIC}?window=11s", user=ADMIN)).status == 200
    after = await counts(told)
    asked = "trafficmetrics_source_requests_total"
    assert after.total(asked, source="mesh", code="ok") == before.total(asked, source="mesh", code="ok") + 1
    failed = {"source": "far", "code": "BackendUnavailable"}
    assert after.total(asked, **failed) == before.total(asked, **failed) + 1
    assert after.total("trafficmetrics_source_up", source="mesh") == 1
    assert ("trafficmetrics_source_up", frozenset({("source", "far")})) in after.samples
    assert after.total("trafficmetrics_source_up", source="far") == 0
    assert after.total("trafficmetrics_source_rows_sum", source="mesh") > before.total(
        "trafficmetrics_source_rows_sum", source="mesh"
    )
    assert after.total("trafficmetrics_source_last_success_timestamp_seconds", source="mesh") > 1_700_000_000


async def test_a_client_that_invents_names_adds_no_series(told: Api):
    async def invent(number: int) -> None:
        for path in (f"{GV}/invented{number}", f"/apis/group{number}.io/v1/x", f"/nope/{number}", f"{GV}/pods/p/sub{number}"):
            await told.direct(path, user=ADMIN, headers={"User-Agent": f"agent-{number}"}, method=f"INVENT{number}")
            await told.direct(path, user=ADMIN)

    await invent(0)
    before = await counts(told)
    for number in range(1, 26):
        await invent(number)
    after = await counts(told)
    assert after.samples.keys() == before.samples.keys()


async def test_a_failed_handshake_is_counted(told: Api):
    name = "apiserver_tls_handshake_errors_total"
    before = (await counts(told)).total(name)
    for _ in range(2):
        reader, writer = await asyncio.open_connection(LOOPBACK, told.server.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
    for _ in range(100):
        if (now := (await counts(told)).total(name)) > before + 1:
            break
        await asyncio.sleep(0.02)
    assert now == before + 2


async def test_a_watch_is_counted_while_it_lasts(told: Api):
    def open_watches(found: Counts) -> tuple[float, float]:
        about = {"verb": "WATCH", "resource": "trafficmetrics"}
        return found.total("apiserver_longrunning_requests", **about), found.total("trafficmetrics_watchers")

    watching = asyncio.create_task(told.direct(f"{TRAFFIC}?watch=1&timeoutSeconds=3", user=ADMIN))
    for _ in range(100):
        if open_watches(during := await counts(told)) == (1, 1):
            break
        await asyncio.sleep(0.02)
    assert open_watches(during) == (1, 1)
    assert during.total("trafficmetrics_watch_questions") == 1
    reply = await watching
    events = reply.body.count(b"\n")
    after = await counts(told)
    assert open_watches(after) == (0, 0)
    about = {"resource": "trafficmetrics"}
    assert after.total("apiserver_request_total", verb="WATCH", code="200", **about) == 1
    assert after.total("apiserver_watch_events_total", **about) == events > 0
    assert after.total("apiserver_watch_events_sizes_sum", **about) == len(reply.body)
    # Its first answer was asked for by this request; what was asked later was asked for all who watch.
    logged = await lines(told, reply.headers["Audit-Id"], 3)
    assert sum('"asked a source"' in line for line in logged) == 2


async def test_reviews_are_counted(told: Api):
    namespace, account = TOKEN_READER
    token = (await told.prints("create", "token", account, "-n", namespace)).strip()
    before = await counts(told)
    for bearer, status in ((token, 200), (token, 200), ("no-token", 401)):
        reply = await told.direct(f"{SHOP}/deployments", headers={"Authorization": f"Bearer {bearer}"})
        assert reply.status == status
    after = await counts(told)

    def more(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    assert more("apiserver_delegated_authn_request_total", code="201") == 2
    assert more("authentication_token_cache_request_total", status="miss") == 2
    assert more("authentication_token_cache_request_total", status="hit") == 1
    assert more("authentication_token_cache_fetch_total", status="ok") == 2
    assert more("authentication_attempts", result="error") == 1
    assert more("apiserver_delegated_authz_request_total", code="201") >= 1


async def test_health_checks_are_counted(told: Api):
    before = await counts(told)
    await told.direct("/readyz")
    after = await counts(told)
    about = {"name": "ping", "type": "readyz", "status": "success"}
    assert after.total("kubernetes_healthchecks_total", **about) == before.total("kubernetes_healthchecks_total", **about) + 1
    assert after.total("kubernetes_healthcheck", name="ping", type="readyz") == 1
    assert after.total("apiserver_request_total", subresource="/readyz", code="200") > 0


async def test_every_documented_metric_is_there_after_some_traffic(told: Api):
    token = {"Authorization": "Bearer no-token"}
    await asyncio.gather(
        told.direct(f"{TRAFFIC}?window=12s", user=SHOP_READER),
        told.direct(TRAFFIC, user=ADMIN),
        told.direct(TRAFFIC, headers=token),
        told.direct(f"{TRAFFIC}?watch=1&timeoutSeconds=1", user=ADMIN),
        told.direct(f"{TRAFFIC}?timeout=1ms&window=13s", user=ADMIN),
        told.direct("/readyz"),
    )
    names = {name for name, _ in (await counts(told)).samples}
    found = names | {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (?:counter|gauge|histogram|untyped) \|", PAGE.read_text(), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    unpaid = {
        name for name in documented if re.match(r"trafficmetrics_source_(api_calls|throttled|metrics|budget|estimated)_", name)
    }
    # Nobody gave up a request here, and no source is paid for by use.
    assert documented - found <= {"apiserver_request_aborts_total"} | unpaid
    assert len(documented) > 40


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
async def test_prometheus_finds_no_fault_with_the_page(told: Api):
    await told.direct(TRAFFIC, user=ADMIN)
    page = (await counts(told)).text
    result = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


async def test_openmetrics_is_for_who_asks_for_it(told: Api):
    reply = await told.direct("/metrics", user=MONITOR, headers={"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"})
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert reply.body.endswith(b"# EOF\n")


# What is logged


async def test_a_line_has_the_audit_id_the_response_has(told: Api):
    for seconds in range(14, 44):
        asked = f"{SHOP}/deployments?window={seconds}s"
        reply = await told.direct(asked, user=SHOP_READER, headers={"User-Agent": "a test"})
        found = await lines(told, reply.headers["Audit-Id"], 5)
        messages = Counter(
            re.findall(r'^[IWE]\d{4} [\d:.]+ +\d+ \w+\.py:\d+\] "((?:\\.|[^"\\])*)"', "\n".join(found), re.MULTILINE)
        )
        if messages["asked a source"] == 2:
            break
        # A source that cannot be reached is left alone for a moment after the third failure.
        await asyncio.sleep(0.1)
    # It was authorised, both sources were asked, and one of them could not be reached.
    assert messages["HTTP"] == 1
    assert messages["asked a source"] == 2
    (http,) = [line for line in found if '"HTTP"' in line]
    told_of = dict(re.findall(r' ([\w-]+)=(?:"((?:\\.|[^"\\])*)"|\d+)', http))
    assert told_of["verb"] == "LIST"
    assert told_of["URI"] == asked
    assert (told_of["userAgent"], told_of["user"]) == ("a test", SHOP_READER.name)
    assert re.fullmatch(r"[\d.]+(µs|ms|s)", told_of["latency"])
    assert re.fullmatch(r"127\.0\.0\.1:\d+", told_of["srcIP"])
    assert http.endswith(" resp=200")
    (warning,) = [line for line in found if line.startswith("W")]
    assert 'source \\"far\\": cannot be reached' in warning


async def test_the_audit_id_is_that_of_the_control_plane(api: Api):
    given = str(uuid.uuid4())
    reply = await api.proxied(TRAFFIC, headers={"Audit-Id": given})
    assert reply.headers["Audit-Id"] == given


async def test_nothing_a_client_sends_makes_a_line_of_its_own(told: Api):
    forged = "I1122 00:00:00.000000"
    reply = await told.direct(
        f"{SHOP}/deployments/x%0a{forged.replace(' ', '%20')}?labelSelector=%0A{forged.replace(' ', '%20')}",
        user=SHOP_READER,
        headers={"User-Agent": f'x" resp=200 {forged}'},
    )
    await lines(told, reply.headers["Audit-Id"])
    assert not [line for line in told.server.daemon.tail(10_000).splitlines() if line.startswith(forged)]


async def test_no_secret_is_logged_at_any_verbosity(told: Api):
    namespace, account = TOKEN_READER
    good = (await told.prints("create", "token", account, "-n", namespace)).strip()
    ids = []
    for secret in (good, "s3cr3t-and-wrong"):
        for header in (f"Bearer {secret}", f"Basic {secret}", secret):
            reply = await told.direct(f"{SHOP}/deployments", headers={"Authorization": header, "Cookie": secret})
            ids.append(reply.headers["Audit-Id"])
    for audit_id in ids:
        assert await lines(told, audit_id)
    log = told.server.daemon.tail(100_000)
    assert "TokenReview" in log
    for secret in (good, good.rpartition(".")[2], "s3cr3t-and-wrong"):
        assert secret not in log


async def test_without_verbosity_no_request_is_logged(api: Api):
    start = api.server.daemon.printed()
    reply = await api.direct(TRAFFIC, user=ADMIN)
    await api.direct(TRAFFIC)
    await asyncio.sleep(0.2)
    assert reply.status == 200
    assert api.server.daemon.tail(since=start) == ""


async def test_json_is_what_kubernetes_components_write(api: Api, prometheus: Prometheus, tmp_path: Path):
    configuration = configured(api.plane, prometheus.url) | {"logging": {"format": "json", "verbosity": 3}}
    async with run_server(api.plane, tmp_path, configuration) as server:
        reply = await Api(api.plane, server).direct(TRAFFIC, user=ADMIN)
    documents = [json.loads(line) for line in server.daemon.tail(1000).splitlines()]
    assert all({"ts", "caller", "msg"} <= document.keys() for document in documents)
    (http,) = [document for document in documents if document.get("audit-ID") == reply.headers["Audit-Id"]]
    assert (http["msg"], http["v"], http["verb"], http["URI"], http["resp"]) == ("HTTP", 3, "LIST", TRAFFIC, 200)


# What is warned of


async def test_kubectl_prints_what_is_missing_and_succeeds(api: Api, told: Api):
    await told.register()
    try:
        run = await told.kubectl("get", "trafficmetrics", "-n", "shop")
    finally:
        await api.register()
    assert run.code == 0
    assert re.match(r'Warning: source "far": cannot be reached at http://\S+', run.stderr)
    assert "deployment.web" in run.stdout
