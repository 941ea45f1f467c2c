"""ECS Service Connect: who calls which discovery name, and what each discovery name received, out of metrics whose truth is known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from backends.cloudwatch.backend import CloudWatchBackend
from backends.cloudwatch.service_connect import ServiceConnect
from metrics_api import ANY_WORKLOAD, EVERYTHING, Direction, Naming, ResourceRef, Side, Span, TrafficQuery
from metrics_api.resources import host
from tests.backends.cloudwatch.counted import (
    EDGES,
    END,
    MINUTE,
    NOW,
    TOTALS,
    Desk,
    bare,
    mistakes,
    publish,
    run_desk,
    settings_of,
    told,
)
from tests.doubles.cloudwatch import Aws

SPACE, CODES = "AWS/ECS", "HTTPCode_Target_{}_Count"
WEB, ORDERS, BATCH = bare("shop", "web"), bare("back", "orders"), bare("back", "batch")
SOURCE = """
source: ecs-service-connect
services:
- {service: web-svc, namespace: shop, name: web}
- {service: orders-svc, namespace: back, name: orders}
- {service: api, namespace: back, name: orders}
- {service: batch-svc, namespace: back, name: batch}
"""


def call(aws: Aws, caller: str, target: str, codes: Mapping[int, int], latency: Mapping[float, int], cluster: str = "prod") -> None:
    """Publishes calls as ECS does: by the target, and by the target and its caller."""
    for dimensions in ({}, {"ServiceName": caller, "ClusterName": cluster}):
        of = {"TargetDiscoveryName": target, **dimensions}
        publish(aws, SPACE, CODES, of, codes)
        aws.put(SPACE, "TargetResponseTime", of, MINUTE, values=dict(latency))


def traffic(aws: Aws) -> None:
    call(aws, "web-svc", "api", {2: 90, 3: 2, 4: 5, 5: 3}, {10: 90, 100: 10})
    call(aws, "batch-svc", "api", {2: 40}, {200: 40})
    call(aws, "orders-svc", "api", {2: 7}, {1: 7})
    aws.put(SPACE, "RequestCount", {"DiscoveryName": "api"}, MINUTE, values={500.0: 1})


@pytest.fixture(scope="module")
async def desk() -> AsyncIterator[Desk]:
    async with run_desk(ServiceConnect, SOURCE) as desk:
        yield desk


@pytest.fixture
def aws(desk: Desk) -> Aws:
    return desk.begin()


async def test_edges_are_from_a_service_to_the_owner_of_a_discovery_name(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(EDGES)
    assert told(answer) == {
        (WEB, Direction.TO, ORDERS): (97.0, 3.0, 0.01),
        (ORDERS, Direction.FROM, WEB): (97.0, 3.0, 0.01),
        (BATCH, Direction.TO, ORDERS): (40.0, 0.0, 0.2),
        (ORDERS, Direction.FROM, BATCH): (40.0, 0.0, 0.2),
        (ORDERS, Direction.TO, ORDERS): (7.0, 0.0, 0.001),
        (ORDERS, Direction.FROM, ORDERS): (7.0, 0.0, 0.001),
    }
    assert {sample.side for sample in answer.samples} == {Side.CLIENT}
    assert answer.instant == END


async def test_a_total_is_of_all_callers_and_has_percentiles(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(TOTALS)
    # 147 observations: the 133rd from below is one of the 40 of 200 ms.
    assert told(answer) == {(ORDERS, Direction.FROM, EVERYTHING): (144.0, 3.0, 0.2)}
    assert [sample.side for sample in answer.samples] == [Side.CLIENT]
    # Four classes of codes, and how long it took: what its callers have apart is not paid for.
    assert aws.billed == 5


async def test_the_source_as_a_whole_answers_with_them(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    async with CloudWatchBackend(settings_of(desk.source), lambda: NOW) as backend:
        answer = await backend.answer(TOTALS)
        then, now = await backend.history(TOTALS, Span(MINUTE, END, 60))
    assert told(answer) == told(now) == told(await desk.answered(TOTALS))
    assert {sample.dialect for sample in (*answer.samples, *now.samples)} == {"ecs-service-connect"}
    assert {counts[:2] for counts in told(then).values()} == {(0.0, 0.0)}


async def test_the_first_failure_counts_before_it_is_listed(aws: Aws, desk: Desk) -> None:
    aws.listing.delay = 900
    aws.clock = lambda: NOW - 900
    call(aws, "web-svc", "api", {2: 10}, {5: 10})
    aws.clock = lambda: NOW
    publish(aws, SPACE, CODES, {"TargetDiscoveryName": "api"}, {5: 4})
    answer = await desk.answered(TOTALS)
    assert told(answer) == {(ORDERS, Direction.FROM, EVERYTHING): (10.0, 4.0, 0.005)}


async def test_without_a_data_point_nothing_was_called_and_how_long_it_took_is_not_known(aws: Aws, desk: Desk) -> None:
    call(aws, "web-svc", "api", {2: 10}, {5: 10})
    answer = await desk.answered(replace(TOTALS, instant=MINUTE))
    assert told(answer) == {(ORDERS, Direction.FROM, EVERYTHING): (0.0, 0.0, None)}


async def test_statistic_sets_have_no_percentiles_and_the_reason_is_told(aws: Aws, desk: Desk) -> None:
    of = {"TargetDiscoveryName": "api"}
    publish(aws, SPACE, CODES, of, {2: 10})
    aws.put(SPACE, "TargetResponseTime", of, MINUTE, statistics=(10, 100, 1, 50))
    answer = await desk.answered(TOTALS)
    assert told(answer) == {(ORDERS, Direction.FROM, EVERYTHING): (10.0, 0.0, None)}
    assert any("no percentiles of back/orders" in warning for warning in answer.warnings)


async def test_client_errors_fail_where_configuration_says_so(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(TOTALS, SOURCE + 'failure: {http: ["5xx", "4xx"]}')
    assert told(answer) == {(ORDERS, Direction.FROM, EVERYTHING): (139.0, 8.0, 0.2)}


async def test_a_cluster_has_its_own_callers_alone_and_a_total_of_them(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    call(aws, "web-svc", "api", {2: 1000}, {1: 1000}, cluster="test")
    edges = await desk.answered(replace(EDGES, namespace="shop"), SOURCE + "cluster: prod")
    assert told(edges) == {(WEB, Direction.TO, ORDERS): (97.0, 3.0, 0.01)}
    total = await desk.answered(TOTALS, SOURCE + "cluster: prod")
    assert told(total) == {(ORDERS, Direction.FROM, EVERYTHING): (144.0, 3.0, None)}
    assert any("they cannot be added up" in warning for warning in total.warnings)
    everywhere = await desk.answered(replace(EDGES, namespace="shop"))
    assert told(everywhere)[WEB, Direction.TO, ORDERS] == (1097.0, 3.0, None)


async def test_a_cluster_that_has_all_callers_has_the_percentiles_of_all(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(TOTALS, SOURCE + "cluster: prod")
    assert told(answer) == {(ORDERS, Direction.FROM, EVERYTHING): (144.0, 3.0, 0.2)}


async def test_a_cluster_without_callers_has_no_total(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(TOTALS, SOURCE + "cluster: elsewhere")
    assert told(answer) == {}


async def test_a_service_may_be_another_object_in_each_cluster(aws: Aws, desk: Desk) -> None:
    call(aws, "web-svc", "api", {2: 1}, {1: 1})
    call(aws, "web-svc", "api", {2: 2}, {1: 2}, cluster="test")
    answer = await desk.answered(
        replace(EDGES, direction=Direction.TO), SOURCE + "- {service: web-svc, environment: test, namespace: try, name: web}"
    )
    assert told(answer) == {
        (WEB, Direction.TO, ORDERS): (1.0, 0.0, 0.001),
        (bare("try", "web"), Direction.TO, ORDERS): (2.0, 0.0, 0.001),
    }


async def test_names_without_an_object_are_hosts_and_are_named(aws: Aws, desk: Desk) -> None:
    call(aws, "web-svc", "billing", {2: 4}, {1: 4})
    call(aws, "cron", "api", {2: 6}, {1: 6})
    answer = await desk.answered(EDGES)
    assert told(answer) == {
        (WEB, Direction.TO, host("billing")): (4.0, 0.0, 0.001),
        (ORDERS, Direction.FROM, host("cron")): (6.0, 0.0, 0.001),
    }
    (warning,) = [warning for warning in answer.warnings if "services" in warning]
    assert "billing, cron" in warning
    assert isinstance(warning, Naming)
    assert warning.about == {host("billing"), host("cron")}
    assert "billing" not in warning.otherwise


async def test_a_discovery_name_without_an_object_is_named_whoever_calls_it(aws: Aws, desk: Desk) -> None:
    publish(aws, SPACE, CODES, {"TargetDiscoveryName": "billing"}, {2: 4})
    answer = await desk.answered(TOTALS)
    assert told(answer) == {}
    (warning,) = answer.warnings
    assert warning.endswith("in services: billing")


async def test_who_asks_for_one_object_is_not_told_of_others(aws: Aws, desk: Desk) -> None:
    call(aws, "web-svc", "api", {2: 4}, {1: 4})
    call(aws, "cron", "billing", {2: 6}, {1: 6})
    known = await desk.answered(replace(TOTALS, namespace="back", name="orders"))
    assert told(known) == {(ORDERS, Direction.FROM, EVERYTHING): (4.0, 0.0, 0.001)}
    assert not any("cron" in warning for warning in known.warnings)
    missed = await desk.answered(replace(TOTALS, namespace="back", name="billing"))
    assert told(missed) == {}
    assert any("billing" in warning for warning in missed.warnings)


async def test_a_namespace_makes_objects_of_all_other_names(aws: Aws, desk: Desk) -> None:
    call(aws, "web-svc", "billing", {2: 4}, {1: 4})
    answer = await desk.answered(EDGES, SOURCE + "namespace: ecs")
    billing = bare("ecs", "billing")
    assert told(answer) == {
        (WEB, Direction.TO, billing): (4.0, 0.0, 0.001),
        (billing, Direction.FROM, WEB): (4.0, 0.0, 0.001),
    }


async def test_namespaces_are_added_up(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    call(aws, "web-svc", "batch-svc", {2: 5, 5: 5}, {9: 10})
    back = ResourceRef("Namespace", "", "back")
    total = await desk.answered(replace(TOTALS, kinds=("Namespace",)))
    assert told(total) == {(back, Direction.FROM, EVERYTHING): (149.0, 8.0, None)}
    edges = await desk.answered(replace(EDGES, kinds=("Namespace",), direction=Direction.TO))
    assert told(edges) == {
        (ResourceRef("Namespace", "", "shop"), Direction.TO, back): (102.0, 8.0, None),
        (back, Direction.TO, back): (47.0, 0.0, None),
    }


async def test_what_is_configured_as_a_service_of_kubernetes_is_answered_as_one(aws: Aws, desk: Desk) -> None:
    call(aws, "web-svc", "api", {2: 4}, {1: 4})
    source = SOURCE.replace(
        "- {service: api, namespace: back, name: orders}", "- {service: api, kind: service, namespace: back, name: api}"
    )
    service = ResourceRef("Service", "back", "api")
    assert told(await desk.answered(replace(TOTALS, kinds=("Service",)), source)) == {
        (service, Direction.FROM, EVERYTHING): (4.0, 0.0, 0.001)
    }
    assert told(await desk.answered(TOTALS, source)) == {}
    assert told(await desk.answered(replace(EDGES, direction=Direction.TO), source)) == {
        (WEB, Direction.TO, service): (4.0, 0.0, 0.001)
    }


async def test_a_caller_that_is_missed_is_looked_for_again_at_most_once_a_minute(aws: Aws, desk: Desk) -> None:
    async with desk.looking() as looking:
        assert await looking.found(EDGES) == 0
        call(aws, "web-svc", "api", {2: 4}, {1: 4})
        looking.now += 59
        of_web = replace(EDGES, namespace="shop", name="web")
        assert await looking.found(of_web) == 0
        looking.now += 2
        assert await looking.found(EDGES) == 0
        assert await looking.found(of_web) == 1


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        pytest.param(replace(TOTALS, side=Side.SERVER), "counted without outcomes and callers", id="totals of the server"),
        pytest.param(replace(EDGES, side=Side.SERVER), "counted without outcomes and callers", id="edges of the server"),
        pytest.param(replace(TOTALS, kinds=("Pod",)), "name no pods", id="pods"),
        pytest.param(replace(TOTALS, kinds=("Node",)), "name no nodes", id="nodes"),
        pytest.param(replace(EDGES, peer_kind="Pod"), "name no pods", id="pods as peers"),
        pytest.param(replace(TOTALS, kinds=("Service",)), "behind a Service", id="Services without Kubernetes"),
    ],
)
async def test_what_is_never_known_is_refused_with_the_reason(aws: Aws, query: TrafficQuery, reason: str) -> None:
    backend = CloudWatchBackend(settings_of(SOURCE), lambda: NOW)
    refusal = backend.refusal(query)
    assert refusal is not None
    assert reason in refusal
    assert aws.calls == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(replace(TOTALS, side=Side.CLIENT), id="totals of the client"),
        pytest.param(replace(EDGES, side=Side.CLIENT), id="edges of the client"),
        pytest.param(replace(TOTALS, kinds=("Service",), members=(ANY_WORKLOAD,)), id="Services of workloads"),
        pytest.param(replace(TOTALS, kinds=("Namespace",)), id="namespaces"),
    ],
)
def test_what_callers_tell_is_not_refused(query: TrafficQuery) -> None:
    assert CloudWatchBackend(settings_of(SOURCE), lambda: NOW).refusal(query) is None


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        pytest.param("source: ecs-service-connect", 'f.yaml:1: "services" or "namespace" is missing', id="nothing says who is who"),
        pytest.param(
            "source: ecs-service-connect\nnamespace: a\nmesh: b", 'f.yaml:3: mesh: unknown key "mesh"', id="a key of another source"
        ),
        pytest.param(
            "source: ecs-service-connect\nservices:\n- {service: a, namespace: b}",
            'f.yaml:3: services[0]: "name" is missing',
            id="no name",
        ),
        pytest.param(
            "source: ecs-service-connect\nservices:\n- {service: a, namespace: b, name: c, kind: Pod}",
            'f.yaml:3: services[0].kind: "Pod" is not what a service is',
            id="a pod",
        ),
        pytest.param(
            "source: ecs-service-connect\nnamespace: a\nfailure: {http: [4xx]}",
            'f.yaml:3: failure.http: "5xx" is missing',
            id="only client errors fail",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_named_with_its_line(text: str, mistake: str) -> None:
    (found,) = mistakes(text)
    assert found.startswith(mistake)
