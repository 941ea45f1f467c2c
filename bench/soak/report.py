"""What a soak found: tables for people, one document for programs, and a sentence about each thing that could have grown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median, quantiles
from typing import Any

from figures import Table, megabytes, milliseconds
from ledger import Ledger
from measures import Cycle, Sample
from soaking import Soak
from verdict import WARMING, Slope, growing, grows, is_leak, slope

__all__ = ["Report"]

_ERROR = re.compile(r"^[EF]\d{4} ")
_SHOWN = 12
_COLUMNS = ("minute", "resident", "blocks", "libraries", "sockets", "files", "other", "threads", "tasks", "objects")
_COLUMNS += ("requests", "watches", "CPU", "bad")


class Report:
    """The figures of a soak."""

    def __init__(self, soak: Soak) -> None:
        self._soak = soak
        self._ledger: Ledger = soak.ledger
        self._cycles: Sequence[Cycle] = soak.cycles
        self._samples: Sequence[Sample] = soak.samples

    def print(self) -> None:
        """All tables."""
        self._print_cycles()
        self._print_tasks()
        self._print_requests()
        for line in self.sentences():
            print(line)

    def document(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        ledger = self._ledger
        return {
            "plan": asdict(self._soak.plan),
            "started_in": round(self._soak.server.took, 2),
            "reloads": self._soak.stage.disturbances.reloads,
            "cycles": [asdict(each) for each in self._cycles],
            "samples": [asdict(each) for each in self._samples],
            "requests": ledger.requests,
            "watches": ledger.watches,
            "events": ledger.events,
            "changes": ledger.changes,
            "compared": ledger.compared,
            "uncompared": ledger.uncompared,
            "latency": self._latency(),
            "outcomes": _listed(ledger.outcomes),
            "excused": _listed(ledger.excused),
            "unexpected": [asdict(each) for each in ledger.unexpected],
            "disturbances": dict(ledger.disturbances),
            "errors_logged": dict(self._errors()),
            "grows": self.growing(),
            "verdict": self.sentences(),
        }

    def growing(self) -> dict[str, list[str]]:
        """What grows: ``memory``, ``descriptors``, ``tasks`` and ``threads``, each with the kinds that do; empty where nothing does."""
        after = self._rested()
        found = {
            "descriptors": growing([each.outside.descriptors for each in after]),
            "tasks": growing([each.tasks for each in after]),
            "threads": ["thread"] if is_leak([each.outside.threads for each in after]) else [],
            "memory": [name for name, line in self._lines().items() if grows(line)],
        }
        return {what: kinds for what, kinds in found.items() if kinds}

    def _lines(self) -> dict[str, Slope]:
        """Memory at rest: ``resident``, and what is in use of it, which alone can be a leak; nothing where there are too few points."""
        after = self._rested()
        if len(after) < 3:
            return {}
        values = {
            "resident": [each.outside.resident for each in after],
            "blocks": [each.blocks for each in after],
            "allocated": [each.allocated for each in after],
        }
        return {
            name: slope([(each.at, float(value)) for each, value in zip(after, of, strict=True)])
            for name, of in values.items()
            if any(of)
        }

    def sentences(self) -> list[str]:
        """The verdict."""
        lines = [self._of_memory(name, line) for name, line in self._lines().items()]
        found = self.growing()
        for what in ("descriptors", "tasks", "threads"):
            told = f"grow: {', '.join(found[what])}" if what in found else "come back to where they were"
            lines += [f"{what.capitalize()} {told}."]
        ledger = self._ledger
        lines.append(
            f"{ledger.requests:,} requests, {ledger.watches:,} watches with {ledger.events:,} events, {ledger.changes:,} changes "
            f"of objects; {ledger.unexpected_count} outcomes nobody should have met. "
            f"{ledger.compared:,} answers were compared with the truth, {ledger.uncompared:,} could not be."
        )
        errors = self._errors()
        lines.append(f"{errors.total()} lines at level error in the log{': ' if errors else '.'}")
        lines += [f"  {count} x {line}" for line, count in errors.most_common(_SHOWN)]
        lines += [
            f"  {each.at:.0f} s, {each.operation}: {each.outcome} [{each.during}] {each.detail}"
            for each in ledger.unexpected[:_SHOWN]
        ]
        return lines

    def _rested(self) -> list[Cycle]:
        """The points of rest after warming up; the last two at least."""
        late = WARMING * (self._cycles[-1].at if self._cycles else 0)
        after = [each for each in self._cycles if each.at > late]
        # A short soak has not warmed up before its first cycle is over.
        return after[1:] if len(after) == len(self._cycles) > 2 and self._cycles[0].at > late else after

    @staticmethod
    def _of_memory(name: str, line: Slope) -> str:
        judged = {True: "grows", False: "is flat", None: "may grow or not, in so short a time"}[grows(line)]
        scale, unit = (1e3, "thousand") if name == "blocks" else (1e6, "MB")
        what = {
            "resident": "Resident memory",
            "blocks": "Memory in use by Python, in pieces,",
            "allocated": "Memory in use by libraries",
        }[name]
        bounds = f"{line.least / scale:+,.1f} to {line.most / scale:+,.1f} at 95 %"
        return f"{what} {judged}: {line.mean / scale:,.1f} {unit} at rest, {line.hourly / scale:+,.1f} an hour ({bounds})."

    def _print_cycles(self) -> None:
        table = Table(
            f"What the server holds after each cycle of {self._soak.plan.churn:g} s of churn and {self._soak.plan.rest:g} s of rest",
            _COLUMNS,
            "blocks: pieces of memory Python has given out. libraries: what the C library has given out. "
            "CPU: share of one processor\n  during the churn. "
            "bad: outcomes nobody should have met.",
        )
        for each in self._cycles:
            kinds = dict(each.outside.descriptors)
            sockets, files = kinds.pop("socket", 0), kinds.pop("file", 0)
            held = (sockets, files, sum(kinds.values()), each.outside.threads, sum(each.tasks.values()), f"{each.objects:,}")
            sizes = megabytes(each.outside.resident), f"{each.blocks:,}", megabytes(each.allocated)
            done = f"{each.requests:,}", f"{each.watches:,}", f"{each.processor:.0%}", each.unexpected
            table.add(f"{each.at / 60:.1f}", *sizes, *held, *done)
        table.print()
        if self._samples:
            busy = [each.outside.resident for each in self._samples]
            most = max(sum(each.outside.descriptors.values()) for each in self._samples)
            tasks = max(each.tasks for each in self._samples)
            print(
                f"  While everybody asks: {megabytes(median(busy))} resident, {megabytes(max(busy))} at most; "
                f"up to {most} descriptors, {tasks} tasks."
            )

    def _print_tasks(self) -> None:
        if len(self._cycles) < 2:
            return
        first, last = self._rested()[0], self._cycles[-1]
        table = Table("What is there more of at the last point of rest than at the first that counts", ("kind", "first", "last"))
        pairs = [(f"task {name}", first.tasks.get(name, 0), count) for name, count in last.tasks.items()]
        pairs += [(name, first.types.get(name, 0), count) for name, count in last.types.items() if name in first.types]
        more = sorted(
            (each for each in pairs if each[2] > each[1] * 1.02 + 20 or (each[0].startswith("task") and each[2] > each[1])),
            key=_gain,
        )
        for name, before, after in more[-_SHOWN:]:
            table.add(name, f"{before:,}", f"{after:,}")
        if more:
            table.print()

    def _print_requests(self) -> None:
        table = Table(
            "What became of requests and watches",
            ("operation", "outcome", "times", "excused"),
            "excused: while kube-apiserver was away.",
        )
        for (operation, outcome), count in sorted(self._ledger.outcomes.items()):
            table.add(operation, outcome, f"{count:,}", self._ledger.excused[operation, outcome] or "")
        table.print()
        latency = self._latency()
        if latency:
            print(f"  Time of an answer: {', '.join(f'{name} {milliseconds(value)}' for name, value in latency.items())}")
        done = Table("What was done to it meanwhile", ("disturbance", "times"))
        for name, count in sorted(self._ledger.disturbances.items()):
            done.add(name, count)
        done.print()

    def _latency(self) -> dict[str, float]:
        waited = self._ledger.waited
        if len(waited) < 100:
            return {}
        cuts = quantiles(waited, n=100, method="inclusive")
        return {"median": cuts[49], "p90": cuts[89], "p99": cuts[98], "worst": max(waited)}

    def _errors(self) -> Counter[str]:
        """Lines at level error in the server's log, without what differs from one to the next."""
        lines = self._soak.server.log.read_text(encoding="utf-8", errors="replace").splitlines()
        found: Counter[str] = Counter()
        for line in lines:
            if _ERROR.match(line):
                text = line.partition("] ")[2] or line
                found[re.sub(r"\d+(\.\d+)?|0x[0-9a-f]+", "N", text)[:160]] += 1
            elif line.startswith(("Traceback", "Task exception", "Unclosed", "Exception ignored")):
                found[line[:160]] += 1
        return found


def _gain(pair: tuple[str, int, int]) -> int:
    return pair[2] - pair[1]


def _listed(counts: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"operation": operation, "outcome": outcome, "times": count} for (operation, outcome), count in sorted(counts.items())]
