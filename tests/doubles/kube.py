"""A small kube-apiserver on a real TLS socket: the trust ConfigMap, token reviews, access reviews, and any objects a test puts in.

It counts what it is asked, can be told to fail or to hold its answers back, and checks the caller's bearer token.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from tests.doubles.authority import Authority

__all__ = ["ACCESS_REVIEWS", "CONFIG_MAP", "CONFIG_MAPS", "TOKEN_REVIEWS", "Failure", "KubeDouble", "running_kube"]

CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"
CONFIG_MAP = f"{CONFIG_MAPS}/extension-apiserver-authentication"
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is no success. ``status`` 0 breaks the connection instead; ``body`` replaces the usual Status document."""

    status: int
    message: str = "told to fail"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


class KubeDouble:
    """What the double knows and what it was asked; a test changes the attributes while it runs.

    ``objects``: documents by path. ``tokens``: the ``status.user`` of each valid token. ``allows``: the access rule, on the ``spec`` of a
    review. ``access_status``: a whole ``status`` to answer instead. ``failures``: answers for a path, used up one by one.
    ``gate``: answers wait until it is set. ``credential``: the bearer token callers must show. ``watchers``: the watches open.
    ``handlers``: who answers for a path instead.
    """

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.objects: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.token_error = "invalid bearer token"
        self.allows: Callable[[dict[str, Any]], bool] = lambda _: False
        self.access_status: dict[str, Any] | None = None
        self.failures: defaultdict[str, deque[Failure]] = defaultdict(deque)
        self.gate = asyncio.Event()
        self.gate.set()
        self.credential = "caller"
        self.calls: Counter[str] = Counter()
        self.waiting = 0
        self._news = asyncio.Condition()
        self.asked: list[dict[str, Any]] = []
        self.queries: list[dict[str, str]] = []
        self.accepted: list[str] = []
        self.handlers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {}
        self.watchers: list[asyncio.Queue[bytes | None]] = []
        self.kubeconfig = Path()
        self.url = ""

    def publish_trust(self, **data: str) -> None:
        """Write the ConfigMap; underscores stand for dashes."""
        named = {key.replace("_", "-"): value for key, value in data.items()}
        metadata = {"name": CONFIG_MAP.rpartition("/")[2], "namespace": "kube-system"}
        document = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": named}
        self.objects[CONFIG_MAP] = document
        self.tell("MODIFIED", document)

    def tell(self, event: str, document: Mapping[str, Any]) -> None:
        """Send an event to everybody who watches."""
        self.tell_bytes(json.dumps({"type": event, "object": document}).encode() + b"\n")

    def tell_bytes(self, data: bytes | None) -> None:
        """Send anything to everybody who watches; None ends their watches."""
        for watcher in self.watchers:
            watcher.put_nowait(data)

    def fail(self, path: str, *failures: Failure) -> None:
        """Let the next calls of a path fail."""
        self.failures[path].extend(failures)

    def write_kubeconfig(self, authority: Authority | None = None, **user: Any) -> None:
        """A kubeconfig for this double; ``user`` overrides the bearer token, ``authority`` the one that signed its certificate."""
        directory = self.kubeconfig.parent
        (directory / "ca.crt").write_text((authority or self.authority).pem)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "double",
            "contexts": [{"name": "double", "context": {"cluster": "double", "user": "double"}}],
            "clusters": [{"name": "double", "cluster": {"server": self.url, "certificate-authority": str(directory / "ca.crt")}}],
            "users": [{"name": "double", "user": user or {"token": self.credential}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(config))

    async def until_waiting(self, requests: int = 1) -> None:
        """Return once that many requests wait for the gate."""
        async with self._news:
            await self._news.wait_for(lambda: self.waiting >= requests)

    async def until_called(self, path: str, times: int) -> None:
        """Return once a path has been asked for so often."""
        async with self._news:
            await self._news.wait_for(lambda: self.calls[path] >= times)

    async def until_watched(self, times: int = 1) -> None:
        """Return once so many watch; TimeoutError when they do not."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.watchers) >= times)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Every request ends here."""
        path = request.path
        self.calls[path] += 1
        self.queries.append(dict(request.query))
        self.accepted.append(request.headers.get("Accept", ""))
        body = await request.read()
        self.waiting += 1
        async with self._news:
            self._news.notify_all()
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        if self.failures[path]:
            return _failed(request, self.failures[path].popleft())
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if (scheme.lower(), token) != ("bearer", self.credential):
            return _failed(request, Failure(401, "Unauthorized"))
        if path in self.handlers:
            return await self.handlers[path](request)
        if request.query.get("watch") == "true":
            return await self._watched(request)
        if path == CONFIG_MAPS:
            items = [self.objects[CONFIG_MAP]] if CONFIG_MAP in self.objects else []
            return web.json_response({"kind": "ConfigMapList", "metadata": {"resourceVersion": "77"}, "items": items})
        if path in self.objects:
            return web.json_response(self.objects[path])
        if request.method == "POST" and path in (TOKEN_REVIEWS, ACCESS_REVIEWS):
            review = json.loads(body)
            self.asked.append(review["spec"])
            status = self._token_status(review["spec"]) if path == TOKEN_REVIEWS else self._access_status(review["spec"])
            return web.json_response(review | {"status": status}, status=201)
        return _failed(request, Failure(404, f'"{path}" not found'))

    async def _watched(self, request: web.Request) -> web.StreamResponse:
        """A watch from now on; it lasts until a test ends it, or the client leaves."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.watchers.append(events)
        async with self._news:
            self._news.notify_all()
        try:
            while (data := await events.get()) is not None:
                await response.write(data)
        finally:
            self.watchers.remove(events)
        return response

    def _token_status(self, spec: dict[str, Any]) -> dict[str, Any]:
        user = self.tokens.get(spec["token"])
        if user is None:
            return {"user": {}, "error": self.token_error} if self.token_error else {"user": {}}
        return {"authenticated": True, "user": user}

    def _access_status(self, spec: dict[str, Any]) -> dict[str, Any]:
        if self.access_status is not None:
            return self.access_status
        return {"allowed": True} if self.allows(spec) else {"allowed": False, "reason": "RBAC: not bound"}


def _failed(request: web.Request, failure: Failure) -> web.StreamResponse:
    if failure.status == 0:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    if failure.body is not None:
        return web.Response(status=failure.status, text=failure.body, headers=failure.headers)
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": failure.message, "code": failure.status}
    return web.json_response(status, status=failure.status, headers=failure.headers)


@asynccontextmanager
async def running_kube(directory: Path) -> AsyncIterator[KubeDouble]:
    """A double on a free port of loopback; its kubeconfig is written into ``directory``."""
    authority = Authority("double-ca")
    double = KubeDouble(authority)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", double.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        context = authority.server_context("localhost", "127.0.0.1", directory=directory)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        double.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        double.kubeconfig = directory / "kubeconfig"
        double.write_kubeconfig()
        yield double
    finally:
        double.gate.set()
        double.tell_bytes(None)
        await runner.cleanup()
