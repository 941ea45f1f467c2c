"""``custom.metrics.k8s.io`` as the HorizontalPodAutoscaler asks it: its recorded requests, and the rules its arithmetic rests on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apiservice.requestinfo import RequestInfo
from apiservice.surfaces.autoscaling import CustomMetrics
from tests.apiservice.asking import status_of
from tests.apiservice.memory import Door
from tests.unit.surfaces.autoscaling.shop import CUSTOM, TIME, Shop, client, items

PODS = f"{CUSTOM}/namespaces/shop/pods/%2A/requests_per_second"
KCM = {
    "Accept": "application/vnd.kubernetes.protobuf, */*",
    "User-Agent": "kube-controller-manager/v1.36.0 horizontal-pod-autoscaler",
}


def names(found: list[Any]) -> dict[str, str]:
    return {item["describedObject"]["name"]: item["value"] for item in found}


@pytest.mark.parametrize(
    ("path", "described", "value"),
    [
        pytest.param(
            "namespaces/shop/deployments.apps/web/requests_per_second?metricLabelSelector=direction%3Dfrom",
            {"kind": "Deployment", "namespace": "shop", "name": "web", "apiVersion": "apps/v1"},
            "12500m",
            id="a deployment, with its group",
        ),
        pytest.param(
            "namespaces/shop/deployments/web/p99_response_latency_ms",
            {"kind": "Deployment", "namespace": "shop", "name": "web", "apiVersion": "apps/v1"},
            "12345m",
            id="a deployment, without",
        ),
        pytest.param(
            "namespaces/shop/metrics/failure_ratio",
            {"kind": "Namespace", "name": "shop", "apiVersion": "/v1"},
            "21739u",
            id="the namespace itself",
        ),
        pytest.param(
            "namespaces/shop/services/web/success_ratio",
            {"kind": "Service", "namespace": "shop", "name": "web", "apiVersion": "/v1"},
            "1",
            id="a service",
        ),
        pytest.param(
            "nodes/node-1/requests_per_second",
            {"kind": "Node", "name": "node-1", "apiVersion": "/v1"},
            "40",
            id="what is in no namespace",
        ),
        pytest.param(
            "namespaces/shop/httproutes.gateway.networking.k8s.io/front/requests_per_second",
            {"kind": "HTTPRoute", "namespace": "shop", "name": "front", "apiVersion": "gateway.networking.k8s.io/v1"},
            "4",
            id="a route, all its backends",
        ),
        pytest.param(
            "namespaces/shop/httproutes/front/p99_response_latency_ms?metricLabelSelector=backend%3Dweb-v2",
            {"kind": "HTTPRoute", "namespace": "shop", "name": "front", "apiVersion": "gateway.networking.k8s.io/v1"},
            "7",
            id="a route, one of them",
        ),
        pytest.param(
            "namespaces/shop/pods/web-3/requests_per_second",
            {"kind": "Pod", "namespace": "shop", "name": "web-3", "apiVersion": "/v1"},
            "0",
            id="a ready pod without traffic",
        ),
    ],
)
async def test_one_object_has_exactly_one_item(path: str, described: dict[str, str], value: str):
    async with client() as session, session.get(f"{CUSTOM}/{path}", headers=KCM) as response:
        document = await response.json()
    assert (response.status, document["kind"], len(document["items"])) == (200, "MetricValueList", 1)
    assert (document["items"][0]["describedObject"], document["items"][0]["value"]) == (described, value)


async def test_the_bodies_are_those_of_each_version():
    path = "namespaces/shop/deployments.apps/web/requests_per_second?metricLabelSelector=window%3D1m"
    described = {"kind": "Deployment", "namespace": "shop", "name": "web", "apiVersion": "apps/v1"}
    selector = {"matchLabels": {"window": "1m"}}
    async with client() as session:
        async with session.get(f"{CUSTOM}/{path}") as response:
            newer = await response.json()
        async with session.get(f"{CUSTOM.replace('v1beta2', 'v1beta1')}/{path}") as response:
            older = await response.json()
    assert newer == {
        "kind": "MetricValueList",
        "apiVersion": "custom.metrics.k8s.io/v1beta2",
        "metadata": {},
        "items": [
            {
                "describedObject": described,
                "metric": {"name": "requests_per_second", "selector": selector},
                "timestamp": TIME,
                "windowSeconds": 60,
                "value": "6250m",
            }
        ],
    }
    assert older == {
        "kind": "MetricValueList",
        "apiVersion": "custom.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "describedObject": described,
                "metricName": "requests_per_second",
                "timestamp": TIME,
                "window": 60,
                "value": "6250m",
                "selector": selector,
            }
        ],
    }


@pytest.mark.parametrize(
    "accept",
    ["application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf, */*", "application/json, */*", "text/html", ""],
)
async def test_the_answer_is_json_whatever_the_client_accepts(accept: str):
    async with client() as session, session.get(PODS, headers={"Accept": accept}) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
        assert (await response.json())["items"][0]["metric"]["selector"] is None


# Pods


async def test_ready_pods_without_traffic_have_a_zero_and_others_are_left_out():
    async with client(ready=["web-3"]) as session:
        found = names(await items(session, PODS, labelSelector="app=web"))
    assert found == {"web-1": "12500m", "web-2": "0", "web-3": "0"}


async def test_every_pod_is_meant_without_a_selector():
    async with client() as session:
        assert list(names(await items(session, PODS))) == ["api-1", "web-1", "web-2", "web-3"]


@pytest.mark.parametrize("metric", ["p99_response_latency_ms", "failure_ratio", "success_ratio"])
async def test_pods_of_which_a_metric_is_unknown_are_left_out(metric: str):
    async with client() as session:
        found = names(await items(session, PODS.replace("requests_per_second", metric), labelSelector="app=web"))
    assert list(found) == ["web-1"]


async def test_silence_of_a_whole_namespace_is_not_taken_for_an_end_of_traffic():
    path = f"{CUSTOM}/namespaces/silence/pods"
    async with client() as session:
        assert await items(session, f"{path}/*/requests_per_second", labelSelector="app=quiet") == []
        async with session.get(f"{path}/quiet-1/requests_per_second") as response:
            assert response.status == 404


async def test_labels_choose_among_any_objects():
    async with client() as session:
        found = await items(session, f"{CUSTOM}/namespaces/shop/deployments.apps/*/requests_per_second", labelSelector="app=api")
        assert names(found) == {"api": "10"}
        assert list(names(await items(session, f"{CUSTOM}/namespaces/*/metrics/requests_per_second"))) == ["data", "shop"]
        assert list(names(await items(session, f"{CUSTOM}/nodes/*/requests_per_second"))) == ["node-1"]


# What is not known


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param(
            "namespaces/shop/deployments.apps/web/cpu",
            "the server could not find the metric cpu for deployments.apps web: there are requests_per_second, ",
            id="no such metric",
        ),
        pytest.param(
            "namespaces/shop/pods/*/cpu",
            "the server could not find the metric cpu for pods *: there are ",
            id="no such metric of pods",
        ),
        pytest.param(
            "namespaces/shop/deployments.apps/api/p99_response_latency_ms",
            "the server could not find the metric p99_response_latency_ms for deployments.apps api: in the last 30s nothing was ",
            id="a percentile that is unknown",
        ),
        pytest.param(
            "namespaces/shop/deployments.apps/idle/requests_per_second",
            "the server could not find the metric requests_per_second for deployments.apps idle: in the last 30s nothing was ",
            id="an object of which nothing was observed",
        ),
        pytest.param(
            "namespaces/shop/deployments.apps/nobody/requests_per_second",
            "the server could not find the metric requests_per_second for deployments.apps nobody: deployments",
            id="an object there is not",
        ),
        pytest.param(
            "namespaces/shop/pods/web-4/requests_per_second",
            "the server could not find the metric requests_per_second for pods web-4: ",
            id="a pod that is not ready",
        ),
        pytest.param(
            "namespaces/shop/httproutes/front/p99_response_latency_ms",
            "the server could not find the metric p99_response_latency_ms for httproutes front: ",
            id="a percentile of several backends",
        ),
        pytest.param(
            "namespaces/shop/rollouts.argoproj.io/web/failure_ratio",
            " for rollouts.argoproj.io web: there are namespaces, ",
            id="a kind",
        ),
        pytest.param(
            "namespaces/shop/deployments.extensions/web/failure_ratio",
            " for deployments.extensions web: there are ",
            id="another group",
        ),
    ],
)
async def test_what_is_not_known_is_404_in_the_words_of_the_reference_library(path: str, message: str):
    async with client() as session, session.get(f"{CUSTOM}/{path}") as response:
        status = await status_of(response)
    assert (status["code"], status["reason"]) == (404, "NotFound")
    assert message in status["message"]


@pytest.mark.parametrize(
    "path",
    [
        "namespaces/shop/deployments.apps/web",
        "namespaces/shop/deployments.apps",
        "namespaces/shop",
        "namespaces/shop/metrics",
        "namespaces/shop/deployments.apps/web/requests_per_second/more",
        "namespaces/shop/nodes/node-1/requests_per_second",
        "pods/web-1/requests_per_second",
        "pods/*/requests_per_second",
        "deployments.apps/*/failure_ratio",
        "namespaces/*/pods/*/requests_per_second",
    ],
)
async def test_other_paths_lead_nowhere(path: str):
    async with client() as session, session.get(f"{CUSTOM}/{path}") as response:
        assert (await status_of(response))["code"] == 404


async def test_other_versions_lead_nowhere():
    async with client() as session, session.get(PODS.replace("v1beta2", "v1alpha1")) as response:
        assert (await status_of(response))["code"] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_can_be_written(method: str):
    async with client() as session, session.request(method, PODS) as response:
        assert (await status_of(response))["code"] == 405


# What would be acted on


async def test_a_rate_that_may_be_of_a_part_is_no_number():
    shop = Shop(incomplete=True, warnings=('source "east": no answer',))
    async with client(shop) as session:
        for path in (PODS, f"{CUSTOM}/namespaces/shop/deployments.apps/web/requests_per_second"):
            async with session.get(path) as response:
                status = await status_of(response)
            assert (status["code"], "Retry-After" in response.headers) == (503, False)
            assert 'source "east": no answer' in status["message"]
        async with session.get(PODS.replace("requests_per_second", "failure_ratio")) as response:
            assert response.status == 200
            assert 'source \\"east\\": no answer' in response.headers["Warning"]


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("direction=to", "direction=from"),
        ("peer=api", 'there is no label "peer" to choose by; there are window, direction, backend'),
        ("window=1.5s", "whole seconds"),
        ("window=soon", "not a duration"),
        ("window in (1m,5m)", "takes one value"),
        ("window!=1m", "does not say what is meant"),
        ("window", "does not say what is meant"),
        ("window=1m,window=5m", "twice"),
        ("backend=web-v1", "only what splits traffic has backends"),
        ("a=b=c", "unable to parse"),
    ],
)
async def test_a_selector_that_asks_for_something_else_is_an_error(selector: str, told: str):
    async with client() as session, session.get(PODS, params={"metricLabelSelector": selector}) as response:
        status = await status_of(response)
    assert status["code"] == 400
    assert told in status["message"]


async def test_a_malformed_selector_of_pods_is_an_error():
    async with client() as session, session.get(PODS, params={"labelSelector": "app in"}) as response:
        assert (await status_of(response))["code"] == 400


# Who may


async def test_the_request_is_authorised_as_such_and_nothing_else_is_asked():
    door = Door()
    async with client(door=door) as session:
        await items(session, PODS, labelSelector="app=web")
    (seen,) = door.seen
    assert (seen.verb, seen.group, seen.namespace, seen.resource, seen.name, seen.subresource) == (
        "get",
        "custom.metrics.k8s.io",
        "shop",
        "pods",
        "*",
        "requests_per_second",
    )


async def test_who_may_not_is_told_nothing():
    shop, door = Shop(), Door(forbidden=frozenset({PODS.replace("%2A", "*")}))
    async with client(shop, door) as session, session.get(PODS) as response:
        assert (await status_of(response))["code"] == 403
    assert shop.asked == 0


async def test_peers_in_other_namespaces_are_hidden_from_what_is_told_beside_the_numbers():
    shop = Shop()
    async with client(shop) as session:
        for path in (PODS, f"{CUSTOM}/nodes/node-1/requests_per_second", f"{CUSTOM}/namespaces/shop/metrics/failure_ratio"):
            await items(session, path)
    questions = [shop.arrivals.get_nowait() for _ in range(shop.asked)]
    assert len(questions) == 3
    assert all(question.visible == frozenset() and not question.edges for question in questions)


async def test_only_this_cluster_is_asked_for_lists():
    shop = Shop()
    async with client(shop) as session:
        await items(session, PODS)
    assert str(shop.arrivals.get_nowait().fields) == "cluster="


async def test_controllers_that_come_at_once_are_answered_at_once():
    async with client(Shop(delay=0.2)) as session, asyncio.timeout(2):
        answers = await asyncio.gather(*(items(session, PODS) for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)


def test_all_of_the_group_and_nothing_else_is_claimed():
    surface = CustomMetrics(None)  # type: ignore[arg-type]
    assert surface.claims(RequestInfo(is_resource=True, verb="get", path="", group="custom.metrics.k8s.io"))
    assert not surface.claims(RequestInfo(is_resource=True, verb="get", path="", group="metrics.smi-spec.io"))
