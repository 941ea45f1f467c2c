"""The fleet: pods, who they belong to, when they lived, and who called whom. Everything else is made from this, the truth as well.

What a pod belongs to is written down here for each of them. ``OWNED`` is what Kubernetes is told; that the one follows from the other is
what the tests prove.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "BEGIN",
    "BOUNDS",
    "END",
    "FLOWS",
    "GONE",
    "LATE",
    "NODES",
    "OWNED",
    "PODS",
    "STEP",
    "SWITCH",
    "WINDOW",
    "Flow",
    "Latency",
    "Pod",
]

STEP = 20
"""Seconds between two samples; answers are as of multiples of it."""

WINDOW = 600

_NOW = math.floor(time.time() / STEP) * STEP
BEGIN, END = _NOW - 900, _NOW + 1200
"""Unix seconds of the first and the last samples."""
SWITCH = _NOW - 200
"""When the new pods of the rolling update took over from the old ones, which ended."""

BOUNDS = (0.005, 0.02, 0.1, 0.5, 2.0)
"""Upper bounds of the latency buckets, seconds."""


class Latency(NamedTuple):
    """The share of the requests that is answered within so many seconds, one for each bound, as either end sees it."""

    at_server: tuple[float, ...]
    at_client: tuple[float, ...]


FAST = Latency((0.57, 0.93, 1.0, 1.0, 1.0), (0.21, 0.68, 0.97, 1.0, 1.0))
STEADY = Latency((0.0, 0.31, 0.97, 1.0, 1.0), (0.0, 0.13, 0.66, 0.95, 1.0))
SLOW = Latency((0.0, 0.0, 0.43, 0.88, 1.0), (0.0, 0.0, 0.11, 0.71, 1.0))

NODES = ("rack-a", "rack-b", "rack-c")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod and all it belongs to.

    ``workload`` is ``Kind/name``; ``part_of`` are the other owners, written the same way. ``owner`` is what its owner reference says.
    ``born`` and ``died`` are the first and the last second in which it answered, Unix seconds. ``gone``: it was deleted, ``strange``: it
    never was in this cluster, and only the telemetry knows it.
    """

    namespace: str
    name: str
    owner: str
    workload: str
    node: str
    part_of: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    born: int = BEGIN
    died: int = END
    gone: bool = False
    strange: bool = False

    @property
    def labels(self) -> dict[str, str]:
        """What its object is labelled with."""
        return {"app": self.workload.partition("/")[2]}


def _replica(
    name: str, node: str, *services: str, above: str = "Deployment", namespace: str = "mall", born: int = BEGIN, died: int = END
) -> Pod:
    """A pod of a ReplicaSet that somebody owns."""
    replica_set = name.rpartition("-")[0]
    workload = f"{above}/{replica_set.rpartition('-')[0]}"
    set_of_it = f"ReplicaSet/{replica_set}"
    return Pod(namespace, name, set_of_it, workload, node, (set_of_it,), services, born, died, gone=died < END)


# A rolling update in the middle of the window.
WEB_OLD_A = _replica("web-5d4f7c9b8d-x2k4z", "rack-a", "web", died=SWITCH)
WEB_OLD_B = _replica("web-5d4f7c9b8d-t7wqm", "rack-b", "web", died=SWITCH)
WEB_A = _replica("web-7c9b8d5d4f-h5v8n", "rack-a", "web", born=SWITCH)
WEB_B = _replica("web-7c9b8d5d4f-9jw2x", "rack-b", "web", born=SWITCH)
# Two Deployments behind one Service.
BLUE_A = _replica("api-blue-6b4c5-4mzqv", "rack-a", "api")
BLUE_B = _replica("api-blue-6b4c5-t8w6h", "rack-b", "api")
GREEN = _replica("api-green-59fc7-zz7lm", "rack-b", "api")
# The last of an earlier rolling update, whose ReplicaSet is deleted as well.
GREEN_OLD = _replica("api-green-6c8f9-vw4kx", "rack-a", "api", died=SWITCH - 60)
# What a split divides requests among.
FRONT_1 = _replica("front-v1-84b7d-q5rfn", "rack-a", "front-v1")
FRONT_2 = _replica("front-v2-77c9f-b4n8s", "rack-b", "front-v2")
# A custom controller with ReplicaSets, and one that owns its pod itself.
CANARY_A = _replica("canary-85f6d7b9c4-m8x2v", "rack-a", "canary", above="Rollout")
CANARY_B = _replica("canary-85f6d7b9c4-b5n9d", "rack-b", "canary", above="Rollout")
SOLO = Pod("mall", "solo-zz54v", "Rollout/solo", "Rollout/solo", "rack-a")
# Pods nobody owns: a bare one, and one that its node made.
PROBE = Pod("mall", "probe", "", "Pod/probe", "rack-b")
MIRROR = Pod("mall", "proxy-rack-a", "Node/rack-a", "Pod/proxy-rack-a", "rack-a")
# A ReplicaSet without an owner, and one whose Deployment was deleted.
STRAY = Pod("mall", "stray-7xk2c", "ReplicaSet/stray", "ReplicaSet/stray", "rack-a")
WIDOW = Pod("mall", "widow-5f6d8-qm5zj", "ReplicaSet/widow-5f6d8", "ReplicaSet/widow-5f6d8", "rack-b")
RELIC = Pod("mall", "relic-5vw8c", "ReplicationController/relic", "ReplicationController/relic", "rack-a")
CART_0 = Pod("mall", "cart-0", "StatefulSet/cart", "StatefulSet/cart", "rack-a", services=("cart",))
CART_1 = Pod("mall", "cart-1", "StatefulSet/cart", "StatefulSet/cart", "rack-b", services=("cart",))
LOGS_A = Pod("mall", "logs-k2x9p", "DaemonSet/logs", "DaemonSet/logs", "rack-a", services=("logs",))
LOGS_B = Pod("mall", "logs-8d7fm", "DaemonSet/logs", "DaemonSet/logs", "rack-b", services=("logs",))
# A Job that ran and is done: its pod is deleted. And two runs of a CronJob, the earlier of which is deleted with its pod.
REINDEX = Pod("mall", "reindex-7l2tq", "Job/reindex", "Job/reindex", "rack-b", born=SWITCH - 100, died=SWITCH - 40, gone=True)
NIGHT_1 = Pod(
    "mall",
    "nightly-29012340-w2r7k",
    "Job/nightly-29012340",
    "Job/nightly-29012340",
    "rack-a",
    ("CronJob/nightly",),
    died=SWITCH - 100,
    gone=True,
)
NIGHT_2 = Pod(
    "mall", "nightly-29012345-x7kq2", "Job/nightly-29012345", "Job/nightly-29012345", "rack-b", ("CronJob/nightly",), born=SWITCH
)
IDLE = _replica("idle-6b9c4-h5v8n", "rack-b", "idle")
# Another namespace, with a Deployment of the same name.
DB = Pod("vault", "db-0", "StatefulSet/db", "StatefulSet/db", "rack-b", services=("db",))
VAULT_WEB = _replica("web-84b7c-q9rf5", "rack-a", "web", namespace="vault")
# It was deleted long ago, with all it belonged to.
NEVER = Pod("mall", "ghost-7d5c9-9jw2x", "", "Deployment/ghost", "rack-a", strange=True)

PODS = (
    *(
        WEB_OLD_A,
        WEB_OLD_B,
        WEB_A,
        WEB_B,
        BLUE_A,
        BLUE_B,
        GREEN,
        GREEN_OLD,
        FRONT_1,
        FRONT_2,
        CANARY_A,
        CANARY_B,
        SOLO,
        PROBE,
        MIRROR,
    ),
    *(STRAY, WIDOW, RELIC, CART_0, CART_1, LOGS_A, LOGS_B, REINDEX, NIGHT_1, NIGHT_2, IDLE, DB, VAULT_WEB, NEVER),
)
GONE = tuple(pod for pod in PODS if pod.gone)

OWNED: dict[str, str] = {
    "ReplicaSet/web-5d4f7c9b8d": "Deployment/web",
    "ReplicaSet/web-7c9b8d5d4f": "Deployment/web",
    "ReplicaSet/api-blue-6b4c5": "Deployment/api-blue",
    "ReplicaSet/api-green-59fc7": "Deployment/api-green",
    "ReplicaSet/api-green-6c8f9": "Deployment/api-green",
    "ReplicaSet/front-v1-84b7d": "Deployment/front-v1",
    "ReplicaSet/front-v2-77c9f": "Deployment/front-v2",
    "ReplicaSet/canary-85f6d7b9c4": "Rollout/canary",
    "ReplicaSet/stray": "",
    "ReplicaSet/widow-5f6d8": "Deployment/widow",
    "ReplicaSet/idle-6b9c4": "Deployment/idle",
    "ReplicaSet/web-84b7c": "Deployment/web",
    "Job/reindex": "",
    "Job/nightly-29012340": "CronJob/nightly",
    "Job/nightly-29012345": "CronJob/nightly",
}
"""The owner reference of everything that pods refer to and that has one, or could; the Deployment ``widow`` does not exist."""

LATE = ("Job/nightly-29012340", "ReplicaSet/api-green-6c8f9")
"""What is deleted together with the pods that are gone."""


class _Outside:
    """Callers that no proxy belongs to."""


OUTSIDE = _Outside()


@dataclass(frozen=True, slots=True)
class Flow:
    """Requests per second from one pod to another, while both live; ``via`` is the Service called, empty when it was the pod itself."""

    client: Pod | _Outside
    server: Pod
    via: str
    success: float
    failure: float = 0.0
    latency: Latency = FAST


FLOWS: tuple[Flow, ...] = (
    Flow(OUTSIDE, WEB_OLD_A, "web", 20, 1),
    Flow(OUTSIDE, WEB_OLD_B, "web", 10, 0, STEADY),
    Flow(OUTSIDE, WEB_A, "web", 24, 0, SLOW),
    Flow(OUTSIDE, WEB_B, "web", 8, 2),
    Flow(WEB_OLD_A, BLUE_A, "api", 6, 0),
    Flow(WEB_OLD_B, GREEN, "api", 4, 1, SLOW),
    Flow(WEB_A, BLUE_B, "api", 5, 0, STEADY),
    Flow(WEB_B, GREEN, "api", 3, 1),
    Flow(VAULT_WEB, BLUE_A, "api", 7, 0, SLOW),
    Flow(VAULT_WEB, GREEN_OLD, "api", 4, 0, STEADY),
    Flow(GREEN_OLD, DB, "db", 3, 0),
    Flow(BLUE_A, DB, "db", 9, 1),
    Flow(GREEN, DB, "db", 2, 0, STEADY),
    Flow(BLUE_B, CART_0, "cart", 4, 0),
    Flow(GREEN, CART_1, "cart", 3, 1, SLOW),
    Flow(CART_0, CART_1, "cart", 2, 0, STEADY),
    Flow(PROBE, WEB_A, "web", 1, 0),
    Flow(CART_1, PROBE, "", 2, 0, SLOW),
    Flow(MIRROR, STRAY, "", 3, 0),
    Flow(STRAY, WIDOW, "", 2, 1),
    Flow(WIDOW, CART_0, "cart", 6, 0, STEADY),
    Flow(RELIC, LOGS_B, "logs", 4, 0),
    Flow(WEB_A, RELIC, "", 3, 0, SLOW),
    Flow(LOGS_A, DB, "db", 1, 0),
    Flow(REINDEX, DB, "db", 8, 0, SLOW),
    Flow(BLUE_A, REINDEX, "", 2, 1),
    Flow(NIGHT_1, LOGS_A, "logs", 5, 0),
    Flow(NIGHT_2, LOGS_A, "logs", 3, 0, STEADY),
    Flow(BLUE_B, NIGHT_1, "", 2, 0),
    Flow(BLUE_B, NIGHT_2, "", 1, 1, SLOW),
    Flow(CANARY_A, BLUE_A, "api", 5, 0),
    Flow(WEB_B, CANARY_B, "canary", 4, 2, SLOW),
    Flow(WEB_A, CANARY_A, "canary", 6, 0),
    Flow(CANARY_B, CANARY_A, "canary", 1, 0, STEADY),
    Flow(SOLO, VAULT_WEB, "web", 2, 0),
    Flow(STRAY, SOLO, "", 3, 1, STEADY),
    Flow(WEB_A, FRONT_1, "front-v1", 9, 1),
    Flow(WEB_B, FRONT_1, "front-v1", 9, 0, STEADY),
    Flow(CART_0, FRONT_1, "front-v1", 9, 0),
    Flow(WEB_A, FRONT_2, "front-v2", 1, 1, SLOW),
    Flow(WEB_B, FRONT_2, "front-v2", 1, 0),
    Flow(OUTSIDE, FRONT_2, "front-v2", 5, 0),
    Flow(NEVER, VAULT_WEB, "web", 4, 0, STEADY),
    Flow(VAULT_WEB, NEVER, "", 3, 0),
)
