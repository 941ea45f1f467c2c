"""The command ``kubectl traffic topology``: its line is read, the API is asked, and the graph is printed in the form that is wanted."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kubectl_traffic.options import COLOURS, Line, read_line
from kubectl_traffic.screen import has_colours, terminal_width
from kubectl_traffic.sheet import clean
from kubectl_traffic.subject import Subject, read_subject, type_of_word
from kubectl_traffic.topology.asking import Asked, scene_of
from metrics_api.errors import BadQuery
from metrics_api.resources import RESOURCE_TYPES, SPLIT_KINDS
from metrics_api.window import Window

__all__ = ["CHOICES", "USAGE", "main"]

USAGE = """\
Who talks to whom, with rates of success, requests per second and latency.

  kubectl traffic topology [KIND/NAME | KIND NAME] [options]     without a name, everybody; with one, its callers and whom it calls

  --depth 2            with a name: how many calls from it, in either direction (1)
  --kind pods          what the nodes are: pods, services, namespaces, or one kind of workload (all workloads)
  --window 5m          how far to look back
  -o, --output         tree, json (plain numbers), dot (Graphviz) or mermaid
  --color auto         always, never, or on a terminal unless NO_COLOR is set

All options of kubectl that choose cluster, user and namespace are good here: -n, -A, --context, --kubeconfig, --as, ...

  kubectl traffic topology -n shop
  kubectl traffic topology deploy/web -n shop --depth 3
  kubectl traffic topology -A --kind namespaces -o dot | dot -Tsvg > namespaces.svg
"""

_VALUED = {**dict.fromkeys(("depth", "kind", "window", "color"), ""), "output": "o"}
_SWITCHES = {"help": "h"}
_OUTPUTS = ("tree", "json", "dot", "mermaid")
_KINDS = tuple(row.plural for row in RESOURCE_TYPES if row.kind not in (*SPLIT_KINDS, "Node"))
_MOST_DIGITS = 6

CHOICES = {"-o": _OUTPUTS, "--output": _OUTPUTS, "--kind": _KINDS, "--color": COLOURS}
"""The options that take one of a few words, for completion."""


def main(arguments: Sequence[str]) -> int:
    """Print the graph; the exit code is 0. Raises what :func:`kubectl_traffic.main.main` tells."""
    line = read_line("topology", arguments, _VALUED, _SWITCHES)
    if "help" in line.on or line.words == ("help",):
        print(USAGE, end="")  # noqa: T201 a command prints
        return 0
    output, colour = line.one_of("output", _OUTPUTS), line.one_of("color", COLOURS)
    scene, warnings, incomplete = scene_of(_asked(line))
    for warning in warnings:
        print(f"Warning: {clean(warning)}", file=sys.stderr)  # noqa: T201
    if incomplete and not warnings:
        print("Warning: a source failed: there may be more than this", file=sys.stderr)  # noqa: T201
    if output == "json":
        from kubectl_traffic.topology.document import json_text  # noqa: PLC0415 one form is needed

        print(json_text(scene))  # noqa: T201
    elif output != "tree":
        from kubectl_traffic.topology import drawing  # noqa: PLC0415

        print(drawing.dot(scene) if output == "dot" else drawing.mermaid(scene))  # noqa: T201
    elif scene.graph.nodes:
        from kubectl_traffic.topology.tree import tree  # noqa: PLC0415

        print("\n".join(tree(scene, width=terminal_width(), colour=has_colours(colour))))  # noqa: T201
    else:
        where = f" in {scene.home} namespace" if scene.home else ""
        print(f"No traffic found{where}.", file=sys.stderr)  # noqa: T201
    return 0


def _asked(line: Line) -> Asked:
    subject = read_subject(line.words)
    if subject.type is not None and not subject.name:
        raise BadQuery(f"name one, as {subject.type.singular}/NAME, or ask for all of a kind: --kind {subject.type.plural}")
    far = line.values.get("depth", "1")
    depth = int(far) if far.isascii() and far.isdecimal() and len(far) < _MOST_DIGITS else 0
    if depth < 1:
        raise BadQuery(f'--depth "{far}" is not a number of calls: 1 is those it talks to')
    if "depth" in line.values and not subject.name:
        raise BadQuery("--depth is how far to go from one: name it, as deploy/NAME")
    if "kind" in line.values:
        if subject.name:
            raise BadQuery(f"--kind is what nodes are when none is named: around {subject} they are of its kind")
        subject = Subject(type_of_word(line.values["kind"]))
    kind = subject.type.kind if subject.type else ""
    if kind in SPLIT_KINDS:
        raise BadQuery(f"a {kind} exchanges traffic with nobody, it divides it: kubectl traffic top {subject}")
    if kind == "Node" and (not subject.name or depth > 1):
        raise BadQuery("edges of nodes are those of one, and go no further: kubectl traffic topology node/NAME")
    window = {"window": str(Window.parse(line.values["window"]))} if "window" in line.values else {}
    return Asked(line.kubectl, subject, depth, window)
