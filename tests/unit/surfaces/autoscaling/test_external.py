"""``external.metrics.k8s.io`` as the HorizontalPodAutoscaler, KEDA's clients and Flagger ask it: one number for each question."""

from __future__ import annotations

import pytest

from metrics_api import Unsupported
from tests.apiservice.asking import status_of
from tests.apiservice.memory import Door
from tests.unit.surfaces.autoscaling.shop import EXTERNAL, TIME, Shop, client, items

SHOP = f"{EXTERNAL}/namespaces/shop"
RATE = f"{SHOP}/requests_per_second"


async def test_the_body_is_that_of_the_version():
    async with client() as session, session.get(f"{RATE}?labelSelector=deployment%3Dweb") as response:
        document = await response.json()
    assert document == {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metricName": "requests_per_second",
                "metricLabels": {"namespace": "shop", "deployment": "web"},
                "timestamp": TIME,
                "window": 30,
                "value": "12500m",
            }
        ],
    }


@pytest.mark.parametrize(
    ("selector", "value"),
    [
        pytest.param("deployment=web", "12500m", id="a kind and its name"),
        pytest.param("kind=Deployment,name=web", "12500m", id="kind and name"),
        pytest.param("kind=deployment,name=web", "12500m", id="in any capitalisation"),
        pytest.param("deployment==web,namespace=shop,direction=from", "12500m", id="all there is to say"),
        pytest.param("deployment in (web)", "12500m", id="a set of one"),
        pytest.param("deployment in (web,api)", "22500m", id="two together"),
        pytest.param("deployment=web,window=1m", "6250m", id="over another window"),
        pytest.param("service=web", "11500m", id="a service"),
        pytest.param("pod=web-2", "0", id="a pod without requests"),
        pytest.param("httproute=front", "4", id="a route"),
        pytest.param("httproute=front,backend=web-v2", "1", id="one of its backends"),
        pytest.param("namespace=shop", "23", id="the namespace"),
        pytest.param("", "23", id="nothing but the namespace of the request"),
    ],
)
async def test_labels_choose_what_is_measured_in_one_item(selector: str, value: str):
    async with client() as session:
        assert [item["value"] for item in await items(session, RATE, labelSelector=selector)] == [value]


@pytest.mark.parametrize(
    ("metric", "selector", "value"),
    [
        ("p99_response_latency_ms", "deployment=web", "12345m"),
        ("failure_ratio", "deployment=web", "40m"),
        ("failure_ratio", "deployment in (web,api)", "22222u"),
    ],
)
async def test_percentiles_and_ratios_are_one_item_because_items_are_added_up(metric: str, selector: str, value: str):
    async with client() as session:
        assert [item["value"] for item in await items(session, f"{SHOP}/{metric}", labelSelector=selector)] == [value]


@pytest.mark.parametrize(
    ("path", "warning"),
    [
        pytest.param(
            f"{EXTERNAL}/namespaces/kube-system/dummy-metric", "there is no metric dummy-metric here", id="no such metric"
        ),
        pytest.param(
            f"{SHOP}/dummy-metric?labelSelector=app%3Dx", "there is no metric dummy-metric here", id="whatever is selected"
        ),
        pytest.param(f"{RATE}?labelSelector=deployment%3Dnobody", "not found", id="no such object"),
        pytest.param(f"{RATE}?labelSelector=deployment%3Didle", "nothing was measured", id="nothing observed"),
        pytest.param(f"{SHOP}/failure_ratio?labelSelector=pod%3Dweb-2", "nothing was measured", id="no requests"),
    ],
)
async def test_what_is_not_known_is_an_empty_list_that_says_why(path: str, warning: str):
    async with client() as session, session.get(path) as response:
        document = await response.json()
    assert (response.status, document["items"]) == (200, [])
    assert warning in response.headers["Warning"]


async def test_what_no_source_can_tell_is_an_empty_list_that_says_why():
    async with client(Shop(failure=Unsupported("no source tells of services"))) as session, session.get(RATE) as response:
        assert (response.status, (await response.json())["items"]) == (200, [])
    assert "no source tells of services" in response.headers["Warning"]


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("app=web", 'there is no label "app" to choose by; there are namespace, kind, name, pod, '),
        ("deployment!=web", "does not say what is meant"),
        ("deployment notin (web)", "does not say what is meant"),
        ("deployment", "does not say what is meant"),
        ("!deployment", "does not say what is meant"),
        ("deployment>5", "does not say what is meant"),
        ("deployment=", "does not say what is meant"),
        ("deployment=web,service=web", "in more than one way"),
        ("deployment=web,name=web", "in more than one way"),
        ("deployment=web,deployment=api", "twice"),
        ("kind=Deployment", "go together"),
        ("name=web", "go together"),
        ("kind=Rollout,name=web", '"Rollout" is not a kind'),
        ("deployment=web,direction=to", "direction=from"),
        ("deployment=web,backend=web", "only what splits traffic"),
        ("deployment=web,window=0s", "out of bounds"),
    ],
)
async def test_a_selector_that_leaves_open_what_is_meant_is_an_error(selector: str, told: str):
    async with client() as session, session.get(RATE, params={"labelSelector": selector}) as response:
        status = await status_of(response)
    assert status["code"] == 400
    assert told in status["message"]


@pytest.mark.parametrize("selector", ["namespace=data", "namespace in (shop,data)", "node=node-1", "kind=Node,name=node-1"])
async def test_nothing_outside_the_namespace_of_the_request_can_be_chosen(selector: str):
    shop = Shop()
    async with client(shop) as session, session.get(RATE, params={"labelSelector": selector}) as response:
        assert (await status_of(response))["code"] == 400
    assert shop.asked == 0


async def test_a_percentile_of_several_objects_is_an_error():
    async with (
        client() as session,
        session.get(f"{SHOP}/p99_response_latency_ms?labelSelector=deployment+in+(web,api)") as response,
    ):
        assert (await status_of(response))["code"] == 400


async def test_a_question_names_a_bounded_number_of_objects():
    many = ",".join(f"d{number}" for number in range(51))
    async with client() as session, session.get(RATE, params={"labelSelector": f"deployment in ({many})"}) as response:
        assert (await status_of(response))["code"] == 400


async def test_a_rate_that_may_be_of_a_part_is_no_number():
    async with client(Shop(incomplete=True)) as session:
        async with session.get(f"{RATE}?labelSelector=deployment%3Dweb") as response:
            assert (await status_of(response))["code"] == 503
        assert len(await items(session, f"{SHOP}/p99_response_latency_ms", labelSelector="deployment=web")) == 1


@pytest.mark.parametrize("path", [f"{RATE}/web", f"{EXTERNAL}/requests_per_second", RATE.replace("v1beta1", "v1beta2")])
async def test_other_paths_lead_nowhere(path: str):
    async with client() as session, session.get(path) as response:
        assert (await status_of(response))["code"] == 404


async def test_the_request_is_authorised_as_such_and_nothing_else_is_asked():
    door = Door()
    async with client(door=door) as session:
        await items(session, RATE, labelSelector="deployment=web")
    (seen,) = door.seen
    assert (seen.verb, seen.group, seen.namespace, seen.resource) == (
        "list",
        "external.metrics.k8s.io",
        "shop",
        "requests_per_second",
    )


async def test_who_may_not_is_told_nothing():
    shop = Shop()
    async with client(shop, Door(forbidden=frozenset({RATE}))) as session, session.get(RATE) as response:
        assert (await status_of(response))["code"] == 403
    assert shop.asked == 0
