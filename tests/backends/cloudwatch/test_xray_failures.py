"""X-Ray when it cannot answer: what is refused and why, what fails and what to do, and what an examination finds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from backends.cloudwatch.moment import Moment
from backends.cloudwatch.session import Aws
from backends.cloudwatch.settings import CloudWatchSettings, read_settings
from backends.cloudwatch.xray import XRay
from metrics_api import (
    ANY_WORKLOAD,
    WORKLOAD_KINDS,
    BackendError,
    BackendForgot,
    BackendProtocolError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    Direction,
    Side,
    TrafficQuery,
    Window,
)
from metrics_api.diagnosis import Ability, Diagnosis, Level
from metrics_api.document import Problems, parse_document
from tests.doubles.cloudwatch import Aws as Double
from tests.doubles.cloudwatch import Fault, edge, node, outcomes

_NOW = 1_700_000_000 // 60 * 60
_MOMENT = Moment(_NOW, 300)
_SETTINGS = CloudWatchSettings("aws", "xray", namespace="shop")
_TOTALS = TrafficQuery(WORKLOAD_KINDS, Window(300), _NOW)
_EDGES = replace(_TOTALS, edges=True)
_DAY = 86400


class _Never:
    """AWS that must not be asked."""

    async def call(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
        raise AssertionError((service, operation, parameters))


class _Endless:
    """AWS that gives the same token with every page."""

    async def call(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return {"Services": [], "NextToken": "again", "asked": (service, operation, parameters)}


@asynccontextmanager
async def _opened(settings: CloudWatchSettings = _SETTINGS) -> AsyncIterator[XRay]:
    async with Aws(settings, attempts=1) as aws:
        yield XRay(settings, aws, lambda: _NOW)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (replace(_TOTALS, kinds=("Pod",)), "a service graph is of workloads, and names no pods"),
        (replace(_TOTALS, kinds=("Node",)), "a service graph is of workloads, and names no nodes"),
        (replace(_TOTALS, kinds=("TrafficSplit",)), "a service graph is of workloads, and names no trafficsplits"),
        (
            replace(_TOTALS, kinds=("Service",)),
            "a service graph is of workloads, and which of them stand behind a Service is known with Kubernetes alone",
        ),
        (replace(_EDGES, peer_kind="Pod"), "a service graph is of workloads, and names no pods"),
        (replace(_EDGES, side=Side.SERVER), "the edges of a service graph are recorded at the client, and not at the server"),
        (replace(_TOTALS, side=Side.CLIENT), "the totals of a service graph are recorded at the server, and not at the client"),
        (
            replace(_TOTALS, window=Window(6 * 3600 + 1)),
            "X-Ray gives no graph of more than 6h0m0s, and the window is 6h0m1s: ask for a shorter one",
        ),
        (_TOTALS, None),
        (_EDGES, None),
        (replace(_TOTALS, side=Side.SERVER), None),
        (replace(_EDGES, side=Side.CLIENT, direction=Direction.FROM), None),
        (replace(_TOTALS, window=Window(6 * 3600)), None),
        (replace(_TOTALS, kinds=("Namespace",)), None),
        (replace(_TOTALS, kinds=("Service",), members=("Pod", ANY_WORKLOAD)), None),
        (replace(_TOTALS, kinds=("CronJob",)), None),
    ],
    ids=lambda value: (
        f"{value.kinds[0]}{' edges' if value.edges else ''} {value.side} {value.window}" if isinstance(value, TrafficQuery) else ""
    ),
)
def test_what_no_graph_tells_is_refused_with_the_reason(query: TrafficQuery, reason: str | None) -> None:
    assert XRay(_SETTINGS, _Never()).refusal(query) == reason


async def test_a_window_of_six_hours_is_answered(aws: Double) -> None:
    aws.graph.services = [node(0, "orders", outcomes(ok=3))]
    async with _opened() as source:
        (observation,) = await source.observe(_TOTALS, [Moment(_NOW, 6 * 3600)])
    assert [sample.success for sample in observation.samples] == [3]


async def test_what_x_ray_has_forgotten_is_not_taken_for_silence(aws: Double) -> None:
    aws.graph.services = [node(0, "orders", outcomes(ok=3))]
    old, kept = Moment(_NOW - 30 * _DAY, 300), Moment(_NOW - 30 * _DAY + 300, 300)
    async with _opened() as source:
        before, after = await source.observe(_TOTALS, [old, kept])
        assert (before.samples, before.incomplete) == ((), True)
        assert before.warnings == ('source "aws" keeps nothing that is older than 30 days',)
        assert [sample.success for sample in after.samples] == [3]
        with pytest.raises(BackendForgot, match="X-Ray keeps graphs for 30 days; ask about a later time"):
            await source.observe(_TOTALS, [old])


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("throttle", BackendUnavailable, "too many requests"),
        ("drop", BackendUnavailable, "the connection"),
        ("html", BackendError, 'source "aws"'),
        ("garbage", BackendError, 'source "aws"'),
        ("half", BackendError, 'source "aws"'),
        ("hang", BackendTimeout, "GetServiceGraph within 2s"),
    ],
)
async def test_what_goes_wrong_is_told_and_the_next_question_asks_again(
    aws: Double, fault: Fault, error: type[BackendError], message: str
) -> None:
    aws.graph.services = [node(0, "orders", outcomes(ok=3))]
    async with _opened(replace(_SETTINGS, timeout=2 if fault == "hang" else 10)) as source:
        # On a busy machine the first call takes its time, because the client is made.
        await source.observe(_TOTALS, [_MOMENT.earlier()])
        aws.fail("GetServiceGraph", fault)
        with pytest.raises(error, match=message):
            await source.observe(_TOTALS, [_MOMENT])
        (observation,) = await source.observe(_TOTALS, [_MOMENT])
    assert [sample.success for sample in observation.samples] == [3]


async def test_half_of_the_pages_is_no_answer(aws: Double) -> None:
    aws.graph.services = [node(0, "front", outcomes(ok=3)), node(1, "orders", outcomes(ok=3))]
    aws.graph.page_services = 1

    class SecondPageDenied:
        async def call(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
            if "NextToken" in parameters:
                aws.throttle("GetServiceGraph")
            return await client.call(service, operation, **parameters)

    async with Aws(_SETTINGS, attempts=1) as client:
        source = XRay(_SETTINGS, SecondPageDenied(), lambda: _NOW)
        with pytest.raises(BackendUnavailable, match="too many requests"):
            await source.observe(_TOTALS, [_MOMENT])


async def test_a_missing_permission_is_named(aws: Double) -> None:
    aws.denied.add("xray:GetServiceGraph")
    async with _opened() as source:
        with pytest.raises(BackendRefused, match=r"AWS does not allow xray:GetServiceGraph; .* IAM policy"):
            await source.observe(_EDGES, [_MOMENT])


async def test_a_group_that_does_not_exist_is_an_error_and_not_an_empty_answer(aws: Double) -> None:
    aws.graph.services = [node(0, "orders", outcomes(ok=3))]
    async with _opened(replace(_SETTINGS, group="nobody")) as source:
        with pytest.raises(BackendRefused, match=r"GetServiceGraph \(InvalidRequestException\)"):
            await source.observe(_TOTALS, [_MOMENT])


async def test_pages_that_never_end_are_an_error() -> None:
    with pytest.raises(BackendProtocolError, match="the same page of the service graph again and again"):
        await XRay(_SETTINGS, _Endless(), lambda: _NOW).observe(_TOTALS, [_MOMENT])


def _findings(found: Diagnosis) -> dict[str, tuple[Level, str, str]]:
    assert all(finding.source == "aws" for finding in found.findings)
    return {finding.check: (finding.level, finding.what, finding.advice) for finding in found.findings}


async def test_an_examination_says_what_there_is_and_that_it_is_a_sample(aws: Double) -> None:
    calls = [edge(1, outcomes(ok=3)), edge(1, outcomes(ok=3), EdgeType="link")]
    aws.graph.services = [
        node(0, "front", outcomes(ok=3), edges=calls),
        node(1, "orders", outcomes(ok=3)),
        node(2, "Nobody", outcomes()),
    ]
    async with _opened() as source:
        found = await source.diagnose(_MOMENT)
    findings = _findings(found)
    assert found.level is Level.WARNING
    assert found.summary == "X-Ray: 3 services, 1 edges, 2 of them workloads, in 5m0s"
    assert found.facts == {"type": "cloudwatch", "source": "xray", "services": 3, "edges": 1, "workloads": 2, "unnamedServices": 1}
    assert found.abilities == tuple(
        Ability("xray", resources, ("received", "to", "from"), ()) for resources in ("workloads", "namespaces", "services")
    )
    assert findings.keys() == {"names", "messages", "sampling"}
    assert findings["names"][1] == "nobody says which objects 1 services are, so they are left out: Nobody"
    assert findings["messages"][0] is Level.OK
    assert "a sample of the traffic" in findings["sampling"][1]


async def test_an_examination_finds_that_nothing_was_traced(aws: Double) -> None:
    assert aws.graph.services == ()
    async with _opened() as source:
        found = await source.diagnose(Moment(_NOW, 24 * 3600))
    level, what, advice = _findings(found)["traces"]
    assert (level, what) == (Level.WARNING, "nothing was traced in 6h0m0s until 2023-11-14T22:13:00Z")
    assert advice == "do workloads send traces to X-Ray in this account and region?"
    assert {(ability.told, ability.lost) for ability in found.abilities} == {((), ("received", "to", "from"))}


async def test_an_examination_names_the_missing_permission(aws: Double) -> None:
    aws.denied.add("xray:GetServiceGraph")
    async with _opened() as source:
        found = await source.diagnose(_MOMENT)
    (check, (level, what, advice)), *others = _findings(found).items()
    assert (check, level, what, others) == ("access", Level.PROBLEM, "AWS does not allow xray:GetServiceGraph", [])
    assert "IAM policy" in advice


async def test_an_examination_says_that_x_ray_cannot_be_reached(aws: Double) -> None:
    assert aws.url
    async with _opened(replace(_SETTINGS, endpoint_url="http://127.0.0.1:1")) as source:
        found = await source.diagnose(_MOMENT)
    (level, what, advice) = _findings(found)["reach"]
    assert (level, found.level) == (Level.PROBLEM, Level.PROBLEM)
    assert what.startswith("it cannot be reached at http://127.0.0.1:1")
    assert "endpointUrl" in advice


def test_what_counts_as_failure_may_be_configured() -> None:
    problems = Problems()
    text = "name: aws\ntype: cloudwatch\nsource: xray\nfailure: {http: [5xx, 4xx]}"
    settings = read_settings(parse_document(text, "config.yaml", problems), "aws")
    assert problems.found == []
    assert settings is not None
    assert settings.client_errors_fail
