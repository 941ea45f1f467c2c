"""An hour of everything at once, and whether the server grows: ``python bench/soak MINUTES [--json FILE]``.

The parts are real ones: etcd, kube-apiserver, two Prometheus, and the server as it runs in a cluster, in a process of its own. Meanwhile
pods, workloads and namespaces come and go, many users list, watch, err, and hang up, stores are killed, frozen and slow, kube-apiserver is
restarted, and certificates, authorities, tokens and configuration change. After each cycle everybody goes home, and what the server
holds then should be the same every time. Nothing passes or fails: the last lines say what grows, and what happened that should not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1]))
sys.path.insert(2, str(Path(__file__).parents[2]))

from figures import megabytes
from measures import Cycle
from observed import LEAKS
from report import Report
from soaking import Soak
from stage import Plan, staged

_SMALL = Plan(0, cycles=4, churn=4, rest=1, namespaces=2, deployments=4, pods=2, askers=6, rate=3, watchers=12, every=1)
_OF_THE_PLAN = ("minutes", "cycles", "churn", "rest", "issued", "seed")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="bench/soak", description="Let everything happen at once, and see whether the server grows."
    )
    parser.add_argument("minutes", type=float, help="how long to go on; a cycle that has begun is ended")
    parser.add_argument("--small", action="store_true", help="a small cluster and short cycles: does the soak itself work?")
    parser.add_argument("--cycles", type=int, metavar="N", help="how many cycles there are at least (4)")
    parser.add_argument("--churn", type=float, metavar="SECONDS", help="how long everything happens in a cycle (260)")
    parser.add_argument("--rest", type=float, metavar="SECONDS", help="how long nothing happens after it (100)")
    parser.add_argument(
        "--leak", choices=LEAKS, nargs="+", default=(), help="let the server leak from the third cycle on: is it noticed?"
    )
    parser.add_argument("--seed", type=int, default=1, help="for what happens by chance (1)")
    parser.add_argument("--issued", action="store_true", help="the server makes its certificate itself, instead of reading files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too, after each cycle")
    options = parser.parse_args()
    # Told to end, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    told = {name: value for name in _OF_THE_PLAN if (value := getattr(options, name)) is not None}
    plan = replace(_SMALL if options.small else Plan(0), **{**told, "leak": tuple(options.leak)})
    asyncio.run(_soak(plan, options.json))


async def _soak(plan: Plan, file: Path | None) -> None:
    async with staged(plan) as stage:
        soak = Soak(plan, stage)
        report = Report(soak)

        def tell(cycle: Cycle) -> None:
            tasks, descriptors = sum(cycle.tasks.values()), sum(cycle.outside.descriptors.values())
            held = f"{megabytes(cycle.outside.resident)}, {descriptors} descriptors, {tasks} tasks, {cycle.objects:,} objects"
            print(f"{cycle.at / 60:5.1f} min: {held}; {cycle.requests:,} requests, {cycle.unexpected} unexpected", flush=True)
            if file is not None:
                file.write_text(json.dumps(report.document(), indent=1), encoding="utf-8")

        await soak.go_on(tell)
        report.print()


if __name__ == "__main__":
    main()
