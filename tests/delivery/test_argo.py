"""Argo Rollouts, as the documentation sets it up: each of its providers comes to the phase that the page says."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from kubectl_traffic.gate.options import read_options
from tests.delivery.conftest import TOKEN, Shop
from tests.delivery.controllers import Phase, argo_prometheus, argo_web
from tests.delivery.examples import fill, named, snippet

PAGE = "progressive-delivery.md"
ARGUMENTS = {"{{args.canary-hash}}": "5f6b", "{{args.stable-hash}}": "7d9c", "{{args.token}}": TOKEN}


def metrics(template: str) -> dict[str, Any]:
    """The metrics of an AnalysisTemplate by name, with the arguments of a run."""
    spec = named(PAGE, "AnalysisTemplate", template)["spec"]
    found = fill({metric["name"]: metric for metric in spec["metrics"]}, ARGUMENTS)
    assert "{{" not in str(found)
    return dict(found)


@pytest.mark.parametrize(
    ("success", "failure", "p99", "phase"),
    [
        pytest.param(995, 5, 0.25, Phase.SUCCESSFUL, id="good"),
        pytest.param(990, 10, 0.3, Phase.SUCCESSFUL, id="just so"),
        pytest.param(980, 20, 0.25, Phase.FAILED, id="fails too often"),
        pytest.param(1000, 0, 0.301, Phase.FAILED, id="too slow"),
        pytest.param(0, 0, None, Phase.ERROR, id="without requests"),
        pytest.param(10, 0, None, Phase.ERROR, id="without latencies"),
    ],
)
async def test_web_judges_all_at_once(shop: Shop, success: float, failure: float, p99: float | None, phase: Phase) -> None:
    shop.fares(success, failure, p99)
    assert await argo_web(metrics("traffic")["traffic"], shop.ask) == phase
    assert shop.mesh.windows == {"1m0s"}


@pytest.mark.parametrize(
    ("success", "failure", "phase"),
    [pytest.param(1000, 0, Phase.INCONCLUSIVE, id="good"), pytest.param(900, 100, Phase.FAILED, id="bad")],
)
async def test_web_does_not_take_a_part_for_success(shop: Shop, success: float, failure: float, phase: Phase) -> None:
    shop.fares(success, failure, 0.1)
    shop.other.away = True
    assert await argo_web(metrics("traffic")["traffic"], shop.ask) == phase


@pytest.mark.real
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH")
@pytest.mark.parametrize("path", ["{$.successRate}", "{$['p99\\.9Ms']}"], ids=["a key", "a key with a dot"])
async def test_web_takes_one_number_out(shop: Shop, path: str) -> None:
    """By client-go's own JSONPath."""
    shop.fares(995, 5, 0.25)
    metric = metrics("traffic")["traffic"]
    web = {**metric["provider"]["web"], "jsonPath": path, "url": metric["provider"]["web"]["url"] + "&percentiles=99.9"}
    condition = "result == 0.995" if "success" in path else "result == nil"
    found = {"provider": {"web": web}, "successCondition": condition}
    assert await argo_web(found, shop.ask) == Phase.SUCCESSFUL


async def test_web_without_the_token_or_the_server_is_an_error(shop: Shop) -> None:
    shop.fares(1000, 0, 0.1)
    metric = metrics("traffic")["traffic"]
    stranger = fill(metric, {TOKEN: "another"})
    assert await argo_web(stranger, shop.ask) == Phase.ERROR
    shop.mesh.away = shop.other.away = True
    assert await argo_web(metric, shop.ask) == Phase.ERROR


@pytest.mark.parametrize(
    ("success", "failure", "p99", "phases"),
    [
        pytest.param(995, 5, 0.25, {"success-ratio": Phase.SUCCESSFUL, "p99": Phase.SUCCESSFUL}, id="good"),
        pytest.param(900, 100, 0.25, {"success-ratio": Phase.FAILED, "p99": Phase.SUCCESSFUL}, id="fails too often"),
        pytest.param(1000, 0, 0.301, {"success-ratio": Phase.SUCCESSFUL, "p99": Phase.FAILED}, id="too slow"),
        pytest.param(0, 0, None, {"success-ratio": Phase.ERROR, "p99": Phase.ERROR}, id="without requests"),
    ],
)
async def test_prometheus_judges_each_number(
    shop: Shop, success: float, failure: float, p99: float | None, phases: dict[str, Phase]
) -> None:
    shop.fares(success, failure, p99)
    found = metrics("traffic-by-query")
    assert {name: await argo_prometheus(metric, shop.ask) for name, metric in found.items()} == phases
    assert shop.mesh.windows == {"1m0s"}


def test_the_rollout_gives_the_hash_of_the_new_version() -> None:
    analysis = snippet(PAGE, "strategy")["strategy"]["canary"]["analysis"]
    template = named(PAGE, "AnalysisTemplate", analysis["templates"][0]["templateName"])
    wanted = {argument["name"] for argument in template["spec"]["args"] if "valueFrom" not in argument}
    given = {argument["name"]: argument["valueFrom"]["podTemplateHashValue"] for argument in analysis["args"]}
    assert given == dict.fromkeys(wanted, "Latest")


def test_the_job_is_a_gate_that_compares_both_versions() -> None:
    (container,) = metrics("gate")["gate"]["provider"]["job"]["spec"]["template"]["spec"]["containers"]
    verb, *arguments = container["args"]
    options = read_options(arguments)
    assert options is not None
    assert (verb, [subject.name for subject in options.subjects]) == ("gate", ["web-7d9c", "web-5f6b"])
    assert {subject.type.plural for subject in options.subjects if subject.type} == {"replicasets"}
    assert (options.duration, str(options.window)) == (300, "1m0s")


def test_all_of_them_are_the_service_account_of_the_page() -> None:
    account = named(PAGE, "ServiceAccount", "canary-reads-traffic")["metadata"]
    secret = named(PAGE, "Secret", "canary-reads-traffic")["metadata"]
    assert secret["annotations"] == {"kubernetes.io/service-account.name": account["name"]}
    for name in ("traffic", "traffic-by-query"):
        (token,) = (each for each in named(PAGE, "AnalysisTemplate", name)["spec"]["args"] if each["name"] == "token")
        assert token["valueFrom"]["secretKeyRef"] == {"name": secret["name"], "key": "token"}
    pod = metrics("gate")["gate"]["provider"]["job"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["name"]
