"""What people see when kube-apiserver cannot use the server, word for word as docs/troubleshooting.md has it, for each cause there is."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.controlplane.pki import Authority
from tests.controlplane.plane import API_SERVICE, NAMESPACE, ControlPlane, manifest
from tests.controlplane.served.api import Api
from tests.controlplane.served.balancer import Balancer
from tests.controlplane.served.cluster import MONITOR
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, Server, configured, run_server
from tests.troubleshooting.page import entries, expect

pytestmark = pytest.mark.real

UNABLE = "The server is currently unable to handle the request"
DEAD = 1
"""A port where nobody listens."""


@pytest.fixture(scope="module", autouse=True)
async def afterwards(api: Api) -> AsyncIterator[None]:
    """Everybody else finds the API as it was."""
    yield
    await api.register()


async def point(api: Api, port: int, authority: bytes | None = None) -> None:
    """Has kube-apiserver look for the server at this port, and verify it with this authority's certificate (PEM)."""
    spec: dict[str, Any] = {"service": {"port": port}}
    if authority is not None:
        spec["caBundle"] = base64.b64encode(authority).decode()
    await api.prints("patch", "apiservice", API_SERVICE, "--type=merge", f"--patch={json.dumps({'spec': spec})}")


async def condition_is(api: Api, heading: str, variant: int = 0) -> None:
    """Wait until the condition of the APIService is what the page says under that heading."""
    path = "jsonpath={.status.conditions[0].reason}: {.status.conditions[0].message}"
    for _ in range(100):
        told = await api.prints("get", "apiservice", API_SERVICE, "-o", path)
        with suppress(AssertionError):
            expect(heading, told, variant)
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"the condition is not the one of {heading!r}: {told}")


async def test_nobody_answers(api: Api):
    await api.register()
    await api.prints("get", "tm", "-n", "shop")
    await point(api, DEAD)
    await condition_is(api, "FailedDiscoveryCheck: connection refused")
    expect(UNABLE, (await api.kubectl("get", "tm", "-n", "shop")).stderr)
    expect(UNABLE, (await api.kubectl("get", "--raw", f"{GV}/pods")).stderr, 1)
    # This is what the alert about it is made of.
    metrics = await api.prints("get", "--raw", "/metrics")
    assert f'aggregator_unavailable_apiservice{{name="{API_SERVICE}"}} 1' in metrics
    assert f'aggregator_unavailable_apiservice_total{{name="{API_SERVICE}",reason="FailedDiscoveryCheck"}}' in metrics


async def test_the_probe_may_run_where_the_page_has_it_run(api: Api):
    (command,) = re.findall(r"`kubectl (run [^`]+)`", entries()["FailedDiscoveryCheck: connection refused"].body)
    words = command.replace("--rm -it", "--dry-run=server").split()
    space = words.index("-n") + 1
    assert words[space] != NAMESPACE
    assert "pod/probe created (server dry run)" in await api.prints(*words)
    refused = await api.kubectl(*words[:space], NAMESPACE, *words[space + 1 :])
    assert 'violates PodSecurity "restricted' in refused.stderr


async def test_who_has_never_seen_the_api_does_not_find_it_while_it_is_away(api: Api):
    await point(api, DEAD)
    await condition_is(api, "FailedDiscoveryCheck: connection refused")
    api.plane.forget_discovery()
    expect("The server doesn't have a resource type", (await api.kubectl("get", "tm", "-n", "shop")).stderr)


async def test_a_control_plane_without_aggregated_discovery_has_every_kubectl_complain(api: Api):
    await point(api, DEAD)
    await condition_is(api, "FailedDiscoveryCheck: connection refused")
    async with before_1_26(api.plane) as url:
        api.plane.forget_discovery()
        nodes = await api.kubectl("get", "nodes", f"--server={url}")
        everything = await api.kubectl("api-resources", "--api-group=apps", f"--server={url}")
        api.plane.forget_discovery()
    assert nodes.code == 0
    expect("Couldn't get resource list", nodes.stderr)
    expect("Couldn't get resource list", everything.stderr, 1)


@asynccontextmanager
async def before_1_26(plane: ControlPlane) -> AsyncIterator[str]:
    """kube-apiserver as admin, without what it has had since 1.26: one document for all groups."""

    async def answer(request: web.Request) -> web.Response:
        url, headers = plane.url + request.path_qs, {"Accept": "application/json"}
        async with session.request(request.method, url, headers=headers, ssl=plane.tls()) as response:
            return web.Response(status=response.status, body=await response.read(), content_type=response.content_type)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with aiohttp.ClientSession() as session, TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_the_certificate_is_of_another_authority(api: Api):
    await point(api, api.server.port, Authority("trafficmetrics-ca").certificate)
    await condition_is(api, "FailedDiscoveryCheck: certificate signed by unknown authority")
    expect(UNABLE, (await api.kubectl("get", "--raw", f"{GV}/pods")).stderr, 1)


async def test_what_is_trusted_and_what_is_served_are_shown(api: Api, tmp_path: Path):
    """Of a bundle of several, whichever of them signed the certificate; somebody else's alone is told from it."""
    body = entries()["FailedDiscoveryCheck: certificate signed by unknown authority"].body
    trusted, served = re.findall(r"```sh\n(.*?)```", body, re.DOTALL)
    other = Authority("of-another-way").certificate
    served = served.replace("localhost:8443", f"127.0.0.1:{api.server.port}")

    await point(api, api.server.port, other + api.server.ca_bundle)
    subjects = re.findall(r"^subject=(.*)$", await in_shell(api, tmp_path, trusted), re.MULTILINE)
    assert len(subjects) == 2
    shown = await in_shell(api, tmp_path, served)
    (issuer,) = set(re.findall(r"^ +i:(.*)$", shown, re.MULTILINE))
    assert (subjects.index(issuer), "Verification: OK" in shown) == (1, True)

    await point(api, api.server.port, other)
    assert issuer not in await in_shell(api, tmp_path, trusted)
    assert "Verification error: " in await in_shell(api, tmp_path, served)


async def in_shell(api: Api, folder: Path, commands: str) -> str:
    """What they print."""
    command = ("bash", "-euo", "pipefail", "-c", commands)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=api.plane.environment(), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    return told.decode()


async def test_the_service_is_not_what_it_should_be(api: Api):
    await api.register()
    await api.prints("delete", "service", "trafficmetrics", "-n", NAMESPACE)
    await condition_is(api, "ServiceNotFound")
    await api.plane.apply(manifest("service.yaml"))
    await condition_is(api, "ServicePortError")
    await point(api, 443)
    await condition_is(api, "MissingEndpoints")
    pods = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "trafficmetrics-1",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": "trafficmetrics"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": False}}],
        "ports": [{"name": "https", "port": 6443}],
    }
    try:
        await api.plane.apply(pods)
        await condition_is(api, "MissingEndpoints", 1)
    finally:
        await api.prints("delete", "endpointslice", "trafficmetrics-1", "-n", NAMESPACE)
        await api.register()


@pytest.mark.parametrize(
    ("believed", "heading"),
    [
        pytest.param({"requestheaderClientCaFile": "own", "requestheaderAllowedNames": "aggregator"}, "401", id="another name"),
        pytest.param({"requestheaderClientCaFile": "other"}, "EOF", id="another authority"),
        pytest.param({"authenticationSkipLookup": True}, "403", id="nobody"),
    ],
)
async def test_kube_apiserver_is_not_recognised(api: Api, tmp_path: Path, believed: dict[str, object], heading: str):
    authorities = {"own": api.plane.front_proxy_ca.certificate, "other": Authority("other-ca").certificate}
    if (name := believed.get("requestheaderClientCaFile")) is not None:
        (tmp_path / "authority.crt").write_bytes(authorities[str(name)])
        believed = believed | {"requestheaderClientCaFile": str(tmp_path / "authority.crt")}
    configuration = configured(api.plane, f"http://127.0.0.1:{DEAD}")
    configuration["kubernetes"] |= believed
    async with run_server(api.plane, tmp_path, configuration) as server:
        await point(api, server.port, server.ca_bundle)
        await condition_is(api, f"FailedDiscoveryCheck: {heading}")
        expect(UNABLE, (await api.kubectl("get", "--raw", f"{GV}/pods")).stderr, 1)
        metrics = (await Api(api.plane, server).direct("/metrics", user=MONITOR)).body.decode()
        expect(f"FailedDiscoveryCheck: {heading}", server.daemon.tail(100) + metrics, 1)


async def test_an_api_that_is_not_registered_is_not_known(api: Api):
    await api.plane.unregister()
    expect("The server doesn't have a resource type", (await api.kubectl("get", "tm", "-n", "shop")).stderr)
    expect("The server doesn't have a resource type", (await api.kubectl("get", "apiservice", API_SERVICE)).stderr, 1)


async def test_one_of_two_replicas_gets_all_requests(api: Api, prometheus: Prometheus, tmp_path: Path):
    # With the same serving pair, which is in a Secret where there is a cluster.
    shutil.copytree(api.server._directory / "serving", tmp_path / "serving")
    async with run_server(api.plane, tmp_path, configured(api.plane, prometheus.url)) as other, Balancer().running() as balancer:
        balancer.replicas = [api.server, other]
        await balancer.until_ready(2)
        await api.plane.register(balancer.port, api.server.ca_bundle)
        # For a while after something about an APIService has changed kube-apiserver may begin a connection anew.
        for _ in range(5):
            before = [await asked(api, server) for server in balancer.replicas]
            for _ in range(30):
                assert (await api.proxied(f"{GV}/namespaces/shop/pods")).status == 200
            after = [await asked(api, server) for server in balancer.replicas]
            more = sorted(now - then for now, then in zip(after, before, strict=True))
            if not more[0]:
                break
    expect("One replica gets all requests", "\n".join(f'{{pod="{name}"}} {count}' for name, count in zip("ab", more, strict=True)))


async def asked(api: Api, server: Server) -> int:
    """How often a replica was asked for pods."""
    text = (await Api(api.plane, server).direct("/metrics", user=MONITOR)).body.decode()
    counts = [line for line in text.splitlines() if line.startswith("apiserver_request_total{") and 'resource="pods"' in line]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in counts)
