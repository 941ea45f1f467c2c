"""The examination of a source in AWS: every way in which it can be wrong is a finding that says what to do, and none is an error."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.loaders import create_loader

from backends.cloudwatch.backend import CloudWatchBackend
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import Window
from metrics_api.diagnosis import Diagnosis, Finding, Level
from tests.doubles.cloudwatch import Aws, edge, node, on_kubernetes, outcomes

SETTINGS = CloudWatchSettings(name="aws", source="application-signals", cluster="prod", timeout=3)
SPACE = "ApplicationSignals"
WINDOW = Window(60)


@pytest.fixture(scope="module", autouse=True)
def models() -> Iterator[None]:
    """Every examination has a session of its own; all of them need the same models of services, which are megabytes."""
    read = create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lambda *_: read)
        yield


def this_minute() -> int:
    return int(time.time()) // 60 * 60


def publish(aws: Aws, dimensions: dict[str, str], back: int = 16, until: int = 1) -> None:
    """Requests of each of the minutes from ``back`` minutes ago until ``until`` minutes from now."""
    for minute in range(-back, until):
        aws.put(SPACE, "Latency", dimensions, this_minute() + 60 * minute, {12.0: 10, 20.0: 1})


def service(name: str, environment: str = "eks:prod/shop") -> dict[str, str]:
    return {"Environment": environment, "Service": name}


def shop(aws: Aws) -> None:
    """Two services, one of which calls the other, and somebody outside."""
    publish(aws, service("web"))
    publish(aws, service("orders"))
    publish(aws, service("web") | {"RemoteService": "orders", "RemoteEnvironment": "eks:prod/shop"})
    publish(aws, service("web") | {"RemoteService": "api.example.com"})


async def examined(
    settings: CloudWatchSettings = SETTINGS, clock: Callable[[], float] = time.time, window: Window = WINDOW
) -> Diagnosis:
    return await CloudWatchBackend(settings, clock).diagnose(window)


def about(diagnosis: Diagnosis, check: str) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.check == check]


def beside(diagnosis: Diagnosis) -> list[Finding]:
    """What is more than worth knowing."""
    return [finding for finding in diagnosis.findings if finding.level is not Level.OK]


# All is well


async def test_a_healthy_source_is_told_in_a_few_lines(aws: Aws):
    shop(aws)
    found = await examined()
    assert beside(found) == []
    assert found.summary.startswith(f"application-signals in {aws.region} as {aws.identity.arn}; answered in ")
    assert "; 2 workloads, 2 edges; the newest numbers ended " in found.summary
    assert [(able.resources, able.told, able.lost) for able in found.abilities] == [
        (resources, ("received", "to", "from"), ()) for resources in ("workloads", "namespaces", "services")
    ]
    (cost,) = about(found, "cost")
    # Latency and Fault of two services, and of two edges: eight metrics in each of the minutes of 730 hours.
    assert cost.what == (
        "a list of all workloads requests 4 metrics, one of all edges 4: both asked for in every minute of a month are $3.50"
    )
    assert found.facts["monthlyDollars"] == 3.5
    assert found.facts["identity"] == aws.identity.arn


async def test_the_examination_itself_costs_next_to_nothing(aws: Aws):
    for number in range(100):
        publish(aws, service(f"service-{number}"), back=3)
    await examined()
    assert 1 <= aws.billed <= 20


async def test_no_key_is_in_what_is_told(aws: Aws):
    shop(aws)
    aws.denied.update({"cloudwatch:ListMetrics", "cloudwatch:GetMetricData"})
    told = repr(await examined())
    assert aws.identity.secret_key not in told
    assert aws.identity.access_key not in told


# Who we are


async def test_no_region_is_told_with_the_variables_that_give_it(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    (problem,) = (await examined()).findings
    assert (problem.level, problem.check, problem.what) == (Level.PROBLEM, "credentials", "no AWS region is configured")
    assert "AWS_REGION" in problem.advice
    assert not aws.calls


async def test_no_credentials_are_told_with_the_ways_to_give_them(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (problem,) = (await examined()).findings
    assert (problem.level, problem.check) == (Level.PROBLEM, "credentials")
    assert "EKS Pod Identity" in problem.advice
    assert not aws.calls


async def test_expired_credentials_are_told_once(aws: Aws):
    aws.identity.expires = time.time() - 60
    found = await examined()
    (problem,) = found.findings
    assert (problem.level, problem.check) == (Level.PROBLEM, "access")
    assert "expired" in problem.what
    assert problem.advice
    assert found.facts["identity"] == "unknown"


async def test_whoever_cannot_ask_sts_is_examined_all_the_same(aws: Aws):
    shop(aws)
    aws.fail("GetCallerIdentity", "error", None)
    found = await examined()
    assert beside(found) == []
    assert found.facts["identity"] == "unknown"


# What we may


@pytest.mark.parametrize(
    "denied",
    [
        pytest.param(["cloudwatch:ListMetrics"], id="list"),
        pytest.param(["cloudwatch:GetMetricData"], id="read"),
        pytest.param(["cloudwatch:ListMetrics", "cloudwatch:GetMetricData"], id="both"),
    ],
)
async def test_each_action_that_is_not_allowed_is_named_in_one_run(aws: Aws, denied: list[str]):
    shop(aws)
    aws.denied.update(denied)
    found = await examined()
    assert [(finding.level, finding.what) for finding in about(found, "access")] == [
        (Level.PROBLEM, f"AWS does not allow {action}") for action in denied
    ]
    assert all("IAM policy" in finding.advice for finding in about(found, "access"))


async def test_the_right_to_read_is_tested_where_there_is_nothing_to_read(aws: Aws):
    aws.denied.add("cloudwatch:GetMetricData")
    found = await examined()
    assert [finding.what for finding in about(found, "access")] == ["AWS does not allow cloudwatch:GetMetricData"]


async def test_an_action_that_can_be_done_without_is_no_problem(aws: Aws):
    shop(aws)
    aws.denied.add("application-signals:ListServices")
    found = await examined()
    assert beside(found) == []
    (names,) = about(found, "names")
    assert names.what == ("names of services are taken for those of workloads: AWS does not allow application-signals:ListServices")


# How we reach it


@pytest.mark.usefixtures("aws")
async def test_an_address_where_nobody_is_is_a_problem():
    found = await examined(replace(SETTINGS, endpoint_url="http://127.0.0.1:1"))
    (problem,) = found.findings
    assert (problem.level, problem.check) == (Level.PROBLEM, "reach")
    assert problem.what == "it cannot be reached at http://127.0.0.1:1/"
    assert "endpointUrl" in problem.advice


async def test_silence_is_told_in_time(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.cloudwatch.diagnosis._FIRST_ANSWER", 0.3)
    for operation in ("ListMetrics", "GetCallerIdentity"):
        aws.fail(operation, "hang", None)
    before = time.monotonic()
    (problem,) = (await examined(replace(SETTINGS, timeout=30))).findings
    assert time.monotonic() - before < 3
    assert (problem.level, problem.check) == (Level.PROBLEM, "reach")
    assert problem.what == f"it does not answer within 0.3s at CloudWatch in {aws.region}"


async def test_what_is_no_aws_is_a_problem(aws: Aws):
    aws.fail("ListMetrics", "garbage", None)
    (problem,) = beside(await examined())
    assert (problem.level, problem.check) == (Level.PROBLEM, "reach")


@pytest.mark.parametrize(("ahead", "level"), [(30, Level.WARNING), (-30, Level.WARNING), (200, Level.PROBLEM)])
async def test_clocks_that_differ_are_told(aws: Aws, ahead: int, level: Level):
    shop(aws)
    (clock,) = about(await examined(clock=lambda: time.time() + ahead), "clock")
    assert clock.level is level
    told = re.match(r"our clock is (\d+)s (ahead of|behind) that of AWS", clock.what)
    assert told is not None
    assert abs(int(told[1]) - abs(ahead)) < 10
    assert told[2] == ("ahead of" if ahead > 0 else "behind")
    assert "NTP" in clock.advice


# What is there


async def test_nothing_at_all_is_a_problem(aws: Aws):
    found = await examined()
    (problem,) = beside(found)
    assert (problem.level, problem.check) == (Level.PROBLEM, "cluster")
    assert f"CloudWatch lists no metrics of Application Signals in {aws.region}" in problem.what
    assert [able.told for able in found.abilities] == [()] * 3


async def test_another_cluster_is_a_problem_that_names_those_there_are(aws: Aws):
    publish(aws, service("web", "eks:staging/shop"))
    (problem,) = beside(await examined())
    assert (problem.check, problem.what) == ("cluster", 'there is nothing of cluster "prod"; there is of cluster staging')
    assert problem.advice == "cluster: staging"


async def test_what_is_not_of_kubernetes_is_named(aws: Aws):
    publish(aws, service("web", "ec2:default"))
    (problem,) = beside(await examined())
    assert "environments that are none of Kubernetes: ec2:default" in problem.what
    assert problem.advice == 'say in environments which namespaces they are: "ec2:default": NAMESPACE'
    assert beside(await examined(replace(SETTINGS, environments={"ec2:default": "shop"}))) == []


async def test_a_namespace_that_the_agent_does_not_know_is_told(aws: Aws):
    shop(aws)
    publish(aws, service("web", "eks:prod/UnknownNamespace"))
    (warning,) = beside(await examined())
    assert "eks:prod/UnknownNamespace" in warning.what


async def test_callees_that_are_no_workloads_are_told(aws: Aws):
    shop(aws)
    publish(aws, service("web") | {"RemoteService": "AWS::S3"})
    publish(aws, service("web") | {"RemoteService": "UnknownRemoteService"})
    told = [finding.what for finding in about(await examined(), "peers")]
    assert told == [
        "1 callees are known by host name alone, and are Services where there are such: api.example.com",
        "1 callees are outside of the cluster: AWS::S3",
        "1 edges lead to callees of which nothing is known: their spans do not say what was called",
    ]


async def test_edges_that_nobody_publishes_are_no_ability(aws: Aws):
    publish(aws, service("web"))
    found = await examined()
    assert {(able.told, able.lost) for able in found.abilities} == {(("received",), ("to", "from"))}


async def test_names_that_aws_knows_are_learnt(aws: Aws):
    shop(aws)
    aws.signals.add("web", "eks:prod/shop", on_kubernetes("prod", "shop", "frontend"))
    assert about(await examined(), "names") == []
    assert aws.called("ListServices")


# Whether it has arrived


@pytest.mark.parametrize(
    ("minutes", "delay", "enough"),
    [
        pytest.param(1, 120, "", id="in time"),
        pytest.param(3, 120, "3m0s", id="later than expected"),
        pytest.param(7, 300, "7m0s", id="much later"),
        pytest.param(7, 420, "", id="as late as expected"),
    ],
)
async def test_numbers_that_come_too_late_are_told_with_the_delay_to_set(aws: Aws, minutes: int, delay: int, enough: str):
    start = this_minute()
    for back in range(minutes + 1, 20):
        aws.put(SPACE, "Latency", service("web"), start - 60 * back, {12.0: 10})
    found = await examined(replace(SETTINGS, delay=delay), clock=lambda: start + 0.5)
    assert [(finding.level, finding.advice) for finding in about(found, "delay")] == (
        [(Level.WARNING, f"delay: {enough}")] if enough else []
    )


async def test_requests_that_ended_do_not_look_late(aws: Aws):
    start = this_minute()
    aws.put(SPACE, "Latency", service("web"), start - 600, {12.0: 10})
    assert about(await examined(clock=lambda: start + 0.5), "delay") == []


async def test_nobody_can_tell_of_what_has_no_requests(aws: Aws):
    publish(aws, service("web"), back=40, until=-30)
    (warning,) = about(await examined(), "delay")
    assert "a request in the last quarter of an hour" in warning.what


async def test_statistic_sets_are_told(aws: Aws):
    publish(aws, service("web"))
    for minute in range(16):
        aws.put(SPACE, "Latency", service("orders"), this_minute() - 60 * minute, statistics=(10, 120.0, 5.0, 20.0))
    (warning,) = about(await examined(), "percentiles")
    assert warning.what == (
        "1 of 2 metrics looked at have no percentiles, such as Latency of Environment=eks:prod/shop, Service=orders"
    )


@pytest.mark.parametrize(
    ("budget", "refused"), [(4, []), (3, ["a list of all workloads requests 4 metrics", "a list of all edges requests 4 metrics"])]
)
async def test_a_budget_too_small_for_a_list_of_everything_is_told(aws: Aws, budget: int, refused: list[str]):
    shop(aws)
    found = about(await examined(replace(SETTINGS, budget=budget)), "budget")
    assert [finding.what.partition(",")[0] for finding in found] == refused
    assert all(finding.level is Level.WARNING and finding.advice.startswith("budget: 8") for finding in found)


# Other sources


async def test_a_graph_is_examined_too(aws: Aws):
    called = edge(1, outcomes(ok=2), {0.01: 2})
    aws.graph.services = [
        node(0, "web", outcomes(ok=3), {0.01: 3}, [called]),
        node(1, "orders", outcomes(ok=2), {0.01: 2}),
    ]
    found = await examined(CloudWatchSettings(name="graph", source="xray", namespace="shop", timeout=3))
    assert beside(found) == []
    assert found.summary.startswith(f"xray in {aws.region} as {aws.identity.arn}; X-Ray: 2 services, 1 edges")
    assert [able.told for able in found.abilities] == [("received", "to", "from")] * 3
    assert aws.billed == 0


async def test_a_graph_that_may_not_be_asked_for_is_told(aws: Aws):
    aws.denied.add("xray:GetServiceGraph")
    (problem,) = beside(await examined(CloudWatchSettings(name="graph", source="xray", namespace="shop", timeout=3)))
    assert problem.what == "AWS does not allow xray:GetServiceGraph"


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"source": "appmesh", "mesh": "m", "form": "statsd"}, id="appmesh"),
        pytest.param({"source": "ecs-service-connect", "namespace": "shop"}, id="ecs"),
        pytest.param({"source": "vpc-lattice"}, id="lattice"),
    ],
)
async def test_a_source_of_which_nothing_is_listed_is_a_problem(aws: Aws, settings: dict[str, str]):
    found = await examined(CloudWatchSettings(name="aws", **settings))  # type: ignore[arg-type]
    (problem,) = [finding for finding in found.findings if finding.level is Level.PROBLEM]
    assert (problem.check, problem.what) == ("metrics", f"CloudWatch lists no metrics of it in {aws.region}")
    assert problem.advice


# The command


async def test_the_doctor_tells_who_we_are_what_is_there_and_what_it_costs(aws: Aws, tmp_path: Path):
    shop(aws)
    aws.denied.add("cloudwatch:GetMetricData")
    config = tmp_path / "config.yaml"
    config.write_text("backends:\n- {name: aws, type: cloudwatch, cluster: prod}\n")
    command = [sys.executable, "-m", "apiservice.main", "doctor", "--config", str(config), "--window", "1m"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, err = await process.communicate()
    told = " ".join(out.decode().split())
    assert (process.returncode, err) == (1, b"")
    assert told.startswith(f"aws: application-signals in {aws.region} as {aws.identity.arn}")
    assert "problem AWS does not allow cloudwatch:GetMetricData -> allow this action" in told
    assert "$3.50" in told
    assert told.endswith("1 problem, for a window of 1m0s")
