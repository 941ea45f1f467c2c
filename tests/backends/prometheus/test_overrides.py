"""Overrides change what a real Prometheus is asked, and the numbers that come of it; every number here was worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.prometheus import PrometheusBackend, read_settings
from metrics_api import TrafficQuery, Window
from metrics_api.document import Problems, parse_document
from tests.doubles.backfill import INSTANT, backfilled_prometheus

pytestmark = pytest.mark.real

SERVED = (
    # status_code, grpc_status, classification, route_name, per second
    ("200", "", "success", "api", 1.0),
    ("429", "", "success", "api", 0.5),
    ("404", "", "success", "api", 0.25),
    ("503", "", "failure", "api", 0.2),
    ("200", "14", "failure", "api", 0.1),
    ("200", "2", "failure", "api", 0.15),
    ("200", "", "success", "/healthz", 2.0),
)
"""What a Linkerd proxy counted. In a minute: 60, 30, 15, 12, 6, 9, and 120 of health checks."""

ENVOY = {"2": 1.0, "4": 0.5, "5": 0.25}
"""What an Envoy counted by class. In a minute: 60, 30, 15."""

ENVOY_GRPC = {"2": 0.1, "14": 0.25, "1": 0.05}
"""Of these, by the status of gRPC: 6, 15 (nobody was found to answer, so these are the 15 of class 5), 3."""


def series() -> dict[str, tuple[float, float]]:
    """Two replicas of one Prometheus that scrape the same proxies, which tell their pods as ``pod_name``."""
    found: dict[str, tuple[float, float]] = {}
    for replica in ("a", "b"):
        for namespace, app in (("shop", "web"), ("", "lone")):
            for code, status, classification, route, rate in SERVED:
                own = f'direction="inbound",tls="true",deployment="{app}",pod_name="{app}-1",replica="{replica}"'
                own += f',namespace="{namespace}"' if namespace else ""
                told = f'status_code="{code}",grpc_status="{status}",classification="{classification}",route_name="{route}"'
                found[f"response_total{{{own},{told}}}"] = (0.0, rate)
    own = 'envoy_cluster_name="local_app",namespace="shop",deployment="api"'
    for code, rate in ENVOY.items():
        found[f'envoy_cluster_upstream_rq_xx{{{own},envoy_response_code_class="{code}"}}'] = (0.0, rate)
    for status, rate in ENVOY_GRPC.items():
        found[f"envoy_cluster_grpc_{status}{{{own}}}"] = (0.0, rate)
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with backfilled_prometheus(tmp_path_factory.mktemp("overrides"), series()) as url:
        yield url


async def answers(
    store: str, dialect: str, overrides: str, kind: str = "Deployment"
) -> dict[str, tuple[float | None, float | None]]:
    """Successes and failures of a minute by namespace and name, asked as a configuration file would have it."""
    problems = Problems()
    text = f'{{name: mesh, url: "{store}", dialect: {dialect}, scrapeInterval: 20s, overrides: {overrides}}}'
    node = parse_document(text, "c.yaml", problems)
    settings = read_settings(node, "mesh")
    assert problems.found == []
    assert settings is not None
    async with PrometheusBackend(settings) as backend:
        answer = await backend.answer(TrafficQuery((kind,), Window(60), INSTANT))
    assert answer.warnings == ()
    assert len({(sample.resource.namespace, sample.resource.name) for sample in answer.samples}) == len(answer.samples)
    return {
        f"{sample.resource.namespace}/{sample.resource.name}": (_rounded(sample.success), _rounded(sample.failure))
        for sample in answer.samples
    }


def _rounded(count: float | None) -> float | None:
    return None if count is None else round(count, 6)


ONE = "match: 'replica=\"a\"'"


@pytest.mark.parametrize(
    ("overrides", "numbers"),
    [
        pytest.param("{}", (450, 54), id="two replicas double everything"),
        pytest.param(f"{{{ONE}}}", (225, 27), id="a matcher for one replica halves it"),
        pytest.param(f'{{{ONE}, failure: {{http: ["5xx", "429"]}}}}', (195, 57), id="too many requests are failures"),
        pytest.param(f'{{{ONE}, failure: {{http: ["5xx", "4xx"]}}}}', (180, 72), id="all of 4xx are failures"),
        pytest.param(f'{{{ONE}, ignore: {{http: ["4xx"]}}}}', (180, 27), id="4xx count as neither"),
        pytest.param(f'{{{ONE}, failure: {{http: ["429"]}}, ignore: {{http: ["4xx"]}}}}', (192, 45), id="but for one of them"),
        pytest.param(f"{{{ONE}, failure: {{grpc: [UNAVAILABLE]}}}}", (234, 18), id="of gRPC only UNAVAILABLE fails"),
        pytest.param(f"{{{ONE}, ignore: {{grpc: [2]}}}}", (225, 18), id="UNKNOWN counts as neither"),
        pytest.param(f'{{{ONE}, excludedRoutes: ["/health*"]}}', (105, 27), id="health checks are left out"),
        pytest.param(
            f'{{{ONE}, excludedRoutes: ["api"], routeLabel: route_name}}', (120, 0), id="all but health checks are left out"
        ),
        pytest.param(f"{{{ONE}, labels: {{deployment: pod_name}}}}", None, id="by another label there are other names"),
    ],
)
async def test_the_numbers_follow_the_overrides(store: str, overrides: str, numbers: tuple[float, float] | None):
    got = await answers(store, "linkerd", overrides)
    assert got.get("shop/web") == numbers
    assert "/lone" not in got


async def test_a_namespace_is_given_to_those_without_one(store: str):
    assert await answers(store, "linkerd", f"{{{ONE}, namespace: bank}}") == {"shop/web": (225, 27), "bank/lone": (225, 27)}
    assert await answers(store, "linkerd", f"{{{ONE}, namespace: bank}}", "Namespace") == {"/shop": (225, 27), "/bank": (225, 27)}
    assert await answers(store, "linkerd", f"{{{ONE}, namespace: shop}}", "Namespace") == {"/shop": (450, 54)}


async def test_pods_are_found_under_the_name_their_label_has_here(store: str):
    assert await answers(store, "linkerd", f"{{{ONE}}}", "Pod") == {}
    assert await answers(store, "linkerd", f"{{{ONE}, labels: {{pod: pod_name}}}}", "Pod") == {"shop/web-1": (225, 27)}


@pytest.mark.parametrize(
    ("overrides", "numbers"),
    [
        pytest.param("{}", (84, 21), id="as Envoy counts"),
        pytest.param("{failure: {grpc: [14]}}", (90, 15), id="of gRPC only UNAVAILABLE fails"),
        pytest.param("{failure: {grpc: [1, 14]}}", (87, 18), id="and CANCELLED"),
        pytest.param('{failure: {http: ["5xx", "4xx"]}}', (54, 51), id="4xx fail"),
        pytest.param('{ignore: {http: ["4xx"]}}', (54, 21), id="4xx count as neither"),
    ],
)
async def test_statuses_with_counters_of_their_own_follow_them_too(store: str, overrides: str, numbers: tuple[float, float]):
    assert await answers(store, "envoy", overrides) == {"shop/api": numbers}


async def test_a_dialect_that_was_found_out_is_overridden_as_well(store: str):
    """It takes what it can; a route's label is nothing for Envoy, say, which this store has no sign of."""
    wanted = f'{{{ONE}, failure: {{http: ["5xx", "429"]}}, excludedRoutes: ["/healthz"], namespace: bank}}'
    assert await answers(store, "auto", wanted) == {"shop/web": (75, 57), "bank/lone": (75, 57)}
