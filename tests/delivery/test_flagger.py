"""Flagger, as the documentation sets it up: what each template comes to, and when it halts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.delivery.conftest import TOKEN, Shop
from tests.delivery.controllers import NoValue, flagger_external, flagger_prometheus
from tests.delivery.examples import fill, named, snippet

PAGE = "progressive-delivery.md"
VARIABLES = {"{{ namespace }}": "shop", "{{ target }}": "web", "{{ interval }}": "1m"}


def template(name: str) -> Any:
    """A MetricTemplate whose query is rendered."""
    found = fill(named(PAGE, "MetricTemplate", name), VARIABLES)
    assert "{{" not in str(found)
    return found


def within(name: str, value: float) -> bool:
    """Whether a number is in the range that the canary of the page accepts of a template."""
    metrics = snippet(PAGE, "analysis")["analysis"]["metrics"]
    (limits,) = (metric["thresholdRange"] for metric in metrics if metric["templateRef"]["name"] == name)
    return bool(limits.get("min", value) <= value <= limits.get("max", value))


@pytest.mark.parametrize(
    ("numbers", "ratio", "good", "seconds", "fast"),
    [
        pytest.param((995, 5, 0.25), 0.995, True, 0.25, True, id="good"),
        pytest.param((98, 2, 0.25), 0.98, False, 0.25, True, id="fails too often"),
        pytest.param((1000, 0, 0.301), 1.0, True, 0.301, False, id="too slow"),
    ],
)
async def test_prometheus_holds_each_number_against_its_threshold(
    shop: Shop,
    numbers: tuple[float, float, float],
    ratio: float,
    *,
    good: bool,
    seconds: float,
    fast: bool,
) -> None:
    shop.fares(*numbers)
    found = await flagger_prometheus(template("success-ratio"), shop.ask, TOKEN)
    assert (found, within("success-ratio", found)) == (ratio, good)
    found = await flagger_prometheus(template("p99-seconds"), shop.ask, TOKEN)
    assert (found, within("p99-seconds", found)) == (seconds, fast)
    assert shop.mesh.windows == {"1m0s"}


async def test_external_metrics_are_read_by_address(shop: Shop) -> None:
    shop.fares(995, 5, 0.2505)
    found = template("p99-milliseconds")
    assert found["spec"]["provider"]["address"] == "https://trafficmetrics.trafficmetrics.svc"
    assert await flagger_external(found, shop.ask, TOKEN) == 250.5
    assert shop.mesh.windows == {"1m0s"}


@pytest.mark.parametrize(
    ("metric", "value"),
    [("requests_per_second", 1000 / 60), ("failure_ratio", 0.005), ("success_ratio", 0.995), ("p50_response_latency_ms", 62.5)],
)
async def test_external_metrics_have_every_name_of_the_page(shop: Shop, metric: str, value: float) -> None:
    shop.fares(995, 5, 0.25)
    other = fill(template("p99-milliseconds"), {"p99_response_latency_ms": metric})
    assert await flagger_external(other, shop.ask, TOKEN) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("name", ["success-ratio", "p99-seconds"])
@pytest.mark.parametrize("state", ["idle", "gone", "away"])
async def test_flagger_halts_without_a_number(shop: Shop, name: str, state: str) -> None:
    shop.fares(0, 0, None)
    if state == "gone":
        shop.mesh.versions = {}
    shop.mesh.away = shop.other.away = state == "away"
    with pytest.raises(NoValue):
        await flagger_prometheus(template(name), shop.ask, TOKEN)


@pytest.mark.parametrize("state", ["idle", "gone"])
async def test_flagger_halts_without_an_external_metric(shop: Shop, state: str) -> None:
    shop.fares(0, 0, None)
    if state == "gone":
        shop.mesh.versions = {}
    with pytest.raises(NoValue, match="no external metrics found"):
        await flagger_external(template("p99-milliseconds"), shop.ask, TOKEN)


async def test_a_token_is_needed(shop: Shop) -> None:
    shop.fares(1000, 0, 0.1)
    with pytest.raises(NoValue, match="Unauthorized"):
        await flagger_prometheus(template("success-ratio"), shop.ask, "another")
    with pytest.raises(NoValue, match="Unauthorized"):
        await flagger_external(template("p99-milliseconds"), shop.ask, "another")


def test_the_values_of_the_chart_are_where_every_pod_has_its_authority() -> None:
    values = snippet(PAGE, "additionalVolumes")
    (volume,), (mount,) = values["additionalVolumes"], values["additionalVolumeMounts"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/var/run/secrets/kubernetes.io/serviceaccount")
    sources = {kind: source for each in volume["projected"]["sources"] for kind, source in each.items()}
    assert sources["serviceAccountToken"]["path"] == "token"
    assert sources["configMap"] == {"name": "authorities"}
