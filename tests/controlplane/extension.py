"""The smallest extension API server kube-apiserver accepts: it proves the path a request takes, and nothing else."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from tests.controlplane.pki import Authority

__all__ = ["Extension", "Seen", "serve_extension"]

_DISCOVERY = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": "metrics.smi-spec.io/v1alpha1",
    "resources": [
        {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "PodTrafficMetrics", "verbs": ["get", "list"]},
    ],
}


class Seen(NamedTuple):
    """A request as it arrived: who the headers say it is for, and the common name of the certificate that came with it."""

    path: str
    user: str
    groups: tuple[str, ...]
    certificate: str


@dataclass(frozen=True, slots=True)
class Extension:
    """A running server: its port on loopback, and what it was asked."""

    port: int
    seen: list[Seen]


@asynccontextmanager
async def serve_extension(serving: Authority, host: str, clients: bytes, directory: Path) -> AsyncIterator[Extension]:
    """Serves discovery over TLS with a certificate of ``serving`` for ``host``.

    ``clients`` is the PEM of the authority client certificates are asked for.
    """
    pair = serving.server(host)
    (directory / "tls.crt").write_bytes(pair.certificate)
    (directory / "tls.key").write_bytes(pair.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    tls.load_verify_locations(cadata=clients.decode())
    tls.verify_mode = ssl.CERT_OPTIONAL
    seen: list[Seen] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(_read(request))
        if request.path == "/apis/metrics.smi-spec.io/v1alpha1":
            return web.json_response(_DISCOVERY)
        # 404 makes kube-apiserver fall back from /apis to the document above. Given for /openapi/v3 it would make it
        # never ask there again, so that is "not now".
        status = 503 if request.path.startswith("/openapi/") else 404
        return web.Response(status=status, text="this server knows nothing but its discovery document")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        yield Extension(runner.addresses[0][1], seen)
    finally:
        await runner.cleanup()


def _read(request: web.Request) -> Seen:
    peer = request.transport.get_extra_info("peercert") if request.transport else None
    names = dict(attribute[0] for attribute in (peer or {}).get("subject", ()))
    return Seen(
        request.path,
        request.headers.get("X-Remote-User", ""),
        tuple(request.headers.getall("X-Remote-Group", [])),
        names.get("commonName", ""),
    )
