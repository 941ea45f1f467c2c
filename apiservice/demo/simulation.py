"""The shop without Envoy: the same visits walk through the same operations, and simulated proxies count them in Envoy's own format."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import cycle

from aiohttp import web

from apiservice.demo.bootstrap import HOST
from apiservice.demo.conduct import Conduct
from apiservice.demo.exposition import ProxyStats
from apiservice.demo.grpc import OK, UNAVAILABLE
from apiservice.demo.shop import LOCAL_APP, Shop, Visit

__all__ = ["Simulation"]

_PROXY_SECONDS = 0.0003
"""What passing through one proxy takes."""

_MIME = "text/plain; version=0.0.4"


class Simulation:
    """A simulated proxy for every pod of a shop."""

    def __init__(self, shop: Shop) -> None:
        self._proxies = {pod.name: ProxyStats() for pod in shop.pods}
        self._routes = {workload.host: workload.routes for workload in shop.workloads}
        self._grpc = {workload.host for workload in shop.workloads if workload.grpc}
        self._conduct = {host: Conduct(operations) for host, operations in shop.operations.items()}
        # A host outside the mesh has a proxy here that nobody reads.
        self._turns = {each.host: cycle([ProxyStats()]) for each in shop.externals}
        self._turns |= {each.host: cycle([self._proxies[pod.name] for pod in each.pods]) for each in shop.workloads}

    async def serve(self, stack: AsyncExitStack) -> Mapping[str, str]:
        """Serve what the proxies count until ``stack`` is closed: the address for each pod's name."""
        served: dict[int, ProxyStats] = {}

        async def expose(request: web.Request) -> web.Response:
            port = request.get_extra_info("sockname")[1]
            return web.Response(body=served[port].render().encode(), headers={"Content-Type": _MIME})

        application = web.Application()
        application.router.add_get("/stats/prometheus", expose)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        addresses: dict[str, str] = {}
        for name, proxy in self._proxies.items():
            await web.TCPSite(runner, HOST, 0).start()
            port = int(runner.addresses[-1][1])
            served[port] = proxy
            addresses[name] = f"{HOST}:{port}"
        return addresses

    async def receive(self, visit: Visit) -> None:
        """One visit, walked through at once; the times counted are those it would have taken."""
        proxy = next(self._turns[visit.gateway])
        peer = next(route.peer for route in self._routes[visit.gateway] if visit.path.startswith(route.prefix))
        status, seconds = self._request(proxy, peer, visit.path)
        proxy.received("ingress_http", status, seconds + _PROXY_SECONDS)

    def _request(self, caller: ProxyStats, host: str, path: str) -> tuple[int, float]:
        """The HTTP status that stands for the outcome, and seconds; both proxies have counted the request."""
        proxy = next(self._turns[host])
        status, seconds = self._perform(host, proxy, path)
        grpc_status = (OK if status == 200 else UNAVAILABLE) if host in self._grpc else None
        answered = status if grpc_status is None else 200
        proxy.sent(LOCAL_APP, answered, seconds, grpc_status)
        seconds += 2 * _PROXY_SECONDS
        caller.sent(host, answered, seconds, grpc_status)
        return status, seconds

    def _perform(self, host: str, proxy: ProxyStats, path: str) -> tuple[int, float]:
        """What the application of ``host`` does, calling others through its proxy."""
        act = self._conduct[host].act(path)
        if act is None:
            return 404, 0.0
        seconds = next(act.times)
        for call in act.operation.calls:
            status, taken = self._request(proxy, call.peer, call.path)
            seconds += taken
            if status >= 500 and call.required:
                return 502, seconds
        return (503 if next(act.failures) else 200), seconds
