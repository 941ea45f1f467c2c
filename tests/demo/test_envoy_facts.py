"""What Envoy counts, found out from Envoy itself: the facts that the dialect ``envoy`` and the demonstration rest on.

Each test sends requests whose outcome is known and names what the counters say then. A failure here after an upgrade of Envoy means that
the dialect has to change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from apiservice.demo.bootstrap import Cluster
from apiservice.demo.shop import LOCAL_APP, Route
from backends.dialects import load_dialect
from backends.scrape import ScrapeSettings, Target
from backends.scrape.fetch import Fetcher
from backends.scrape.serverinfo import envoy_versions
from tests.demo.lab import Config, Laboratory, laboratory, serve_grpc, serve_http, serve_lines

pytestmark = pytest.mark.real

OK_BYTES = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
UNAVAILABLE_BYTES = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


async def _reserve(path: str) -> int:
    """The method's name tells the status: ``/shop.Inventory/Fail14``."""
    return int(path.rpartition("Fail")[2] or 0) if "Fail" in path else 0


@pytest.fixture(scope="module")
async def lab(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Laboratory]:
    """One proxy for all facts; each has clusters of its own, so that counts are exact."""

    def retry(config: Config) -> None:
        hosts = config["static_resources"]["listeners"][1]["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]
        for host in hosts["virtual_hosts"]:
            if host["name"] == "retried.lab":
                host["routes"][0]["route"]["retry_policy"] = {"retry_on": "5xx", "num_retries": 1}

    async with AsyncExitStack() as stack:
        http = await serve_http(stack)
        grpc = await serve_grpc(stack, _reserve)
        hinting = await serve_lines(stack, lambda _: EARLY_HINTS + OK_BYTES)
        flapping = await serve_lines(stack, lambda n: OK_BYTES if n % 2 else UNAVAILABLE_BYTES)
        names = ("classes.lab", "idle.lab", "times.lab", "late.lab", "left.lab", LOCAL_APP)
        clusters = [
            *(Cluster(name, (http,)) for name in names),
            *(Cluster(name, (grpc,)) for name in ("grpc.lab", "both.lab")),
            Cluster("hinted.lab", (hinting,)),
            Cluster("retried.lab", (flapping,)),
            *(Cluster(name, (1,)) for name in ("refused.lab", "refusedgrpc.lab")),
            Cluster("empty.lab", ()),
        ]
        yield await stack.enter_async_context(
            laboratory(envoy, tmp_path_factory.mktemp("facts"), clusters, change=retry, timeout=0.4)
        )


async def test_every_response_is_counted_once_under_its_class(lab: Laboratory):
    for status, times in ((200, 5), (204, 1), (302, 2), (404, 3), (503, 4)):
        for _ in range(times):
            assert await lab.ask("classes.lab", f"/?status={status}") == status
    series = await lab.scrape()
    assert series.classes("classes.lab") == {"2": 6, "3": 2, "4": 3, "5": 4}
    # The same requests are counted once more under other metrics, which must not be added.
    assert (
        series.value("envoy_cluster_external_upstream_rq_xx", envoy_cluster_name="classes.lab", envoy_response_code_class="5") == 4
    )


async def test_a_cluster_has_no_classes_before_its_first_response(lab: Laboratory):
    series = await lab.scrape()
    assert series.classes("idle.lab") == {}
    assert series.value("envoy_cluster_upstream_rq_total", envoy_cluster_name="idle.lab") == 0


async def test_an_informational_response_is_counted_beside_the_final_one(lab: Laboratory):
    assert await lab.ask("hinted.lab") == 200
    series = await lab.scrape_when(lambda it: it.buckets("hinted.lab"))
    assert series.classes("hinted.lab") == {"1": 1, "2": 1}
    assert sum(series.buckets("hinted.lab").values()) == 1


async def test_times_are_milliseconds_of_the_whole_request(lab: Laboratory):
    # Far from the next bound, so that a busy machine may be late.
    for seconds in ("0.130", "0.130", "0.130", "0.270"):
        assert await lab.ask("times.lab", f"/?seconds={seconds}") == 200
    series = await lab.scrape_when(lambda it: it.value("envoy_cluster_upstream_rq_time_count", envoy_cluster_name="times.lab") == 4)
    assert series.buckets("times.lab") == {"250": 3, "500": 1}
    total = series.value("envoy_cluster_upstream_rq_time_sum", envoy_cluster_name="times.lab")
    # The sum is put together from fine buckets and is near the truth; seconds would be a thousandth of it.
    assert total == pytest.approx(660, rel=0.25)


async def test_the_proxys_own_replies_are_failures_without_a_time(lab: Laboratory):
    assert await lab.ask("empty.lab") == 503  # no healthy upstream
    assert await lab.ask("refused.lab") == 503  # no connection
    assert await lab.ask("late.lab", "/?seconds=0.6") == 504  # no answer in time
    assert await lab.ask("late.lab") == 200
    series = await lab.scrape_when(lambda it: it.value("envoy_cluster_upstream_rq_time_count", envoy_cluster_name="late.lab"))
    assert series.classes("empty.lab") == {"5": 1}
    assert series.classes("refused.lab") == {"5": 1}
    assert series.classes("late.lab") == {"2": 1, "5": 1}
    assert series.value("envoy_cluster_upstream_rq_time_count", envoy_cluster_name="late.lab") == 1
    assert series.value("envoy_cluster_upstream_rq_time_count", envoy_cluster_name="refused.lab") is None


async def test_a_request_its_client_gave_up_is_counted_in_no_class(lab: Laboratory):
    assert await lab.ask("left.lab", "/?seconds=0.3", patience=0.1) == 0
    await asyncio.sleep(0.3)
    series = await lab.scrape()
    assert series.value("envoy_cluster_upstream_rq_total", envoy_cluster_name="left.lab") == 1
    assert series.classes("left.lab") == {}


async def test_of_a_retried_request_the_final_response_alone_is_counted(lab: Laboratory):
    assert await lab.ask("retried.lab") == 200
    series = await lab.scrape_when(lambda it: it.value("envoy_cluster_upstream_rq_time_count", envoy_cluster_name="retried.lab"))
    assert series.classes("retried.lab") == {"2": 1}
    assert series.value("envoy_cluster_upstream_rq_total", envoy_cluster_name="retried.lab") == 2
    assert series.value("envoy_cluster_upstream_rq_time_count", envoy_cluster_name="retried.lab") == 1


async def test_grpc_failures_are_http_successes_and_counted_by_status(lab: Laboratory):
    for method, times in (("Reserve", 5), ("Fail14", 3), ("Fail5", 2)):
        for _ in range(times):
            await lab.call("grpc.lab", f"/shop.Inventory/{method}")
    series = await lab.scrape()
    assert series.classes("grpc.lab") == {"2": 10}
    assert {status: series.value(f"envoy_cluster_grpc_{status}", envoy_cluster_name="grpc.lab") for status in (0, 14, 5, 13)} == {
        0: 5,
        14: 3,
        5: 2,
        13: None,
    }


async def test_the_proxys_own_reply_to_a_grpc_call_is_counted_as_http_and_as_grpc_failure(lab: Laboratory):
    headers = await lab.call("refusedgrpc.lab")
    assert headers["grpc-status"] == "14"
    series = await lab.scrape()
    assert series.classes("refusedgrpc.lab") == {"5": 1}
    assert series.value("envoy_cluster_grpc_14", envoy_cluster_name="refusedgrpc.lab") == 1
    assert series.value("envoy_cluster_grpc_total", envoy_cluster_name="refusedgrpc.lab") == 1


async def test_the_dialect_names_what_envoy_exposes(lab: Laboratory):
    await lab.knock("/?status=200")
    await lab.ask("both.lab", "/?status=200")
    for status in (2, 4, 7, 13, 14, 15):
        await lab.call("both.lab", f"/shop.Inventory/Fail{status}")
    exposed = (await lab.scrape_when(lambda it: it.buckets("both.lab"))).metrics()
    for view in load_dialect("envoy").views:
        histograms = {f"{item.metric}_{suffix}" for item in view.latencies for suffix in ("bucket", "sum")}
        assert {*view.counters, *histograms, *(name for each in view.corrections for name in each.metrics)} <= exposed


async def test_histograms_wait_for_the_flush_and_counters_do_not(envoy: Path, tmp_path: Path):
    async with AsyncExitStack() as stack:
        clusters = [Cluster("api.lab", (await serve_http(stack),))]
        lab = await stack.enter_async_context(laboratory(envoy, tmp_path, clusters, flush=200))
        assert await lab.ask("api.lab") == 200
        series = await lab.scrape()
        assert series.classes("api.lab") == {"2": 1}
        assert series.value("envoy_cluster_upstream_rq_time_count", envoy_cluster_name="api.lab") in (None, 0)


async def test_a_gateways_listener_counts_what_it_received_even_where_no_route_leads(envoy: Path, tmp_path: Path):
    async with AsyncExitStack() as stack:
        clusters = [Cluster("api.lab", (await serve_http(stack),))]
        routes = [Route("/api", "api.lab")]
        lab = await stack.enter_async_context(laboratory(envoy, tmp_path, clusters, routes=routes))
        labels = {"envoy_http_conn_manager_prefix": "ingress_http"}
        before = await lab.scrape()
        assert before.value("envoy_http_downstream_rq_xx", envoy_response_code_class="5", **labels) == 0
        assert await lab.knock("/api?status=500") == 500
        assert await lab.knock("/elsewhere") == 404
        series = await lab.scrape_when(lambda it: it.value("envoy_http_downstream_rq_time_count", **labels) == 2)
        found = {each: series.value("envoy_http_downstream_rq_xx", envoy_response_code_class=each, **labels) for each in "12345"}
        assert found == {"1": 0, "2": 0, "3": 0, "4": 1, "5": 1}
        assert series.classes("api.lab") == {"5": 1}


def _default_tags(config: Config) -> None:
    del config["stats_config"]


def _all_methods(config: Config, *, replace_dots: bool = False) -> None:
    _default_tags(config)
    for listener in config["static_resources"]["listeners"]:
        stats = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"][0]["typed_config"]
        stats |= {"stats_for_all_methods": True, "replace_dots_in_grpc_service_name": replace_dots}


async def test_without_a_rule_of_ones_own_a_dot_ends_the_name_of_a_cluster(envoy: Path, tmp_path: Path):
    async with AsyncExitStack() as stack:
        http = await serve_http(stack)
        clusters = [Cluster(name, (http,)) for name in ("api.shop", "api_shop", "api.shop.svc.cluster.local")]
        lab = await stack.enter_async_context(laboratory(envoy, tmp_path, clusters, change=_default_tags))
        for cluster in clusters:
            assert await lab.ask(cluster.name) == 200
        series = await lab.scrape()
        assert series.classes("api_shop") == {"2": 1}
        assert series.classes("api.shop") == {}
        assert series.value("envoy_cluster_shop_upstream_rq_xx", envoy_cluster_name="api", envoy_response_code_class="2") == 1
        assert (
            series.value(
                "envoy_cluster_shop_svc_cluster_local_upstream_rq_xx",
                envoy_cluster_name="api",
                envoy_response_code_class="2",
            )
            == 1
        )


@pytest.mark.parametrize(
    ("change", "metric", "labels"),
    [
        pytest.param(_default_tags, "envoy_cluster_grpc_14", {}, id="all methods together: one counter for each status"),
        pytest.param(
            _all_methods,
            "envoy_cluster_grpc_Fail14_14",
            {"envoy_grpc_bridge_service": "shop", "envoy_grpc_bridge_method": "Inventory"},
            id="every method, service in a package: the method is in the name of the metric",
        ),
        pytest.param(
            lambda config: _all_methods(config, replace_dots=True),
            "envoy_cluster_grpc_14",
            {"envoy_grpc_bridge_service": "shop_Inventory", "envoy_grpc_bridge_method": "Fail14"},
            id="every method, dots replaced: labels tell the method",
        ),
    ],
)
async def test_how_grpc_stats_is_set_decides_where_failures_are_counted(
    envoy: Path, tmp_path: Path, change: Callable[[Config], None], metric: str, labels: dict[str, str]
):
    async with AsyncExitStack() as stack:
        clusters = [Cluster("inventory", (await serve_grpc(stack, _reserve),))]
        lab = await stack.enter_async_context(laboratory(envoy, tmp_path, clusters, change=change))
        await lab.call("inventory", "/shop.Inventory/Fail14")
        assert (await lab.scrape()).value(metric, envoy_cluster_name="inventory", **labels) == 1


async def test_its_admin_interface_says_which_version_it_is(lab: Laboratory, envoy: Path):
    process = await asyncio.create_subprocess_exec(str(envoy), "--version", stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    settings = ScrapeSettings("lab", load_dialect("envoy"), (Target(lab.proxy.admin),))
    async with Fetcher(settings) as fetcher:
        (version,) = await envoy_versions(fetcher, settings.targets)
    assert f"/{version}/" in told.decode()
