"""Canary controllers through kube-apiserver, with the service account, the role and the token that the documentation gives them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api
from tests.controlplane.served.mesh import WEB, received
from tests.controlplane.served.server import GV
from tests.delivery.controllers import Answered, Phase, argo_prometheus, argo_web, flagger_prometheus
from tests.delivery.examples import command, fill, named

pytestmark = pytest.mark.real

PAGE = "progressive-delivery.md"
ACCOUNT = "canary-reads-traffic"
# Numbers are of the usual window: what is in the store is younger than a minute.
ARGUMENTS = {
    "{{args.canary-hash}}": WEB.hash,
    "{{ target }}": "web",
    "{{ interval }}": "10s",
    "window=1m": "window=10s",
    '="1m"': '="10s"',
}
TRUTH = received("shop", "web")


class Canary:
    """Whoever has the token of the service account, and trusts the cluster's authority."""

    def __init__(self, api: Api, token: str) -> None:
        self.token = token
        self._url = api.plane.url
        self._tls = ssl.create_default_context(cadata=api.plane.cluster_ca.certificate.decode())

    async def ask(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Answered:
        """See :class:`tests.delivery.controllers.Asking`."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == "https://kubernetes.default.svc"
        path = URL(f"{self._url}{parts.path}{'?' if parts.query else ''}{parts.query}", encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, path, headers=headers, data=form, ssl=self._tls) as response,
        ):
            return Answered(response.status, await response.text())

    def filled(self, example: Any) -> Any:
        """An example of the page for the version that there is, with this token."""
        return fill(example, {**ARGUMENTS, "{{args.token}}": self.token})


@pytest.fixture(scope="module")
async def canary(api: Api) -> Canary:
    await api.plane.apply(named(PAGE, "ServiceAccount", ACCOUNT), named(PAGE, "RoleBinding", ACCOUNT))
    return Canary(api, (await api.prints("create", "token", ACCOUNT, "-n", "shop")).strip())


async def test_argo_rollouts_judges_a_replicaset_by_plain_numbers(canary: Canary):
    (metric,) = canary.filled(named(PAGE, "AnalysisTemplate", "traffic")["spec"]["metrics"])
    # 97.8 % succeed, 99 % within 278 ms.
    assert await argo_web(metric, canary.ask) == Phase.FAILED
    assert await argo_web(fill(metric, {"0.99": "0.97"}), canary.ask) == Phase.SUCCESSFUL
    assert await argo_web(fill(metric, {"0.99": "0.97", "300": "200"}), canary.ask) == Phase.FAILED


async def test_argo_rollouts_judges_a_replicaset_by_queries(canary: Canary):
    success, p99 = canary.filled(named(PAGE, "AnalysisTemplate", "traffic-by-query")["spec"]["metrics"])
    asked = (success, fill(success, {"0.99": "0.97"}), p99, fill(p99, {"0.3": "0.2"}))
    found = [await argo_prometheus(each, canary.ask) for each in asked]
    assert found == [Phase.FAILED, Phase.SUCCESSFUL, Phase.SUCCESSFUL, Phase.FAILED]


async def test_flagger_reads_a_deployment(canary: Canary):
    ratio = await flagger_prometheus(canary.filled(named(PAGE, "MetricTemplate", "success-ratio")), canary.ask, canary.token)
    p99 = await flagger_prometheus(canary.filled(named(PAGE, "MetricTemplate", "p99-seconds")), canary.ask, canary.token)
    assert ratio == pytest.approx(TRUTH.success / (TRUTH.success + TRUTH.failure), rel=0.01)
    assert p99 == pytest.approx(TRUTH.p99, rel=0.01)


async def test_plain_numbers_are_the_truth(canary: Canary):
    bearer = {"Authorization": f"Bearer {canary.token}"}
    answer = await canary.ask(f"https://kubernetes.default.svc{GV}/namespaces/shop/deployments/web?format=numbers", headers=bearer)
    found = json.loads(answer.body)
    expected = {
        "rps": TRUTH.success + TRUTH.failure,
        "successRate": TRUTH.success / (TRUTH.success + TRUTH.failure),
        "failureRatio": TRUTH.failure / (TRUTH.success + TRUTH.failure),
        "p50Ms": TRUTH.p50 * 1000,
        "p90Ms": TRUTH.p90 * 1000,
        "p99Ms": TRUTH.p99 * 1000,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=0.01)
    assert (found["incomplete"], found["warnings"], found["windowSeconds"]) == (False, [], 10)


@pytest.mark.parametrize("path", ["namespaces/data/statefulsets/db?format=numbers", "trafficmetrics?format=numbers"])
async def test_the_account_reads_its_own_namespace_alone(canary: Canary, path: str):
    bearer = {"Authorization": f"Bearer {canary.token}"}
    answer = await canary.ask(f"https://kubernetes.default.svc{GV}/{path}", headers=bearer)
    assert (answer.status, json.loads(answer.body)["reason"]) == (403, "Forbidden")


async def test_flagger_can_be_made_to_trust_both_servers(api: Api):
    root = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt", "namespace": "default"}}
    # Made by a controller that does not run here.
    await api.plane.apply({**root, "data": {"ca.crt": api.plane.cluster_ca.certificate.decode()}})
    script = command(PAGE, "authorities").rstrip() + " --dry-run=client -o json"
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, env=api.plane.environment(ADMIN), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    made = json.loads(out)
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == ("authorities", "flagger")
    trusting = ssl.create_default_context(cadata=made["data"]["ca.crt"])
    for url in (f"{api.plane.url}/livez", f"{api.server.url}/livez"):
        async with aiohttp.ClientSession() as session, session.get(url, ssl=trusting) as response:
            assert response.status == 200


async def test_the_role_of_flagger_is_bound_to_its_service_account(api: Api):
    (line,) = command(PAGE, "flagger-reads-metrics").splitlines()
    bound = json.loads(await api.prints(*line.split()[1:], "--dry-run=client", "-o", "json"))
    assert bound["roleRef"]["name"] == "trafficmetrics-autoscaling"
    assert bound["subjects"] == [{"kind": "ServiceAccount", "name": "flagger", "namespace": "flagger"}]
