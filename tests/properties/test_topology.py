"""Every form of a graph tells of every link exactly once, whatever anything is called, and can be read by what it is for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_traffic.topology.document import document, json_text
from kubectl_traffic.topology.drawing import dot, mermaid
from kubectl_traffic.topology.look import label
from kubectl_traffic.topology.scene import Scene, around
from kubectl_traffic.topology.tree import tree
from metrics_api import Direction, Edge, ResourceRef, Side, TrafficMetrics, Window
from metrics_api.graph import Graph, Link, Node, graph

NASTY = (
    'a"b',
    "back\\",
    "\\n",
    "x\ny",
    "n1 -> n2",
    "]; }",
    "&lt;b>",
    "<br/>",
    "end",
    "#35;",
    '"]',
    "`md`",
    "a|b",
    "日本",
    "\x1b[31m",
    "%%c",
    "",
)


def row(
    client: ResourceRef, server: ResourceRef, counts: tuple[int | None, int | None], *, told: bool, cluster: str
) -> TrafficMetrics:
    """The row of a link as its server has it, or as its client does."""
    own, peer, way = (server, client, Direction.FROM) if told else (client, server, Direction.TO)
    edge = Edge(way, Side.SERVER if told else Side.CLIENT, peer)
    success, failure = counts
    return TrafficMetrics("x", own.namespace, own, edge, 0, Window(30), p99=1, success=success, failure=failure, cluster=cluster)


counts = st.tuples(*[st.none() | st.integers(0, 5)] * 2)


def scenes(names: st.SearchStrategy[str]) -> st.SearchStrategy[Scene]:
    """Graphs of a few nodes, so that circles and calls of oneself are frequent."""
    known = st.builds(ResourceRef, st.just("Deployment"), st.sampled_from(("shop", "data")), names)
    outside = names.filter(bool).map(lambda name: ResourceRef("", "", name))
    some = st.lists(known | outside, min_size=1, max_size=6, unique=True)

    def drawn(refs: list[ResourceRef]) -> st.SearchStrategy[Scene]:
        mine = st.sampled_from([ref for ref in refs if ref.kind] or [ResourceRef("Deployment", "shop", "web")])
        clusters = st.sampled_from(("", "west"))
        edges = st.builds(row, mine, st.sampled_from(refs), counts, told=st.just(False), cluster=clusters)
        edges |= st.builds(row, st.sampled_from(refs), mine, counts, told=st.just(True), cluster=clusters)
        return st.lists(edges, min_size=1, max_size=14).map(_scene)

    return some.flatmap(drawn)


def _scene(edges: list[TrafficMetrics]) -> Scene:
    totals = [one for one in edges[:3] if one.edge.direction is Direction.FROM]
    return Scene(graph(edges, totals), {Node(one.cluster, one.resource): one for one in totals}, "shop")


plain = scenes(st.from_regex(r"[a-z][a-z0-9.-]{0,8}", fullmatch=True))
nasty = scenes(st.sampled_from(NASTY) | st.text(max_size=6))


def called(links: Iterable[Link]) -> Counter[tuple[str, str]]:
    return Counter((label(link.client, "shop"), label(link.server, "shop")) for link in links)


@given(plain)
def test_a_tree_has_each_link_on_one_line_below_its_client(scene: Scene) -> None:
    found: Counter[tuple[str, str]] = Counter()
    roots: Counter[str] = Counter()
    way: list[str] = []
    for line in tree(scene)[1:]:
        match = re.fullmatch(r"((?:│  |   )*)(?:([├└]▶ ))?(\S+(?: \(external\))?)(?: ([↻↑]))?(?:   .*| *)", line)
        if match is None:
            assert line == "" or line.startswith(("↻ calls", "↑ whom")), line
            continue
        deep = len(match[1]) // 3 + bool(match[2])
        del way[deep:]
        if deep:
            found[way[-1], match[3]] += 1
            assert (match[4] == "↻") == (match[3] in way), line
        else:
            roots[match[3]] += 1
        way.append(match[3])
    assert found == called(scene.graph.links)
    assert set(roots) | {server for _, server in found} == {label(node, "shop") for node in scene.graph.nodes}
    assert not [name for name, times in roots.items() if times > 1]


_DOT_NODE = re.compile(r'  n(\d+) \[label="((?:[^"\\]|\\.)*)", color="#[0-9a-f]{6}"(?:, style="rounded,dashed")?\];')
_DOT_LINK = re.compile(r'  n(\d+) -> n(\d+) \[label="((?:[^"\\]|\\.)*)", color="#[0-9a-f]{6}"(?:, style=dashed)?\];')


@given(nasty)
def test_dot_has_each_node_and_each_link_in_one_statement(scene: Scene) -> None:
    head, *body, tail = dot(scene).split("\n")
    assert all(line.isprintable() for line in body)
    assert (head, tail) == ("digraph traffic {", "}")
    statements = [line for line in body if not line.startswith(("  rankdir", "  node [", "  edge ["))]
    nodes = [match for line in statements if (match := _DOT_NODE.fullmatch(line))]
    links = [match for line in statements if (match := _DOT_LINK.fullmatch(line))]
    assert len(nodes) + len(links) == len(statements)
    assert [_dot_text(match[2]) for match in nodes] == [label(node, "shop") for node in scene.graph.nodes]
    assert sorted((match[1], match[2]) for match in links) == sorted(_numbered(scene.graph))


def _dot_text(escaped: str) -> str:
    """The first line of a label, as Graphviz shows it."""
    return unescape(re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], escaped).split("\n")[0])


def _numbered(drawn: Graph) -> list[tuple[str, str]]:
    """The ends of the links as the numbers of their nodes."""
    at = {node: str(number) for number, node in enumerate(drawn.nodes, 1)}
    return [(at[link.client], at[link.server]) for link in drawn.links]


_TEXT = r'"((?:\w|[ %()+,\-./:=@·]|#\d+;|<br/>)*)"'
_MERMAID_NODE = re.compile(rf"  n\d+(?:\[{_TEXT}\]|\(\[{_TEXT}\]\))")
_MERMAID_LINK = re.compile(rf"  n(\d+) (?:-->|-\.->)\|{_TEXT}\| n(\d+)")
_MERMAID_STYLE = re.compile(r"  (?:style n|linkStyle )(\d+) stroke:#[0-9a-f]{6}")


@given(nasty)
def test_mermaid_has_each_node_and_each_link_in_one_line_of_plain_characters(scene: Scene) -> None:
    head, *body = mermaid(scene).split("\n")
    assert all(line.isprintable() for line in body)
    assert head == "flowchart LR"
    links = [match for line in body if (match := _MERMAID_LINK.fullmatch(line))]
    nodes = [match[1] or match[2] for line in body if (match := _MERMAID_NODE.fullmatch(line))]
    assert [_mermaid_text(text) for text in nodes] == [label(node, "shop") for node in scene.graph.nodes]
    assert len(nodes) + len(links) == len([line for line in body if not _MERMAID_STYLE.fullmatch(line)])
    assert sorted((match[1], match[3]) for match in links) == sorted(_numbered(scene.graph))


def _mermaid_text(escaped: str) -> str:
    """The first line of a label, as Mermaid shows it."""
    return re.sub(r"#(\d+);", lambda match: chr(int(match[1])), escaped.split("<br/>", maxsplit=1)[0])


@given(nasty)
def test_json_has_each_node_and_each_link_once(scene: Scene) -> None:
    read = json.loads(json_text(scene))
    assert read == document(scene)
    ids = [node["id"] for node in read["nodes"]]
    assert ids == [node.id for node in scene.graph.nodes]
    assert [(edge["client"], edge["server"]) for edge in read["edges"]] == [
        (link.client.id, link.server.id) for link in scene.graph.links
    ]


@given(plain)
def test_what_is_printed_does_not_depend_on_the_order_of_rows(scene: Scene) -> None:
    turned = Scene(graph([link.row for link in reversed(scene.graph.links)], scene.totals.values()), scene.totals, scene.home)
    for form in (dot, mermaid, json_text, tree):
        assert form(turned) == form(scene)


@given(plain, st.integers(1, 4))
def test_a_neighbourhood_is_what_a_walk_finds(scene: Scene, depth: int) -> None:
    links = scene.graph.links
    for centre in scene.graph.nodes:
        near = around(scene.graph, frozenset([centre]), depth)
        assert near.links == tuple(link for link in links if min(_steps(links, centre, link)) < depth)
        assert set(near.nodes) == {centre} | {end for link in near.links for end in (link.client, link.server)}


def _steps(links: Iterable[Link], centre: Node, link: Link) -> tuple[float, float]:
    """How many calls lead from the centre to the link, and from the link to the centre."""
    return _far(links, centre, link.client, 0), _far(links, link.server, centre, 0)


def _far(links: Iterable[Link], start: Node, end: Node, steps: int) -> float:
    reached, edge = {start}, {start}
    while edge and end not in reached:
        edge = {link.server for link in links if link.client in edge} - reached
        reached |= edge
        steps += 1
    return steps if end in reached else float("inf")


def test_a_long_chain_is_no_matter() -> None:
    chain = [ResourceRef("Deployment", "shop", f"d{at:04}") for at in range(3000)]
    edges = [row(a, b, (1, 0), told=True, cluster="") for a, b in pairwise(chain)]
    assert len(tree(Scene(graph(edges), {}, "shop"))) == 3001


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_any_name() -> None:
    web = ResourceRef("Deployment", "shop", "web")
    scene = _scene([row(web, ResourceRef("Deployment", "shop", name), (1, 0), told=False, cluster="") for name in NASTY if name])
    told = subprocess.run(["dot", "-Tjson0"], input=dot(scene), capture_output=True, text=True, check=False, timeout=30)
    assert (told.returncode, told.stderr) == (0, "")
    drawn = json.loads(told.stdout, strict=False)
    assert len(drawn["edges"]) == len(scene.graph.links) == len(NASTY) - 1
    assert len(drawn["objects"]) == len(NASTY)


def test_a_tree_begins_with_who_is_called_by_itself_alone() -> None:
    a, b, c = (ResourceRef("Deployment", "shop", name) for name in "abc")
    links = ((a, c), (c, a), (b, b), (b, c))
    edges = [row(client, server, (1, 0), told=True, cluster="") for client, server in links]
    assert [line.split("  ")[0].rstrip() for line in tree(Scene(graph(edges), {}, "shop"))[1:3]] == [
        "deployment/b",
        "├▶ deployment/b ↻",
    ]
