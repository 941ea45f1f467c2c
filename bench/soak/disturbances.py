"""What goes wrong meanwhile: stores fail, kube-apiserver goes, certificates, authorities, tokens and the configuration change."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from callers import CLUSTER_AWAY, GAP
from certificates import Certificates
from kube import Kube
from ledger import Ledger
from parts import Server, Store
from relay import MOODS, Relay

from tests.controlplane.pki import Authority
from tests.controlplane.plane import ControlPlane

__all__ = ["Disturbances", "Sources"]

_TRUST = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
_WINDOW = 60.0
_SCRAPED = 40.0
"""Seconds after which a store has read its past and every page of the fleet again, three times."""
_GRACE = 45.0
"""Seconds kube-apiserver may need to find the server again, and the server to believe it."""
_NOTICED = 15.0
"""Seconds after which files are read again."""
_RELOADED = "trafficmetrics_config_last_reload_successful"


class Sources:
    """The entries of ``backends``: the usual ones, and others to exchange them for."""

    def __init__(self, relay: Relay, steady: Store, pages: str) -> None:
        both: dict[str, Any] = {"type": "prometheus", "dialect": "linkerd", "scrapeInterval": "10s", "timeout": "3s"}
        self._fragile = {"name": "fragile", "url": relay.url, "bearerTokenFile": str(relay.token_file), **both}
        self._steady = {"name": "steady", "url": steady.url, **both, "timeout": "15s"}
        self._pages = pages
        self.usual = [self._fragile, self._steady]

    def others(self) -> list[tuple[str, list[dict[str, Any]] | str]]:
        """What else the file may hold: entries, or a text that is none."""
        extra = {**self._steady, "name": "team", "covers": {"namespaces": ["team-00"]}, "dialect": "auto"}
        target = {
            "address": self._pages,
            "path": "/team-00/service-000",
            "labels": {"namespace": "team-00", "deployment": "service-000"},
        }
        scraped = {"name": "scraped", "type": "scrape", "dialect": "linkerd", "interval": "10s", "targets": [target]}
        remote = {"name": "viz", "type": "linkerd", "address": "127.0.0.1:1", "covers": {"namespaces": ["nowhere"]}}
        changed = {**self._fragile, "timeout": "4s", "hedgeAfter": "1s"}
        return [
            ("a source is added", [*self.usual, extra]),
            ("a source is taken out", [self._steady]),
            ("sources change", [changed, {**self._steady, "concurrency": 4}]),
            ("sources of other types are added", [*self.usual, scraped, remote]),
            ("sources are exchanged", [{**self._steady, "name": "again"}]),
            ("the file is no YAML", "backends: [{name: \n"),
            ("the file is wrong", json.dumps({"backends": [{"name": "x", "type": "prometheus", "unknown": True}]})),
        ]


class Disturbances:
    """Everything that can be done to the server but asking it."""

    def __init__(  # noqa: PLR0913 it does something to each of them
        self,
        plane: ControlPlane,
        kube: Kube,
        server: Server,
        certificates: Certificates,
        fragile: Store,
        relay: Relay,
        sources: Sources,
        *,
        ledger: Ledger,
        dice: random.Random,
    ) -> None:
        self._plane, self._kube, self._server, self._certificates = plane, kube, server, certificates
        self._fragile, self._relay, self._sources, self._ledger, self._dice = fragile, relay, sources, ledger, dice
        self._round = 0
        self.reloads = False

    async def find_out(self, metrics: str) -> None:
        """Whether the server under the soak reads its configuration again; ``metrics`` is what it exposes."""
        self.reloads = _RELOADED in metrics

    async def sources_fail(self, length: float) -> None:
        """One trouble of the fragile store after the other, in ``length`` seconds."""
        moods = [*self._dice.sample(MOODS, len(MOODS)), "kill", "freeze"]
        each = length / len(moods)
        for mood in moods:
            match mood:
                case "kill":
                    await self._kill(each)
                case "freeze":
                    await self._freeze(each)
                case _:
                    await self._feel(mood, each)
            await asyncio.sleep(each / 2)

    async def everything_rotates(self, length: float) -> None:
        """Certificates, authorities, tokens and configuration change, in ``length`` seconds; now and then kube-apiserver restarts."""
        self._round += 1
        steps: list[Callable[[float], Awaitable[None]]] = [self._renew_certificate, self._rotate_token, self._trust_others]
        if self.reloads:
            others = self._sources.others()
            chosen = self._dice.sample(others, 3) if length > 100 else others[:1]
            steps += [lambda each, name=name, text=text: self._reconfigure(name, text, each) for name, text in chosen]  # type: ignore[misc]
        if length > 100 and self._round % 2 == 0:
            steps.append(self._restart_with_new_front_proxy if self._round % 4 == 0 else self._restart)
        self._dice.shuffle(steps)
        for step in steps:
            await step(length / len(steps))

    async def settle(self) -> None:
        """Make everything as it was: nothing is disturbed any more."""
        self._relay.feel("work")
        self._server.configure(self._server.with_sources(self._sources.usual))

    async def _feel(self, mood: str, length: float) -> None:
        with self._ledger.disturbed(f"source: {mood}"):
            self._relay.feel(mood)
            try:
                await asyncio.sleep(length / 2)
            finally:
                self._relay.feel("work")

    async def _kill(self, length: float) -> None:
        with self._ledger.disturbed("source: kill -9", GAP, _WINDOW + _SCRAPED):
            await self._fragile.kill()
            try:
                await asyncio.sleep(length / 2)
            finally:
                self._fragile.start()

    async def _freeze(self, length: float) -> None:
        with self._ledger.disturbed("source: SIGSTOP", GAP, _WINDOW + _SCRAPED):
            self._fragile.freeze()
            try:
                await asyncio.sleep(length / 2)
            finally:
                self._fragile.thaw()

    async def _renew_certificate(self, length: float) -> None:
        """A new pair, and one that does not fit, which must not be taken."""
        with self._ledger.disturbed("serving certificate: renewed"):
            await self._certificates.renew()
            await asyncio.sleep(length / 3)
        with self._ledger.disturbed("serving certificate: spoilt"):
            await self._certificates.spoil()
            await asyncio.sleep(min(_NOTICED, length / 3))
        await self._certificates.renew()
        await asyncio.sleep(length / 3)

    async def _rotate_token(self, length: float) -> None:
        """The token of a source, twice: the first one is good for nothing then."""
        with self._ledger.disturbed("token of a source: rotated"):
            self._relay.rotate()
            await asyncio.sleep(length / 2)
            self._relay.rotate()
            await asyncio.sleep(length / 2)

    async def _trust_others(self, length: float) -> None:
        """Another authority for client certificates is published, and taken back."""
        other = Authority("another-cluster-ca")
        with self._ledger.disturbed("client CA: one more"):
            await self._publish(other.certificate + self._plane.cluster_ca.certificate)
            if length > _NOTICED:
                await self._until_let_in(other, wanted=True)
            await asyncio.sleep(length / 3)
            await self._publish(self._plane.cluster_ca.certificate)
            if length > _NOTICED:
                await self._until_let_in(other, wanted=False)

    async def _publish(self, bundle: bytes) -> None:
        await self._kube.merge(_TRUST, {"data": {"client-ca-file": bundle.decode()}})

    async def _until_let_in(self, authority: Authority, *, wanted: bool) -> None:
        """Wait until a client of an authority connects, or does not; that it takes long is unexpected."""
        tls = self._server.tls_with(authority.client("visitor", ["system:masters"]))
        since = self._ledger.now
        while self._ledger.now < since + 3 * _NOTICED:
            if await self._connects(tls) == wanted:
                return
            await asyncio.sleep(0.5)
        self._ledger.note("client CA", "let in" if not wanted else "not let in", expected=False, excuse=CLUSTER_AWAY, since=since)

    async def _connects(self, tls: Any) -> bool:
        try:
            connector = aiohttp.TCPConnector(ssl=tls)
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.get(f"{self._server.url}/metrics") as response,
            ):
                return response.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def _restart(self, _: float, front_proxy: Authority | None = None) -> None:
        with self._ledger.disturbed("kube-apiserver: restarted", CLUSTER_AWAY, _GRACE):
            await self._plane.restart(front_proxy_ca=front_proxy)

    async def _restart_with_new_front_proxy(self, length: float) -> None:
        """With another authority for its own certificate, and the old one taken back from those that are believed."""
        fresh = Authority("front-proxy-ca")
        await self._restart(length, fresh)
        with self._ledger.disturbed("front proxy: a new authority", CLUSTER_AWAY, _GRACE):
            await asyncio.sleep(_NOTICED)
            await self._kube.merge(_TRUST, {"data": {"requestheader-client-ca-file": fresh.certificate.decode()}})

    async def _reconfigure(self, name: str, text: list[dict[str, Any]] | str, length: float) -> None:
        with self._ledger.disturbed(f"configuration: {name}", GAP if "type" in name or "added" in name else "", _NOTICED):
            self._server.configure(text if isinstance(text, str) else self._server.with_sources(text))
            try:
                await asyncio.sleep(length * 2 / 3)
            finally:
                self._server.configure(self._server.with_sources(self._sources.usual))
        await asyncio.sleep(length / 3)
