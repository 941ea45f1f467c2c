"""The graph as text: callers, and below each whom it calls. Every link is one line; what has been told of above is not told again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kubectl_traffic.health import health_of
from kubectl_traffic.sheet import Cell, Heading, lay_out
from kubectl_traffic.topology.look import COLOURS, figures, label
from kubectl_traffic.topology.scene import Scene
from metrics_api.graph import Link, Node
from metrics_api.objects import TrafficMetrics

__all__ = ["CYCLE", "SEEN", "tree"]

CYCLE, SEEN = "↻", "↑"
_LEGEND = {
    CYCLE: f"{CYCLE} calls back what led here, which stands above",
    SEEN: f"{SEEN} whom it calls is told above",
}
_HEADINGS = (Heading("CALLS", elastic=True), Heading("SUCCESS"), Heading("RPS"), Heading("P99"), Heading("HEALTH"))


class _Line(NamedTuple):
    """A node at the end of a ``link``, or at the root, where there is none; ``mark`` tells why it goes no further."""

    indent: str
    node: Node
    link: Link | None = None
    mark: str = ""


def tree(scene: Scene, *, width: int = 0, colour: bool = False) -> list[str]:
    """The lines of the tree, the first of which is the head; none for an empty graph. ``width`` is as :func:`lay_out` has it.

    A line with an arrow has the numbers of what was called from the line above it, one without has those of all that was received.
    """
    called: Mapping[Node, list[Link]] = defaultdict(list)
    for link in scene.graph.links:
        called[link.client].append(link)
    lines = list(_lines(scene, called))
    if not lines:
        return []
    rows = [_cells(line, scene, calls=line.node in called) for line in lines]
    marks = [mark for mark in _LEGEND if any(line.mark == mark for line in lines)]
    laid_out = [line.rstrip() for line in lay_out(_HEADINGS, rows, width=width, colour=colour)]
    return [*laid_out, *([""] if marks else []), *(_LEGEND[mark] for mark in marks)]


def _cells(line: _Line, scene: Scene, *, calls: bool) -> list[Cell]:
    name = f"{line.indent}{label(line.node, scene.home)}" + (f" {line.mark}" if line.mark else "")
    row = line.link.row if line.link else _received(line.node, scene, calls=calls)
    if row is None:
        return [Cell(name), *([Cell("")] * 4)]
    health, told = health_of(row), figures(row)
    shade = COLOURS[health][0]
    quiet = "dim" if health.quiet else ""
    return [Cell(name), Cell(told.success, shade), Cell(told.rps, quiet), Cell(told.p99, quiet), Cell(health.value, shade)]


def _received(node: Node, scene: Scene, *, calls: bool) -> TrafficMetrics | None:
    """What is told at a root: of what calls others, that it received nothing itself is not worth telling."""
    total = scene.totals.get(node)
    return None if total is None or (calls and health_of(total).quiet) else total


def _lines(scene: Scene, called: Mapping[Node, Sequence[Link]]) -> Iterator[_Line]:
    """Every link once, below its client, which has been a line before."""
    told: set[Node] = set()
    for root in _roots(scene, called):
        if root not in told:
            told.add(root)
            yield _Line("", root)
            yield from _below(root, called, told)


def _roots(scene: Scene, called: Mapping[Node, Sequence[Link]]) -> Iterator[Node]:
    """Where lines begin: with those that nobody else calls, in each circle that none of these leads to, and with those without links."""
    answering = {link.server for link in scene.graph.links if link.client != link.server}
    calling = [node for node in scene.graph.nodes if node in called]
    yield from (node for node in calling if node not in answering)
    yield from calling
    yield from (node for node in scene.graph.nodes if node not in called and node not in answering)


def _below(root: Node, called: Mapping[Node, Sequence[Link]], told: set[Node]) -> Iterator[_Line]:
    """The lines below a node. It keeps its own stack, because a chain of calls may be longer than Python's."""
    way = {root}
    stack = [(root, iter(_branches(called, root, "")))]
    while stack:
        client, branches = stack[-1]
        step = next(branches, None)
        if step is None:
            stack.pop()
            way.discard(client)
            continue
        link, indent, further = step
        server = link.server
        if server in way:
            yield _Line(indent, server, link, CYCLE)
        elif server in told:
            yield _Line(indent, server, link, SEEN if called.get(server) else "")
        else:
            told.add(server)
            yield _Line(indent, server, link)
            way.add(server)
            stack.append((server, iter(_branches(called, server, further))))


def _branches(called: Mapping[Node, Sequence[Link]], node: Node, indent: str) -> list[tuple[Link, str, str]]:
    """The links of a client, each with what stands before its server, and before what is below that."""
    links = called.get(node, ())
    ends = [at == len(links) - 1 for at in range(len(links))]
    return [
        (link, f"{indent}{'└▶ ' if last else '├▶ '}", f"{indent}{'   ' if last else '│  '}")
        for link, last in zip(links, ends, strict=True)
    ]
