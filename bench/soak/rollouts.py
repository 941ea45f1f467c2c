"""What happens in a cluster meanwhile: pods that come, go and are looked at, rolling updates, labels, and namespaces that come and go."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress

from fleet import Fleet
from kube import Kube
from ledger import Ledger
from population import NODES, Owner, Pod, deployment, endpoint_slice, node, pod, replica_set, service, status

__all__ = ["Rollouts"]

_CORE, _APPS, _DISCOVERY = "/api/v1", "/apis/apps/v1", "/apis/discovery.k8s.io/v1"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_FLEET_HASH = "5d9f8c7b6"
_KEPT = 2  # ReplicaSets of former templates that a Deployment keeps
_Place = tuple[str, str]


class Rollouts:
    """The objects of a fleet. One pod of each Deployment is the one the fleet has traffic of; it stays, while ``pods`` others change."""

    def __init__(self, kube: Kube, fleet: Fleet, pods: int, ledger: Ledger, dice: random.Random) -> None:
        self._kube = kube
        self._fleet = fleet
        self._each = pods
        self._ledger = ledger
        self._dice = dice
        self._owners: dict[_Place, Owner] = {}
        self._sets: dict[_Place, list[tuple[str, Owner]]] = defaultdict(list)
        self._pods: dict[_Place, list[Pod]] = {}
        self._visiting = 0

    async def populate(self) -> None:
        """Make everything."""
        turn = asyncio.Semaphore(12)

        async def take(step: Awaitable[object]) -> None:
            async with turn:
                await step

        spaces = sorted({member.namespace for member in self._fleet.all()})
        await asyncio.gather(*(self._kube.create(f"{_CORE}/nodes", node(name)) for name in NODES[:10]))
        await asyncio.gather(*(self._kube.create(f"{_CORE}/namespaces", {"metadata": {"name": name}}) for name in spaces))
        await asyncio.gather(*(take(self._member(member.namespace, member.name, member.pod)) for member in self._fleet.all()))

    async def go_on(self, rate: float, ending: asyncio.Event) -> None:
        """Change so many objects a second, until that is to end; a change that has begun is brought to its end."""
        mix: tuple[tuple[Callable[[], Awaitable[int]], int], ...] = (
            (self._look, 45),
            (self._label, 12),
            (self._replace, 25),
            (self._reslice, 10),
            (self._roll, 5),
            (self._visit, 3),
        )
        while not ending.is_set():
            change = self._dice.choices([one for one, _ in mix], weights=[share for _, share in mix])[0]
            done = await change()
            self._ledger.changes += done
            with suppress(TimeoutError):
                async with asyncio.timeout(done / rate):
                    await ending.wait()

    async def _member(self, namespace: str, app: str, known: str) -> None:
        place = namespace, app
        self._owners[place] = await self._kube.create(f"{_apps(namespace)}/deployments", deployment(namespace, app))
        first = await self._kube.create(
            f"{_apps(namespace)}/replicasets", replica_set(namespace, app, _FLEET_HASH, self._owners[place])
        )
        self._sets[place] = [(_FLEET_HASH, first)]
        await self._start(Pod(namespace, app, known, self._dice.choice(NODES[:10])), first)
        self._pods[place] = [await self._another(place) for _ in range(self._each)]
        await self._kube.create(f"{_core(namespace)}/services", service(namespace, app, [app]))
        slices = f"{_DISCOVERY}/namespaces/{namespace}/endpointslices"
        await self._kube.create(slices, endpoint_slice(namespace, app, self._pods[place]))

    async def _another(self, place: _Place) -> Pod:
        """A new pod of the newest ReplicaSet of a Deployment."""
        revision, owner = self._sets[place][-1]
        one = Pod(*place, f"{place[1]}-{revision}-{self._letters(5)}", self._dice.choice(NODES[:10]))
        await self._start(one, owner)
        return one

    async def _start(self, one: Pod, owner: Owner) -> None:
        pods = f"{_core(one.namespace)}/pods"
        await self._kube.create(pods, pod(one, owner))
        await self._kube.merge(f"{pods}/{one.name}/status", {"status": status(one)})

    async def _look(self) -> int:
        one = self._dice.choice(self._pods[self._place()])
        await self._kube.merge(f"{_core(one.namespace)}/pods/{one.name}/status", {"status": status(one, "2026-11-01T10:00:00Z")})
        return 1

    async def _label(self) -> int:
        one = self._dice.choice(self._pods[self._place()])
        labels = {"metadata": {"labels": {"canary": str(self._dice.randrange(1000))}}}
        await self._kube.merge(f"{_core(one.namespace)}/pods/{one.name}", labels)
        await self._kube.merge(f"{_apps(one.namespace)}/deployments/{one.app}", labels)
        return 2

    async def _replace(self) -> int:
        """A pod is evicted, and another one comes."""
        place = self._place()
        gone = self._pods[place].pop(0)
        await self._kube.delete(f"{_core(gone.namespace)}/pods/{gone.name}")
        self._pods[place].append(await self._another(place))
        return 3

    async def _reslice(self) -> int:
        namespace, app = place = self._place()
        await self._kube.merge(
            f"{_DISCOVERY}/namespaces/{namespace}/endpointslices/{app}-x2z4w",
            {"endpoints": endpoint_slice(namespace, app, self._pods[place])["endpoints"]},
        )
        return 1

    async def _roll(self) -> int:
        """A rolling update: a new ReplicaSet, whose pods take the place of the others one by one. Old sets are deleted at last."""
        namespace, app = place = self._place()
        revision = self._letters(9)
        made = await self._kube.create(
            f"{_apps(namespace)}/replicasets", replica_set(namespace, app, revision, self._owners[place])
        )
        self._sets[place].append((revision, made))
        annotations = {"metadata": {"annotations": {"deployment.kubernetes.io/revision": revision}}}
        await self._kube.merge(f"{_apps(namespace)}/deployments/{app}", annotations)
        for _ in range(self._each):
            self._pods[place].append(await self._another(place))
            gone = self._pods[place].pop(0)
            await self._kube.delete(f"{_core(namespace)}/pods/{gone.name}")
        # The first set is the one of the pod that stays.
        while len(self._sets[place]) > _KEPT + 1:
            old, _ = self._sets[place].pop(1)
            await self._kube.delete(f"{_apps(namespace)}/replicasets/{app}-{old}")
        return 3 + 3 * self._each

    async def _visit(self) -> int:
        """A namespace that is there for a moment, as of a pull request."""
        self._visiting += 1
        namespace, apps = f"visit-{self._visiting}", ["web", "api", "db"]
        await self._kube.create(f"{_CORE}/namespaces", {"metadata": {"name": namespace}})
        for app in apps:
            owner = await self._kube.create(f"{_apps(namespace)}/deployments", deployment(namespace, app))
            first = await self._kube.create(f"{_apps(namespace)}/replicasets", replica_set(namespace, app, _FLEET_HASH, owner))
            await self._start(Pod(namespace, app, f"{app}-{_FLEET_HASH}-{self._letters(5)}", NODES[0]), first)
        await self._kube.delete(f"{_CORE}/namespaces/{namespace}")
        # There is no controller that would empty and finalize it.
        for collection in (f"{_core(namespace)}/pods", f"{_apps(namespace)}/replicasets", f"{_apps(namespace)}/deployments"):
            await self._kube.delete(collection)
        found = await self._kube.send("GET", f"{_CORE}/namespaces/{namespace}")
        await self._kube.send("PUT", f"{_CORE}/namespaces/{namespace}/finalize", {**found, "spec": {"finalizers": []}})
        return 2 + 8 * len(apps)

    def _place(self) -> _Place:
        return self._dice.choice(list(self._pods))

    def _letters(self, count: int) -> str:
        return "".join(self._dice.choices(_LETTERS, k=count))


def _core(namespace: str) -> str:
    return f"{_CORE}/namespaces/{namespace}"


def _apps(namespace: str) -> str:
    return f"{_APPS}/namespaces/{namespace}"
