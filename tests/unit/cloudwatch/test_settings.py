"""The configuration of a CloudWatch source: what is read, and every mistake with its line."""

from __future__ import annotations

import pytest

from backends.cloudwatch.backend import CloudWatchBackend
from backends.cloudwatch.settings import CloudWatchSettings, read_settings
from metrics_api import ANY_WORKLOAD, BadConfiguration, Offer, ResourceRef
from metrics_api.document import Problems, parse_document


def read(text: str) -> CloudWatchSettings:
    """Settings from one entry; BadConfiguration with every problem when there is one."""
    problems = Problems()
    made = read_settings(parse_document(text, "config.yaml", problems), "aws")
    problems.raise_if_any()
    assert made is not None
    return made


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(BadConfiguration) as caught:
        read(text)
    return caught.value.problems


def test_a_cluster_is_enough() -> None:
    made = read("{name: aws, type: cloudwatch, cluster: prod}")
    assert (made.source, made.cluster, made.region, made.delay, made.budget) == ("application-signals", "prod", "", 120, 1000)
    assert (made.timeout, made.concurrency, made.discovery_interval, made.client_errors_fail) == (10, 4, 300, False)


def test_a_source_offers_numbers_as_late_as_they_arrive_and_any_percentile() -> None:
    assert CloudWatchBackend(read("{name: aws, type: cloudwatch, cluster: prod, delay: 3m}")).offer == Offer(delay=180)


def test_everything_is_read() -> None:
    made = read(
        """
        name: aws
        type: cloudwatch
        source: application-signals
        region: eu-west-1
        profile: ops
        endpointUrl: https://vpce-1.monitoring.eu-west-1.vpce.amazonaws.com/
        timeout: 5s
        concurrency: 8
        delay: 3m
        budget: 5000
        discoveryInterval: 10m
        cluster: prod
        environments: {vm-fleet: legacy}
        services:
        - {service: checkout-api, environment: "eks:prod/shop", kind: deployment, namespace: shop, name: checkout}
        - {service: ledger, namespace: bank, name: ledger-db}
        failure: {http: ["5xx", "4xx"]}
        """
    )
    assert (made.region, made.profile, made.timeout, made.concurrency) == ("eu-west-1", "ops", 5, 8)
    assert made.endpoint_url == "https://vpce-1.monitoring.eu-west-1.vpce.amazonaws.com"
    assert (made.delay, made.budget, made.discovery_interval, made.client_errors_fail) == (180, 5000, 600, True)
    assert made.environments == {"vm-fleet": "legacy"}
    assert made.services == {
        ("checkout-api", "eks:prod/shop"): ResourceRef("Deployment", "shop", "checkout"),
        ("ledger", ""): ResourceRef(ANY_WORKLOAD, "bank", "ledger-db"),
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{name: a, type: cloudwatch}", '"cluster" is missing', id="no cluster"),
        pytest.param("{name: a, type: cloudwatch, cluster: ''}", '"cluster" is empty', id="an empty cluster"),
        pytest.param("{name: a, type: cloudwatch, source: signals}", '"signals"', id="no such source"),
        pytest.param("{name: a, type: cloudwatch, cluster: c, mesh: m}", "mesh", id="the key of another source"),
        pytest.param("{name: a, type: cloudwatch, cluster: c, delay: 1ms}", "whole seconds", id="a delay of a part of a second"),
        pytest.param("{name: a, type: cloudwatch, cluster: c, budget: 0}", "budget", id="no budget"),
        pytest.param("{name: a, type: cloudwatch, cluster: c, endpointUrl: monitoring}", "is not a URL", id="no URL"),
        pytest.param("{name: a, type: cloudwatch, cluster: c, endpointUrl: 'http://a..b'}", "dots is empty", id="no host"),
        pytest.param(
            "{name: a, type: cloudwatch, cluster: c, services: [{service: x, namespace: n}]}", '"name" is missing', id="half a name"
        ),
        pytest.param(
            "{name: a, type: cloudwatch, cluster: c, services: [{service: x, kind: Pod, namespace: n, name: p}]}",
            '"Pod" is not what a service is',
            id="a kind that is no workload",
        ),
        pytest.param(
            "{name: a, type: cloudwatch, cluster: c, services: [{service: x, namespace: n, name: p}, {service: x, namespace: n, name: q}]}",
            '"x" is given twice',
            id="two names for one service",
        ),
        pytest.param(
            "{name: a, type: cloudwatch, cluster: c, failure: {http: ['4xx']}}", '"5xx" is missing', id="no server errors"
        ),
        pytest.param("{name: a, type: cloudwatch, cluster: c, failure: {http: ['503']}}", '"503"', id="a single code"),
        pytest.param(
            "{name: a, type: cloudwatch, cluster: c, services: [{service: '', namespace: n, name: x}]}",
            '"service" is empty',
            id="a service without a name",
        ),
        pytest.param(
            "{name: a, type: cloudwatch, cluster: c, services: [{service: s, namespace: n, name: ''}]}",
            '"" is no name of an object',
            id="an object without a name",
        ),
        pytest.param(
            "{name: a, type: cloudwatch, cluster: c, services: [{service: s, namespace: Shop, name: x}]}",
            '"Shop" is no name of a namespace',
            id="a namespace as none is called",
        ),
        pytest.param(
            "{name: a, type: cloudwatch, cluster: c, services: [{service: s, namespace: n, name: x, kind: ''}]}",
            '"" is not what a service is',
            id="an empty kind",
        ),
        pytest.param(
            "{name: a, type: cloudwatch, cluster: c, environments: {production: ''}}",
            '"" is no name of a namespace',
            id="an environment without a namespace",
        ),
        pytest.param(
            "{name: a, type: cloudwatch, source: ecs-service-connect, namespace: ''}",
            '"" is no name of a namespace',
            id="an empty namespace",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, problem: str) -> None:
    (found,) = problems_of(text)
    assert problem in found
    assert found.startswith("config.yaml:1")


def test_all_mistakes_are_told_at_once() -> None:
    found = problems_of("{name: a, type: cloudwatch, budget: 0, delay: x, profil: y}")
    assert len(found) == 4
