"""What the pages under test show: a small mesh that has every condition, and a large one."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from metrics_api import Direction, ResourceRef, Side, TrafficMetrics
from metrics_api.objects import Edge
from tests.apiservice.memory import Memory, total

__all__ = ["large_mesh", "small_mesh"]

WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")
CART = ResourceRef("Deployment", "shop", "cart")
IDLE = ResourceRef("Deployment", "shop", "idle")
SILENT = ResourceRef("Deployment", "shop", "silent")
BROKEN = ResourceRef("Deployment", "shop", "broken")
DB = ResourceRef("StatefulSet", "data", "db")
BANK = ResourceRef("", "", "<b>bank</b>.example.com")


def nothing(row: TrafficMetrics, count: int | None) -> TrafficMetrics:
    """A row without requests (0), or of which nothing is known (None)."""
    return replace(row, success=count, failure=count, p50=None, p90=None, p99=None)


def edge(own: ResourceRef, direction: Direction, peer: ResourceRef, success: int, failure: int) -> TrafficMetrics:
    """The requests a resource exchanged with a peer."""
    side = Side.CLIENT if direction is Direction.TO else Side.SERVER
    return replace(total(own, success, failure, 5_000), edge=Edge(direction, side, peer))


def both(client: ResourceRef, server: ResourceRef, success: int, failure: int = 0) -> tuple[TrafficMetrics, TrafficMetrics]:
    """The two rows of one edge: the caller's and the callee's."""
    return edge(client, Direction.TO, server, success, failure), edge(server, Direction.FROM, client, success, failure)


def small_mesh() -> Memory:
    """Seven workloads: web 90 %, api 99.9…%, cart healthy, broken 0 %, idle without traffic, silent unknown, and a database."""
    rows = (
        total(WEB, 54, 6),
        total(API, 597, 3, 8_000),
        total(CART, 30, 0, 900),
        total(BROKEN, 0, 15),
        nothing(total(IDLE, 0, 0), 0),
        nothing(total(SILENT, 0, 0), None),
        total(DB, 1_500, 0, 2_000_000),
        total(ResourceRef("Namespace", "", "data"), 1_500, 0),
        total(ResourceRef("Namespace", "", "shop"), 681, 24),
    )
    edges = (
        *both(WEB, API, 537, 3),
        *both(WEB, CART, 30),
        *both(CART, API, 60),
        *both(API, CART, 12),
        *both(WEB, BROKEN, 0, 15),
        *both(API, DB, 1_500),
        edge(API, Direction.TO, BANK, 6, 0),
    )
    return Memory(rows=rows, edges=edges)


def large_mesh(workloads: int = 200, links: int = 1_000, tiers: int = 7) -> Memory:
    """A mesh in tiers, most calls going one tier down, some further, some back up."""
    random = Random(8)
    names = [ResourceRef("Deployment", f"team-{index % 8}", f"service-{index:03}") for index in range(workloads)]
    tier = [min(tiers - 1, int(tiers * (index / workloads) ** 0.8)) for index in range(workloads)]
    below = {level: [index for index in range(workloads) if tier[index] == level] for level in range(tiers)}
    pairs: dict[tuple[int, int], None] = {}
    while len(pairs) < links:
        client = random.randrange(workloads)
        level = tier[client] + random.choices((1, 2, -1), (90, 8, 2))[0]
        if 0 <= level < tiers:
            pairs[client, random.choice(below[level])] = None
    failing = [0.0 if random.random() < 0.9 else random.choice((0.005, 0.2)) for _ in names]
    counts = [random.randrange(100, 20_000) for _ in names]
    rows = [
        total(name, round(count * (1 - share)), round(count * share))
        for name, count, share in zip(names, counts, failing, strict=True)
    ]
    edges: list[TrafficMetrics] = []
    for client, server in pairs:
        count, share = random.randrange(10, 2_000), failing[server]
        edges += both(names[client], names[server], round(count * (1 - share)), round(count * share))
    spaces = [total(ResourceRef("Namespace", "", f"team-{number}"), 1_000, 0) for number in range(8)]
    return Memory(rows=(*rows, *spaces), edges=tuple(edges))
