"""Measures on this machine how fast and how frugal answers are, and prints it: ``python bench/run.py [--quick] [--only NAME]``.

Nothing passes or fails here: a machine that is busy or slow is no reason for a red build. What the figures mean is in bench/README.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from answers import compare
from clients import crowd
from cloudwatch import read_aws
from federation import federate
from fleet import Fleet
from history import look_back
from inventory import keep_up
from lists import list_many
from memory import answer_meanwhile
from plugin import begin
from scaling import scale
from sizes import grow_up
from stores import Store, prometheus
from surfaces import draw
from watching import watch_many

_WITH_STORE: dict[str, Callable[..., None]] = {
    "answers": compare,
    "clients": crowd,
    "memory": answer_meanwhile,
    "federation": federate,
}
_ALONE: dict[str, Callable[..., None]] = {
    "lists": list_many,
    "watching": watch_many,
    "scaling": scale,
    "history": look_back,
    "inventory": keep_up,
    "cloudwatch": read_aws,
    "surfaces": draw,
    "plugin": begin,
    "sizes": grow_up,
}


def main() -> None:
    """Run what is asked for, all of it by default."""
    parser = argparse.ArgumentParser(description="Measure how fast and how frugal answers are.")
    parser.add_argument("--only", choices=(*_WITH_STORE, *_ALONE), help="one benchmark instead of all")
    parser.add_argument("--quick", action="store_true", help="less data and fewer rounds: three minutes instead of six")
    options = parser.parse_args()
    # Told to end, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.monotonic()
    load = os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} processors, load {load:.1f} before the start")

    def wanted(benchmarks: dict[str, Callable[..., None]]) -> list[Callable[..., None]]:
        return [measure for name, measure in benchmarks.items() if options.only in (None, name)]

    if measures := wanted(_WITH_STORE):
        fleet = Fleet(5, 20, 4) if options.quick else Fleet(10, 40, 4)
        with prometheus(fleet) as store:
            _describe(fleet, store, start)
            for measure in measures:
                measure(store, quick=options.quick)
    for measure in wanted(_ALONE):
        measure(quick=options.quick)
    print(f"\n{time.monotonic() - start:.0f} s in all, load {os.getloadavg()[0]:.1f} at the end")


def _describe(fleet: Fleet, store: Store, start: float) -> None:
    print(
        f"Prometheus scrapes {fleet.namespaces} namespaces with {fleet.deployments} deployments each that call {fleet.callees} others: "
        f"{store.series:,} series, ready after {time.monotonic() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
