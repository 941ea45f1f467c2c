"""A cluster with many pods, as kube-apiserver and Prometheus tell of it: their answers, made up and kept, sent over HTTP.

``python bench/cluster.py NAMESPACES DEPLOYMENTS PODS`` serves both on a free port of loopback, prints the port, and ends with its standard
input: ``NAMESPACES`` with ``DEPLOYMENTS`` each, of ``PODS`` pods each, in a Linkerd mesh. What it costs to serve a server of such a size is
no part of the measurement, so there is neither etcd nor a store here. Whoever asks may do everything.

Of every ten deployments, one has other numbers in every second refresh: those rows move.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from fleet import BOUNDS
from processes import LOOPBACK, Process, free_port, running

__all__ = ["REFRESH", "Cluster", "authority", "cluster_server", "kubeconfig", "made_up_cluster"]

REFRESH = 2
"""Seconds between two instants the server under measurement answers for; less than its default, so that measuring takes less time."""

_MOVING = 10  # one deployment in so many moves
_BY = re.compile(r"by \(([^)]*)\)")
_NAMESPACE = re.compile(r'[{,]namespace="([^"]*)"')
_ALLOWED = {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": {"allowed": True}}
_KNOWN = {
    "kind": "TokenReview",
    "apiVersion": "authentication.k8s.io/v1",
    "status": {"authenticated": True, "user": {"username": "bench", "groups": ["system:authenticated"]}},
}
_CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"
_HASH = "5d9f8c7b6"


class Cluster:
    """A made-up cluster at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def queries(self) -> int:
        """How many queries the store has been asked so far."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/queries") as response:
            return int(await response.text())

    async def let_source(self, mood: str) -> None:
        """Make the store answer (``work``), be silent (``hang``), say 503 (``fail``), break off (``half``) or hang up (``drop``)."""
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/mood/{mood}") as response:
            response.raise_for_status()


@contextmanager
def made_up_cluster(namespaces: int, deployments: int, pods: int) -> Iterator[Cluster]:
    """The cluster, in a process of its own."""
    command = [sys.executable, __file__, *map(str, (namespaces, deployments, pods))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Cluster(f"http://{LOOPBACK}:{int(process.stdout.readline())}")
    finally:
        process.communicate()


@contextmanager
def cluster_server(kubernetes: str, source: str, dialect: str = "linkerd") -> Iterator[Process]:
    """The server as it runs in a cluster: over TLS, with objects, tokens and permissions looked up in Kubernetes.

    ``kubernetes`` is the URL of a kube-apiserver, ``source`` that of a Prometheus. A made-up cluster is both.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="trafficmetrics-bench-") as place:
        access = Path(place) / "kubeconfig"
        access.write_text(json.dumps(kubeconfig(kubernetes)), encoding="utf-8")
        command = [sys.executable, "-m", "apiservice.main", "serve", "--v=0"]
        command += [f"--prometheus-url={source}", f"--dialect={dialect}", f"--kubeconfig={access}", f"--refresh={REFRESH}s"]
        command += [f"--bind-address={LOOPBACK}", f"--secure-port={port}", f"--cert-dir={place}"]
        with running(command, port, "/readyz", Path(place) / "log", scheme="https") as process:
            yield process


def kubeconfig(url: str) -> dict[str, Any]:
    """For the kube-apiserver at ``url``, whose certificate nobody can verify; its token is ``bench``."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "bench", "user": {"token": "bench"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    }


def authority() -> bytes:
    """The certificate, PEM, of an authority whose key nobody has: it lets nobody in."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


class _Sizes:
    """How many there are of everything, and their names."""

    def __init__(self, namespaces: int, deployments: int, pods: int) -> None:
        self.namespaces = [f"team-{number:02d}" for number in range(namespaces)]
        self._deployments = deployments
        self._pods = pods

    def deployments(self, namespace: str) -> Iterator[tuple[str, str]]:
        """Namespace and name of each."""
        for space in [namespace] if namespace else self.namespaces:
            for number in range(self._deployments):
                yield space, f"service-{number:03d}"

    def pods(self, namespace: str) -> Iterator[tuple[str, str]]:
        """Namespace and name of each."""
        for space, name in self.deployments(namespace):
            for number in range(self._pods):
                yield space, f"{name}-{_HASH}-x{number:04d}"


class _Kubernetes:
    """The lists of objects, in pages, as a server sends metadata alone."""

    def __init__(self, sizes: _Sizes) -> None:
        self._sizes = sizes
        self.items = cache(self._items)

    async def trust(self, _: web.Request) -> web.Response:
        """Whom the cluster trusts."""
        data = {"client-ca-file": authority().decode()}
        return web.json_response({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "data": data})

    async def collection(self, request: web.Request) -> web.StreamResponse:
        """A list, or a watch of one."""
        return await self.watched(request) if "watch" in request.query else await self.listed(request)

    async def watched(self, request: web.Request) -> web.StreamResponse:
        """A watch in which nothing happens."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await asyncio.sleep(float(request.query.get("timeoutSeconds", "60")))
        return response

    async def listed(self, request: web.Request) -> web.Response:
        """One page of a list."""
        start, limit = int(request.query.get("continue", "0")), int(request.query.get("limit", "0")) or 1 << 30
        items = self.items(request.match_info["plural"], request.match_info.get("namespace", ""))
        page = items[start : start + limit]
        metadata = {"resourceVersion": "1", **({"continue": str(start + limit)} if start + limit < len(items) else {})}
        head = json.dumps({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
        return web.Response(text=f'{head[:-1]}, "items": [{",".join(page)}]}}', content_type="application/json")

    def _items(self, plural: str, namespace: str) -> list[str]:
        find: dict[str, Callable[[str], Iterator[tuple[str, str]]]] = {
            "deployments": self._sizes.deployments,
            "replicasets": lambda namespace: ((space, f"{name}-{_HASH}") for space, name in self._sizes.deployments(namespace)),
            "pods": self._sizes.pods,
            "namespaces": lambda _: (("", name) for name in self._sizes.namespaces),
        }
        places = find.get(plural, lambda _: iter(()))(namespace)
        return [json.dumps({"metadata": _metadata(plural, *place)}) for place in places]


_OWNERS = {"pods": ("ReplicaSet", f"-{_HASH}"), "replicasets": ("Deployment", "")}
"""The kind of what owns such objects, and what its name has behind that of the Deployment."""


def _metadata(plural: str, namespace: str, name: str) -> dict[str, Any]:
    """What an object of a mesh has about itself."""
    app = name.partition(f"-{_HASH}")[0]
    labels = {
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/part-of": namespace,
        "app.kubernetes.io/version": "1.27.3",
        "linkerd.io/control-plane-ns": "linkerd",
        "linkerd.io/proxy-deployment": app,
        "pod-template-hash": _HASH,
    }
    kind, suffix = _OWNERS.get(plural, ("", ""))
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": f"{app}{suffix}", "controller": True}
    return {
        "name": name,
        "namespace": namespace,
        "uid": f"5a4f4a3c-1c8b-4d7e-9f3e-{hash((namespace, name)) % 10**12:012d}",
        "resourceVersion": "123456789",
        "creationTimestamp": "2026-11-01T09:00:00Z",
        "labels": labels,
        "annotations": {"linkerd.io/inject": "enabled", "prometheus.io/scrape": "true", "checksum/config": "9f86d081884c7d65" * 4},
        "ownerReferences": [owner] if kind else [],
    }


class _Store:
    """Answers of a Prometheus: totals by deployment or by pod."""

    def __init__(self, sizes: _Sizes) -> None:
        self._sizes = sizes
        self.asked = 0
        self.mood = "work"
        self._changed = asyncio.Event()
        self._body = cache(self._made)

    async def query(self, request: web.Request) -> web.Response:
        """An instant query, of the few kinds there are."""
        self.asked += 1
        form = await request.post()
        if self.mood != "work":
            return await self._failed(request)
        promql, moved = str(form["query"]), int(float(str(form["time"]))) // REFRESH % 2 == 1
        by, namespace = _BY.search(promql), _NAMESPACE.search(promql)
        # No series lacks a label, and what was received is told of by its callee alone.
        labels = (
            tuple(by[1].split(", ")) if by and 'direction="inbound"' in promql and '=""' not in promql.replace('!=""', "") else ()
        )
        return web.Response(body=self._body(labels, namespace[1] if namespace else "", moved), content_type="application/json")

    def feel(self, mood: str) -> None:
        """See :meth:`Cluster.let_source`."""
        self.mood = mood
        self._changed.set()
        self._changed = asyncio.Event()

    async def _failed(self, request: web.Request) -> web.Response:
        if self.mood == "hang":
            await self._changed.wait()
        if self.mood == "drop" and request.transport is not None:
            request.transport.abort()
        if self.mood == "half":
            return web.Response(text='{"status":"success","data":{"resultType":"vector","result":[{"metric"')
        return web.Response(status=503, text="told to fail")

    def _made(self, by: tuple[str, ...], namespace: str, moved: bool) -> bytes:  # noqa: FBT001 what the cache goes by
        level = next((label for label in ("pod", "deployment") if label in by), "")
        places = {"pod": self._sizes.pods, "deployment": self._sizes.deployments}[level](namespace) if level else ()
        series: list[str] = []
        for number, (space, name) in enumerate(places):
            requests = 60.0 * (1 + number * 7 % 40) * (1.25 if moved and not number % _MOVING else 1)
            labels = f'"namespace":"{space}","{level}":"{name}"'
            if "le" in by:
                series += [_series(f'{labels},"le":"{le}"', requests * at / len(BOUNDS)) for at, le in enumerate(BOUNDS, 1)]
            else:
                series += [_series(f'{labels},"classification":"{how}"', requests * share) for how, share in _OUTCOMES]
        return f'{{"status":"success","data":{{"resultType":"vector","result":[{",".join(series)}]}}}}'.encode()


_OUTCOMES = (("success", 0.99), ("failure", 0.01))


def _series(labels: str, value: float) -> str:
    return f'{{"metric":{{{labels}}},"value":[1760000000,"{value}"]}}'


async def _serve(sizes: _Sizes) -> None:
    kubernetes, store = _Kubernetes(sizes), _Store(sizes)

    async def allow(_: web.Request) -> web.Response:
        return web.json_response(_ALLOWED, status=201)

    async def know(_: web.Request) -> web.Response:
        return web.json_response(_KNOWN, status=201)

    async def queries(_: web.Request) -> web.Response:
        return web.Response(text=str(store.asked))

    async def change_mood(request: web.Request) -> web.Response:
        store.feel(request.match_info["mood"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/apis/authorization.k8s.io/v1/subjectaccessreviews", allow)
    app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", know)
    app.router.add_get(f"{_CONFIG_MAPS}/extension-apiserver-authentication", kubernetes.trust)
    app.router.add_get(_CONFIG_MAPS, kubernetes.watched)
    for root in ("/api/v1", "/apis/{group}/v1"):
        app.router.add_get(f"{root}/{{plural}}", kubernetes.collection)
        app.router.add_get(f"{root}/namespaces/{{namespace}}/{{plural}}", kubernetes.collection)
    app.router.add_post("/api/v1/query", store.query)
    app.router.add_get("/queries", queries)
    app.router.add_post("/mood/{mood}", change_mood)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(_Sizes(*map(int, sys.argv[1:4]))))
