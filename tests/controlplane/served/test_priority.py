"""Fairness between those who ask through kube-apiserver: the level of priority that docs/multi-tenancy.md gives the group, for real."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from tests.controlplane.plane import DEPLOY, Person
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import SHOP_READER
from tests.controlplane.served.server import GV
from tests.deploy.showing import run_shown

pytestmark = pytest.mark.real

PAGE = (DEPLOY.parent / "docs" / "multi-tenancy.md").read_text(encoding="utf-8")
TRAFFIC = f"{GV}/namespaces/shop/pods"
NAMESPACE_CONTROLLER = Person(
    "system:serviceaccount:kube-system:namespace-controller", ("system:serviceaccounts", "system:serviceaccounts:kube-system")
)
OPERATOR = Person("system:serviceaccount:shop:operator", ("system:serviceaccounts", "system:serviceaccounts:shop"))


async def level(api: Api, path: str, user: Person) -> str:
    """The name of the level of priority that a request was on."""
    uid = (await api.proxied(path, user=user)).headers["X-Kubernetes-PF-PriorityLevel-UID"]
    lines = '{range .items[*]}{.metadata.uid} {.metadata.name}{"\\n"}{end}'
    listed = await api.prints("get", "prioritylevelconfigurations", "-o", f"jsonpath={lines}")
    return dict(line.split() for line in listed.splitlines())[uid]


async def seats(api: Api) -> dict[str, int]:
    """How many requests each level has seats for."""
    text = await api.prints("get", "--raw", "/metrics")
    found = re.findall(r'^apiserver_flowcontrol_nominal_limit_seats\{priority_level="([^"]+)"\} (\S+)$', text, re.MULTILINE)
    return {name: int(float(count)) for name, count in found}


@pytest.fixture
async def before(api: Api) -> AsyncIterator[dict[str, int]]:
    """The seats of a kube-apiserver that has nothing but its own levels; afterwards it has these again."""
    yield await seats(api)
    for kind in ("flowschema", "prioritylevelconfiguration"):
        await api.prints("delete", kind, "trafficmetrics", "--ignore-not-found")


async def test_requests_for_traffic_are_on_a_level_of_their_own(api: Api, before: dict[str, int]):
    assert await level(api, TRAFFIC, SHOP_READER) == "global-default"
    assert await level(api, TRAFFIC, OPERATOR) == "workload-low"
    this = "test_requests_for_traffic_are_on_a_level_of_their_own"
    assert await run_shown(api.plane, "multi-tenancy.md", this) == 0
    for _ in range(100):
        if await level(api, TRAFFIC, SHOP_READER) == "trafficmetrics":
            break
        await asyncio.sleep(0.1)
    assert [await level(api, TRAFFIC, each) for each in (SHOP_READER, OPERATOR)] == ["trafficmetrics"] * 2
    # Nothing else is, and what deletes namespaces does not wait behind people.
    assert await level(api, "/api/v1/namespaces/shop/pods", SHOP_READER) == "global-default"
    assert await level(api, "/api/v1/namespaces/shop/pods", OPERATOR) == "workload-low"
    assert await level(api, TRAFFIC, NAMESPACE_CONTROLLER) == "workload-high"
    # What it costs the others is what the page says.
    now = await seats(api)
    (told,) = re.findall(r"are (\d+) of the (\d+) requests .*\n?.* and `workload-low` has (\d+) of them instead of (\d+)\.", PAGE)
    ours, total, low, low_before = map(int, told)
    assert (ours, low, low_before) == (now["trafficmetrics"], now["workload-low"], before["workload-low"])
    # Seats of each level are rounded up.
    assert total <= sum(now.values()) <= total + len(now)
