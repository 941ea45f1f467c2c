"""Who asks: service accounts with different rights, whose tokens are new every few minutes, and people who are nobody."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from kube import Kube

__all__ = ["CLUSTER", "FORGED", "NOBODY", "STRANGER", "Accounts", "Asker"]

CLUSTER, STRANGER, FORGED, NOBODY = "cluster", "stranger", "forged", "nobody"
"""Who reads everything, who has a token and no rights, who has a token nobody made, and who has none. Others are called as their namespace,
and read that.
"""
_HOME = "callers"
_EACH = 3
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_KEPT = 420.0
"""Seconds a token is used; it would be good for ten minutes."""


class Asker(NamedTuple):
    """A service account."""

    group: str
    name: str


class Accounts:
    """The accounts, and tokens of them that are good."""

    def __init__(self, kube: Kube, namespaces: Sequence[str], dice: random.Random) -> None:
        self._kube = kube
        self._dice = dice
        self._namespaces = namespaces
        groups = [*namespaces, CLUSTER, CLUSTER, STRANGER]
        self._all = [Asker(group, f"{group}-{number}") for group in dict.fromkeys(groups) for number in range(_EACH)]
        self._tokens: dict[str, list[tuple[float, str]]] = defaultdict(list)

    async def make(self) -> None:
        """Make them and their rights, and a token of each."""
        await self._kube.create("/api/v1/namespaces", {"metadata": {"name": _HOME}})
        for one in self._all:
            await self._kube.create(f"/api/v1/namespaces/{_HOME}/serviceaccounts", {"metadata": {"name": one.name}})
            if one.group in self._namespaces:
                path = f"{_RBAC}/namespaces/{one.group}/rolebindings"
                await self._kube.create(path, _binding("RoleBinding", "trafficmetrics-reader", one))
            elif one.group == CLUSTER:
                for role in ("trafficmetrics-reader", "trafficmetrics-cluster-reader"):
                    await self._kube.create(f"{_RBAC}/clusterrolebindings", _binding("ClusterRoleBinding", role, one))
        for one in self._all:
            await self._renew(one)

    async def renew_now_and_then(self, pause: float) -> None:
        """Make another token every ``pause`` seconds, for as long as this goes on."""
        while True:
            await self._renew(self._dice.choice(self._all))
            await asyncio.sleep(pause)

    async def headers(self, group: str) -> dict[str, str]:
        """What somebody of a group sends with a request."""
        if group == NOBODY:
            return {}
        if group == FORGED:
            return {"Authorization": f"Bearer forged-{self._dice.randrange(10**9)}"}
        one = self._dice.choice([asker for asker in self._all if asker.group == group])
        if not self._good(one):
            await self._renew(one)
        return {"Authorization": f"Bearer {self._dice.choice(self._good(one))}"}

    def _good(self, one: Asker) -> list[str]:
        now = time.monotonic()
        self._tokens[one.name] = [each for each in self._tokens[one.name] if each[0] > now]
        return [token for _, token in self._tokens[one.name]]

    async def _renew(self, one: Asker) -> None:
        token = await self._kube.token(_HOME, one.name)
        self._tokens[one.name].append((time.monotonic() + _KEPT, token))


def _binding(kind: str, role: str, one: Asker) -> dict[str, Any]:
    return {
        "kind": kind,
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": f"{role}-{one.name}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": one.name, "namespace": _HOME}],
    }
