"""The graph in the languages of drawing programs: DOT (Graphviz) and Mermaid.

Nodes have numbers there, and their names stand in labels alone: so no name can be a word of the language, or two of them the same.
What labels may hold: graphviz.org, "The DOT Language" and the type ``escString``; mermaid-js/mermaid (docs/syntax/flowchart.md, "Entity
codes to escape characters").
"""

from __future__ import annotations

from kubectl_traffic.health import health_of
from kubectl_traffic.topology.look import COLOURS, figures, label
from kubectl_traffic.topology.scene import Scene
from metrics_api.graph import Link, Node
from metrics_api.table import ABSENT

__all__ = ["dot", "mermaid"]

_PLAIN = frozenset(" %()+,-./:=@_·")
"""Characters beside letters and digits that mean nothing to Mermaid within quotes."""


def dot(scene: Scene) -> str:
    """The graph as Graphviz reads it."""
    lines = [
        "digraph traffic {",
        "  rankdir=LR;",
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
        '  edge [fontname="sans-serif"];',
    ]
    numbers, conditions = _numbers(scene), scene.conditions()
    for node, number in numbers.items():
        colour = COLOURS[conditions[node]][1]
        outside = "" if node.resource.kind else ', style="rounded,dashed"'
        lines.append(f'  {number} [label="{_dot(_node(node, scene))}", color="{colour}"{outside}];')
    for link in scene.graph.links:
        colour, style = COLOURS[health_of(link.row)][1], ", style=dashed" if _dashed(link) else ""
        lines.append(f'  {numbers[link.client]} -> {numbers[link.server]} [label="{_dot(_link(link))}", color="{colour}"{style}];')
    return "\n".join([*lines, "}"])


def mermaid(scene: Scene) -> str:
    """The graph as a Mermaid flowchart."""
    lines = ["flowchart LR"]
    numbers, conditions = _numbers(scene), scene.conditions()
    for node, number in numbers.items():
        opening, closing = ('["', '"]') if node.resource.kind else ('(["', '"])')
        lines.append(f"  {number}{opening}{_mermaid(_node(node, scene))}{closing}")
        lines.append(f"  style {number} stroke:{COLOURS[conditions[node]][1]}")
    for at, link in enumerate(scene.graph.links):
        arrow = "-.->" if _dashed(link) else "-->"
        lines.append(f'  {numbers[link.client]} {arrow}|"{_mermaid(_link(link))}"| {numbers[link.server]}')
        lines.append(f"  linkStyle {at} stroke:{COLOURS[health_of(link.row)][1]}")
    return "\n".join(lines)


def _numbers(scene: Scene) -> dict[Node, str]:
    return {node: f"n{at}" for at, node in enumerate(scene.graph.nodes, 1)}


def _node(node: Node, scene: Scene) -> list[str]:
    """The lines of a node's label."""
    total = scene.totals.get(node)
    return [label(node, scene.home)] if total is None else [label(node, scene.home), health_of(total).value]


def _link(link: Link) -> list[str]:
    """The lines of a link's label: its figures as far as they are known, and its condition in a word."""
    health = health_of(link.row)
    if health.quiet:
        return [health.value]
    told = figures(link.row)
    return [f"{told.success} {told.rps}" + (f" p99 {told.p99}" if told.p99 != ABSENT else ""), health.value]


def _dashed(link: Link) -> bool:
    return health_of(link.row).quiet


def _dot(lines: list[str]) -> str:
    r"""A label: ``\`` begins escapes, ``"`` ends it, ``&`` begins an entity."""
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    return "\\n".join(escaped)


def _mermaid(lines: list[str]) -> str:
    """A label: whatever may mean something is written as its number."""
    escaped = ("".join(letter if letter.isalnum() or letter in _PLAIN else f"#{ord(letter)};" for letter in line) for line in lines)
    return "<br/>".join(escaped)
