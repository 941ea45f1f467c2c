"""The stage of a soak: every part there is, started, populated and told of the others."""

from __future__ import annotations

import asyncio
import random
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from accounts import CLUSTER, Accounts
from callers import Callers, Way
from certificates import Certificates, Issued, Mounted
from disturbances import Disturbances, Sources
from fleet import Fleet
from kube import kube
from ledger import Ledger
from parts import Server, Store, server, store
from questions import Questions
from relay import relay
from rollouts import Rollouts
from server import API
from stores import serving_pages
from truth import Truth

from tests.controlplane.parts import MissingPart, find_parts
from tests.controlplane.plane import SERVER, ControlPlane, manifests

__all__ = ["Plan", "Stage", "staged"]

_OWN = ("namespace.yaml", "serviceaccount.yaml", "rbac.yaml", "readers.yaml")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how much.

    There are cycles of ``churn`` seconds, each followed by at least ``rest`` seconds, for ``minutes``, and ``cycles`` at least. Meanwhile
    there are so many ``namespaces`` with ``deployments`` of ``pods`` each; ``askers`` ask about ``rate`` questions a second each;
    ``watchers`` watch; ``changes`` objects change a second. From cycle ``leak_from`` on the server leaks what ``leak`` says. It makes its
    certificate itself where that is ``issued``, and finds it in files otherwise.
    """

    minutes: float
    cycles: int = 4
    churn: float = 260
    rest: float = 100
    namespaces: int = 5
    deployments: int = 20
    pods: int = 4
    askers: int = 14
    rate: float = 2.0
    watchers: int = 40
    changes: float = 6
    every: float = 5
    leak: tuple[str, ...] = ()
    leak_from: int = 3
    seed: int = 1
    issued: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """The parts; ``tls`` is that of somebody who may read the server's metrics, and ``steady`` the store that nobody harms."""

    server: Server
    steady: Store
    callers: Callers
    rollouts: Rollouts
    accounts: Accounts
    disturbances: Disturbances
    ledger: Ledger
    tls: ssl.SSLContext

    async def metrics(self) -> str:
        """What the server exposes of itself."""
        connector = aiohttp.TCPConnector(ssl=self.tls)
        async with aiohttp.ClientSession(connector=connector) as session, session.get(f"{self.server.url}/metrics") as response:
            return await response.text()


@asynccontextmanager
async def staged(plan: Plan) -> AsyncIterator[Stage]:
    """Everything there is, started and populated; gone afterwards."""
    dice, ledger, fleet = random.Random(plan.seed), Ledger(), Fleet(plan.namespaces, plan.deployments, 3)
    try:
        parts = await find_parts()
    except MissingPart as missing:
        raise SystemExit(str(missing)) from missing
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trafficmetrics-soak-")))
        for name in ("plane", "pairs", "server"):
            (place / name).mkdir()
        pages = [stack.enter_context(serving_pages(fleet)) for _ in range(2)]
        steady = await stack.enter_async_context(store(fleet, pages[0], place / "steady"))
        fragile = await stack.enter_async_context(store(fleet, pages[1], place / "fragile"))
        plane = await stack.enter_async_context(ControlPlane(parts, place / "plane"))
        await asyncio.gather(steady.until_known(), fragile.until_known())
        own = [*_OWN, "issuing.yaml"] if plan.issued else _OWN
        await plane.apply(*(document for name in own for document in manifests(name)))
        admin = await stack.enter_async_context(kube(plane))
        spaces = sorted({member.namespace for member in fleet.all()})
        rollouts, accounts = Rollouts(admin, fleet, plan.pods, ledger, dice), Accounts(admin, spaces, dice)
        await rollouts.populate()
        await accounts.make()
        relayed = await stack.enter_async_context(relay(fragile.url, place / "token"))
        sources = Sources(relayed, steady, pages[0])
        certificates: Certificates = Issued(admin) if plan.issued else Mounted(place / "pairs")
        settings = {
            "kubernetes": {"kubeconfig": str(plane.kubeconfig(SERVER))},
            "metrics": {"window": "30s", "refresh": "5s"},
            "server": {"peerVisibility": "authorized"},
        }
        served = await stack.enter_async_context(server(place / "server", certificates, settings, sources.usual))
        await plane.register(served.port, await certificates.bundle())
        aggregated = Way(
            "through kube-apiserver", plane.url, ssl.create_default_context(cadata=plane.cluster_ca.certificate.decode())
        )
        callers = Callers(
            [Way("direct", served.url, served.tls), aggregated],
            accounts,
            Questions(spaces, plan.deployments, dice),
            Truth(fleet),
            ledger,
            dice,
        )
        watched = served.tls_with(plane.cluster_ca.client("monitor", ["system:monitoring"]))
        await _until_documented(aggregated, accounts)
        disturbances = Disturbances(plane, admin, served, certificates, fragile, relayed, sources, ledger=ledger, dice=dice)
        yield Stage(served, steady, callers, rollouts, accounts, disturbances, ledger, watched)


async def _until_documented(way: Way, accounts: Accounts) -> None:
    """Wait until kube-apiserver, which copies OpenAPI documents in its own time, has them."""
    async with way.session() as session, asyncio.timeout(60):
        while True:
            async with session.get(f"{way.url}/openapi/v3{API}", headers=await accounts.headers(CLUSTER)) as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.2)
