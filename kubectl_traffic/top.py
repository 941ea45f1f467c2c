"""``kubectl traffic top``: rates and latencies as a table, sorted, coloured, and live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubectl_traffic.kubectl import Kubectl
from kubectl_traffic.options import COLOURS, Line, read_line
from kubectl_traffic.subject import Subject, read_subject
from kubectl_traffic.view import SORTABLE, View
from metrics_api.errors import BadQuery
from metrics_api.query import Direction
from metrics_api.resources import SPLIT_KINDS
from metrics_api.window import Window, parse_duration

__all__ = ["CHOICES", "USAGE", "Top", "main", "read_top"]

USAGE = """\
Success rate, requests per second and latency as a table; live with -w.

  kubectl traffic top [KIND | KIND/NAME | KIND NAME] [options]     without KIND, all workloads

  -w, --watch          keep it up to date, until Ctrl-C or q
  --interval 5s        how often, with -w
  --trend rps          what the sparklines of -w show: success, rps, p50, p90, p99, failures
  --sort-by COLUMN     namespace, name, peer, success, rps, p50, p90, p99, failures or health: the most remarkable first
  --reverse            the other way round
  --window 5m          how far to look back
  --edges              with whom the traffic was exchanged; --to and --from: callees only, callers only
  -l, --selector L     only objects with these labels: app=web, or tier in (front, back)
  --field-selector F   only rows with these fields: cluster=west
  --include-idle       also objects of which nothing was observed
  -o, --output         table, wide, json or csv (plain numbers; with -w, one line of JSON for each answer)
  --no-headers         without the head of the table
  --color auto         always, never, or on a terminal unless NO_COLOR is set

All options of kubectl that choose cluster, user and namespace are good here: -n, -A, --context, --kubeconfig, --as, ...

  kubectl traffic top -n shop -w
  kubectl traffic top deploy -A --sort-by p99
  kubectl traffic top deploy/web --edges -n shop
"""

_VALUED = {
    **dict.fromkeys(("interval", "trend", "sort-by", "window", "field-selector", "color"), ""),
    "selector": "l",
    "output": "o",
}
_SWITCHES = {"watch": "w", "reverse": "", "edges": "", "to": "", "from": "", "include-idle": "", "no-headers": ""}
_OUTPUTS = ("table", "wide", "json", "csv")
_TRENDS = tuple(name for name in SORTABLE if name not in ("namespace", "name", "peer", "health"))
_SHORTEST_INTERVAL = 1.0

CHOICES = {"-o": _OUTPUTS, "--output": _OUTPUTS, "--sort-by": SORTABLE, "--trend": _TRENDS, "--color": COLOURS}
"""The options that take one of a few words, for completion."""


@dataclass(frozen=True, slots=True)
class Top:
    """A table as it is wanted. ``parameters`` go to the API; ``interval`` is seconds, None for one table alone; ``sort`` may be empty."""

    kubectl: Kubectl
    subject: Subject
    edges: bool
    parameters: Mapping[str, str]
    output: str
    interval: float | None
    trend: str
    sort: str
    reverse: bool
    headers: bool
    colour: str

    def view(self) -> View:
        """The columns."""
        split = self.subject.type is not None and self.subject.type.kind in SPLIT_KINDS
        everywhere = self.kubectl.everywhere and self.subject.namespaced
        return View(everywhere, self.edges, split, self.output == "wide", self.interval is not None)


def read_top(arguments: Sequence[str]) -> Top:
    """The table that a command line wants. Raises :class:`metrics_api.errors.BadQuery` for a line that makes no sense."""
    line = read_line("top", arguments, _VALUED, _SWITCHES)
    subject = read_subject(line.words)
    if line.kubectl.everywhere and subject.name and subject.namespaced:
        raise BadQuery(f"{subject} is in one namespace: -A has no meaning for it")
    edges = bool(line.on & {"edges", "to", "from"})
    if edges and subject.type and not subject.namespaced and not subject.name:
        raise BadQuery(f"edges of {subject} are those of one by name: kubectl traffic top {subject.type.singular}/NAME --edges")
    return Top(
        kubectl=line.kubectl,
        subject=subject,
        edges=edges,
        parameters=_parameters(line, subject, edges=edges),
        output=line.one_of("output", _OUTPUTS),
        interval=_interval(line),
        trend=line.one_of("trend", _TRENDS, "rps"),
        sort=line.one_of("sort-by", SORTABLE, "") if "sort-by" in line.values else "",
        reverse="reverse" in line.on,
        headers="no-headers" not in line.on,
        colour=line.one_of("color", COLOURS),
    )


def _parameters(line: Line, subject: Subject, *, edges: bool) -> dict[str, str]:
    """What is asked of the API beside the path."""
    asked: dict[str, str] = {}
    if "window" in line.values:
        asked["window"] = str(Window.parse(line.values["window"]))
    if "include-idle" in line.on:
        asked["includeIdle"] = "true"
    if label := line.values.get("selector"):
        if subject.name and not edges:
            raise BadQuery(f"labels choose among several, and {subject} is one")
        asked["labelSelector"] = label
    fields = [line.values["field-selector"]] if line.values.get("field-selector") else []
    if fields and subject.name and not edges:
        raise BadQuery(f"fields choose among several, and {subject} is one")
    if {"to", "from"} <= line.on:
        raise BadQuery("--to and --from exclude each other; without either, both are listed")
    fields += [f"edge.direction={direction}" for direction in Direction if direction in line.on]
    if edges and not subject.name:
        # The rows of all workloads are totals, unless a field of edges is asked for.
        fields += [f"resource.kind={subject.type.kind}"] if subject.type else []
        fields += [] if any("edge." in each for each in fields) else ["edge.resource.name!="]
    return {**asked, "fieldSelector": ",".join(fields)} if fields else asked


def _interval(line: Line) -> float | None:
    if "watch" not in line.on:
        for option in ("interval", "trend"):
            if option in line.values:
                raise BadQuery(f"--{option} is for a table that is kept up to date: add -w")
        return None
    seconds = float(parse_duration(line.values.get("interval", "5s")))
    if seconds < _SHORTEST_INTERVAL:
        raise BadQuery(f"--interval {line.values['interval']} is too short: 1s is the shortest")
    return seconds


def main(arguments: list[str]) -> int:
    """Print the table, once or again and again; the exit code is 0. Raises what :func:`kubectl_traffic.main.main` tells."""
    if any(word in ("-h", "--help") for word in arguments):
        print(USAGE, end="")  # noqa: T201 a command prints
        return 0
    top = read_top(arguments)
    from kubectl_traffic.showing import show  # noqa: PLC0415 neither help nor a mistake needs a terminal

    return show(top)
