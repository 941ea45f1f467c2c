"""The inventory of a large cluster: what it takes in memory and time, how late it is, and what rolling pods up costs.

The objects are in a real kube-apiserver, their traffic in a real Prometheus. The inventory is measured first, alone in a process of its
own; then whole servers that ask both.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median, quantiles

from churn import Churned, churning
from controlplane import ControlPlane, control_plane
from figures import Table, megabytes, milliseconds, seconds
from informing import Held, Informer, Lifted, informer
from population import Population
from rollup import roll_up
from writer import writer

__all__ = ["keep_up"]

_RATE = 100
"""Objects changed in a second."""


def keep_up(*, quick: bool) -> None:
    """Print what it takes."""
    population = Population(5, 40, 5) if quick else Population(10, 100, 5)
    namespaces, deployments, pods = population.sizes()
    with control_plane() as plane:
        began = time.monotonic()
        asyncio.run(_populate(plane, population))
        took = f"written in {time.monotonic() - began:.0f} s"
        print(f"\nkube-apiserver has {namespaces} namespaces with {deployments} Deployments of {pods} pods each, {took}")
        with informer(plane.kubeconfig) as inventory:
            _follow(plane, population, inventory, 10 if quick else 30)
            _print_lifted(inventory.lifted())
        roll_up(plane, population, rounds=3 if quick else 5)


async def _populate(plane: ControlPlane, population: Population) -> None:
    async with writer(plane.server.url) as write:
        await write.populate(population)


def _follow(plane: ControlPlane, population: Population, inventory: Informer, length: int) -> None:
    """Let objects change, and print what that costs."""
    memory = Table(
        "Memory of a process with the inventory alone",
        ("after", "objects", "resident", "beyond before", "per object", "peak so far", "records", "with indexes", "per object"),
        "records: their own bytes, what they share counted once. with indexes: with all that finds them, and what was deleted lately.",
    )
    process = inventory.process
    memory.add("its start", 0, megabytes(inventory.before))
    _add(memory, f"all were listed, in {inventory.synced:.1f} s", inventory)
    first, spent, source = inventory.held(), process.cpu_seconds(), plane.server.cpu_seconds()
    with churning(population, plane.server.url, _RATE, length) as wait:
        churned = wait()
    spent, source = process.cpu_seconds() - spent, plane.server.cpu_seconds() - source
    known = inventory.told()
    _add(memory, f"{churned.changes:,} changes", inventory)
    memory.print()
    _print_records(first)
    _print_churn(churned, known, spent, source)


def _add(table: Table, after: str, inventory: Informer) -> None:
    resident, peak = inventory.process.memory(), inventory.process.peak_memory()
    held = inventory.held()
    count, more, own = sum(held.objects.values()), resident - inventory.before, sum(held.records.values())
    everything = own + held.indexed
    table.add(
        after,
        f"{count:,}",
        *map(megabytes, (resident, more)),
        f"{more / count:,.0f} B",
        *map(megabytes, (peak, own, everything)),
        f"{everything / count:,.0f} B",
    )


def _print_records(held: Held) -> None:
    table = Table("What is kept of each object, its indexes not included", ("kind", "objects", "per object"))
    for kind, count in sorted(held.objects.items(), key=lambda item: -item[1]):
        if count:
            table.add(kind, f"{count:,}", f"{held.records[kind] / count:,.0f} B")
    table.print()


def _print_churn(churned: Churned, known: dict[tuple[str, str], float], spent: float, source: float) -> None:
    table = Table(
        f"{_RATE} changes a second: how late the inventory knows, and what it takes",
        ("what", "times", "median", "p99", "worst", "changes a second", "our time", "kube-apiserver's"),
        "Delays: since the writer had kube-apiserver's answer; 0 is no later than that. Times: processor time in a second.",
    )
    costs = [f"{churned.changes / churned.seconds:.0f}", *(milliseconds(cpu / churned.seconds) for cpu in (spent, source))]
    for event, name in (("ADDED", "a pod is there"), ("DELETED", "a pod is gone")):
        at = [(one.at, known[event, f"{one.namespace}/{one.name}"]) for one in churned.acknowledged if one.event == event]
        delays = [max(0.0, knew - acknowledged) for acknowledged, knew in at]
        figures = (median(delays), quantiles(delays, n=100, method="inclusive")[98], max(delays))
        table.add(name, len(delays), *map(milliseconds, figures), *costs)
        costs = ["", "", ""]
    table.print()


def _print_lifted(lists: list[Lifted]) -> None:
    table = Table(
        "One sample of each pod added up, in-process, in processor time", ("list of", "samples", "rows", "time", "per sample")
    )
    for one in lists:
        name = f"{one.kind}s{', edges' if one.edges else ''}"
        table.add(name, f"{one.pods:,}", f"{one.rows:,}", seconds(one.spent), f"{median(one.spent) / one.pods * 1e6:.0f} us")
    table.print()
