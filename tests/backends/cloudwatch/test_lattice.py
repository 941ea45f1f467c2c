"""VPC Lattice: what configured services received, out of metrics whose truth is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

from backends.cloudwatch.backend import CloudWatchBackend
from backends.cloudwatch.lattice import VpcLattice
from metrics_api import ANY_WORKLOAD, EVERYTHING, Direction, Naming, ResourceRef, Side, Span, TrafficQuery, Window
from metrics_api.diagnosis import Level
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

SPACE, CODES = "AWS/VpcLattice", "HTTPCode_{}_Count"
ORDERS, WEB = ResourceRef("Deployment", "shop", "orders"), bare("shop", "web")
FRONT = ResourceRef("Service", "shop", "front")
SOURCE = """
source: vpc-lattice
services:
- {service: svc-0a, kind: deployment, namespace: shop, name: orders}
- {service: "arn:aws:vpc-lattice:eu-west-1:123456789012:service/svc-0b", namespace: shop, name: web}
- {service: svc-0c, kind: Service, namespace: shop, name: front}
"""
DAY = 86400


def received(aws: Aws, service: str, codes: Mapping[int, int], latency: Mapping[float, int], minute: int = MINUTE) -> None:
    """Publishes what a service received as Lattice does: of the service, and of each of its zones."""
    for dimensions in ({}, {"AvailabilityZone": "eu-west-1a"}):
        of = {"Service": service, **dimensions}
        publish(aws, SPACE, CODES, of, codes, minute)
        # A client that went away was counted when it asked, and nobody answered it.
        aws.put(SPACE, "TotalRequestCount", of, minute, values={sum(codes.values()) + 1.0: 1})
        aws.put(SPACE, "RequestTimeoutCount", of, minute, values={float(codes.get(5, 0)): 1})
        aws.put(SPACE, "RequestTime", of, minute, values=dict(latency))


def traffic(aws: Aws) -> None:
    received(aws, "svc-0a", {2: 90, 3: 2, 4: 5, 5: 3}, {10: 90, 100: 10})
    received(aws, "svc-0b", {2: 4}, {7: 4})
    received(aws, "svc-0c", {2: 5, 5: 5}, {8: 10})


@pytest.fixture(scope="module")
async def desk() -> AsyncIterator[Desk]:
    async with run_desk(VpcLattice, SOURCE) as desk:
        yield desk


@pytest.fixture
def aws(desk: Desk) -> Aws:
    return desk.begin()


async def test_totals_are_what_lattice_answered_for_each_service_once(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(TOTALS)
    assert told(answer) == {
        (ORDERS, Direction.FROM, EVERYTHING): (97.0, 3.0, 0.01),
        (WEB, Direction.FROM, EVERYTHING): (4.0, 0.0, 0.007),
    }
    assert {sample.side for sample in answer.samples} == {Side.SERVER}
    assert answer.instant == END
    assert answer.warnings == ()
    # Four classes of codes and how long it took, of two services.
    assert aws.billed == 10


async def test_all_that_is_asked_about_a_row_is_asked_in_one_call(aws: Aws, desk: Desk) -> None:
    entries = []
    for number in range(100):
        received(aws, f"svc-{number}", {2: 5}, {8: 5})
        entries.append(f"{{service: svc-{number}, namespace: shop, name: service-{number}}}")
    answer = await desk.answered(TOTALS, f"{{source: vpc-lattice, services: [{', '.join(entries)}]}}")
    assert len(answer.samples) == 100
    calls = [
        Counter(query["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for query in call.parameters["MetricDataQueries"])
        for call in aws.called("GetMetricData")
    ]
    # Seven statistics of a service: 71 services in a call of at most 500.
    assert sorted(map(len, calls)) == [29, 71]
    assert {count for services in calls for count in services.values()} == {7}


async def test_the_doctor_finds_what_is_configured_to_be_a_service(aws: Aws, desk: Desk) -> None:
    received(aws, "svc-0c", {2: 5, 5: 5}, {8: 10})
    front = replace(settings_of(desk.source), services={("svc-0c", ""): FRONT})
    found = await CloudWatchBackend(front, lambda: NOW).diagnose(Window(60))
    # The double tells the time as it is, and not as it was when the tests were collected.
    assert [finding for finding in found.findings if finding.level is Level.PROBLEM and finding.check != "clock"] == []
    assert "; 0 workloads, 1 Services, 0 edges" in found.summary
    assert found.facts["metricsPerList"] == 5
    assert {able.resources: (able.told, able.lost) for able in found.abilities} == {
        "workloads": ((), ("received",)),
        "namespaces": (("received",), ()),
        "services": (("received",), ()),
    }


async def test_the_source_as_a_whole_answers_with_them(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    async with CloudWatchBackend(settings_of(desk.source), lambda: NOW) as backend:
        answer = await backend.answer(TOTALS)
        then, now = await backend.history(TOTALS, Span(MINUTE, END, 60))
    assert told(answer) == told(now) == told(await desk.answered(TOTALS))
    assert {sample.dialect for sample in (*answer.samples, *now.samples)} == {"vpc-lattice"}
    assert {counts[:2] for counts in told(then).values()} == {(0.0, 0.0)}


async def test_what_is_configured_as_a_service_of_kubernetes_is_answered_as_one(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(replace(TOTALS, kinds=("Service",)))
    assert told(answer) == {(FRONT, Direction.FROM, EVERYTHING): (5.0, 5.0, 0.008)}
    lifted = await desk.answered(replace(TOTALS, kinds=("Service",), members=(ANY_WORKLOAD,)))
    assert {sample.resource for sample in lifted.samples} == {FRONT, ORDERS, WEB}


async def test_client_errors_fail_where_configuration_says_so(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(replace(TOTALS, name="orders"), SOURCE + 'failure: {http: ["4xx", "5xx"]}')
    assert told(answer) == {(ORDERS, Direction.FROM, EVERYTHING): (92.0, 8.0, 0.01)}


async def test_a_namespace_is_the_sum_of_its_services(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(replace(TOTALS, kinds=("Namespace",)))
    assert told(answer) == {(ResourceRef("Namespace", "", "shop"), Direction.FROM, EVERYTHING): (106.0, 8.0, None)}


async def test_a_quiet_minute_is_zero_requests(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    answer = await desk.answered(replace(TOTALS, name="web", instant=MINUTE))
    assert told(answer) == {(WEB, Direction.FROM, EVERYTHING): (0.0, 0.0, None)}


async def test_a_service_that_is_not_listed_is_no_zero_and_is_named(aws: Aws, desk: Desk) -> None:
    received(aws, "svc-0a", {2: 9}, {1: 9})
    answer = await desk.answered(TOTALS)
    assert told(answer) == {(ORDERS, Direction.FROM, EVERYTHING): (9.0, 0.0, 0.001)}
    (warning,) = [warning for warning in answer.warnings if "lists no requests" in warning]
    assert warning.endswith("their id in services is wrong: svc-0b")
    assert isinstance(warning, Naming)
    assert warning.about == {WEB}
    assert "svc-0b" not in warning.otherwise


async def test_what_was_published_before_lists_begin_is_asked_for_all_the_same(aws: Aws, desk: Desk) -> None:
    minute = (MINUTE - 14 * DAY) // 300 * 300
    received(aws, "svc-0b", {2: 6, 5: 1}, {3: 7}, minute)
    answer = await desk.answered(replace(TOTALS, name="web", instant=minute + 60))
    assert told(answer) == {(WEB, Direction.FROM, EVERYTHING): (6.0, 1.0, 0.003)}
    assert not any("lists no requests" in warning for warning in answer.warnings)


async def test_a_service_that_is_missed_is_looked_for_again_at_most_once_a_minute(aws: Aws, desk: Desk) -> None:
    async with desk.looking() as looking:
        assert await looking.found(TOTALS) == 0
        traffic(aws)
        looking.now += 59
        assert await looking.found(TOTALS) == 0
        looking.now += 2
        assert await looking.found(TOTALS) == 2


async def test_services_that_are_nobodys_are_named(aws: Aws, desk: Desk) -> None:
    traffic(aws)
    received(aws, "svc-0f", {2: 1}, {1: 1})
    everything, one = await desk.answered(TOTALS), await desk.answered(replace(TOTALS, name="web"))
    assert [warning for warning in everything.warnings if "svc-0f" in warning]
    assert not [warning for warning in one.warnings if "svc-0f" in warning]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        pytest.param(EDGES, "do not say who called", id="edges"),
        pytest.param(replace(TOTALS, side=Side.CLIENT), "the side of the server", id="totals of the client"),
        pytest.param(replace(TOTALS, kinds=("Pod",)), "name no pods", id="pods"),
        pytest.param(replace(TOTALS, kinds=("Node",)), "name no nodes", id="nodes"),
    ],
)
async def test_what_is_never_known_is_refused_with_the_reason(aws: Aws, query: TrafficQuery, reason: str) -> None:
    refusal = CloudWatchBackend(settings_of(SOURCE), lambda: NOW).refusal(query)
    assert refusal is not None
    assert reason in refusal
    assert aws.calls == []


def test_services_are_refused_where_none_is_configured() -> None:
    source = "source: vpc-lattice\nservices: [{service: svc-0a, namespace: a, name: b}]"
    refusal = CloudWatchBackend(settings_of(source)).refusal(replace(TOTALS, kinds=("Service",)))
    assert refusal is not None
    assert "behind a Service" in refusal


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        pytest.param("source: vpc-lattice", 'f.yaml:1: "services" is missing', id="no services"),
        pytest.param("source: vpc-lattice\nservices: []", 'f.yaml:2: services: "services" is empty', id="an empty list"),
        pytest.param(
            "source: vpc-lattice\nservices: [{namespace: b, name: c}]", 'f.yaml:2: services[0]: "service" is missing', id="no id"
        ),
        pytest.param(
            "source: vpc-lattice\nservices:\n- {service: svc-1, namespace: b, name: c}\n- {service: a/svc-1, namespace: b, name: d}",
            'f.yaml:4: services[1]: "a/svc-1" is given twice',
            id="an id and the ARN of it",
        ),
        pytest.param(
            "source: vpc-lattice\nservices: [{service: svc-1, namespace: b, name: c, kind: HTTPRoute}]",
            'f.yaml:2: services[0].kind: "HTTPRoute" is not what a service is',
            id="a route",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_named_with_its_line(text: str, mistake: str) -> None:
    (found,) = mistakes(text)
    assert found.startswith(mistake)
