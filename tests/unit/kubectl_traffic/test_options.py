"""Options are read as kubectl reads its own."""

from __future__ import annotations

import pytest

from kubectl_traffic.kubectl import Kubectl
from kubectl_traffic.options import Line, read_line
from metrics_api import BadQuery

VALUED = {"output": "o", "sort-by": ""}
SWITCHES = {"watch": "w", "edges": ""}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deploy web", Line(Kubectl(), ("deploy", "web"))),
        ("-o json", Line(Kubectl(), (), {"output": "json"})),
        ("-ojson", Line(Kubectl(), (), {"output": "json"})),
        ("-o=json", Line(Kubectl(), (), {"output": "json"})),
        ("--output=json --sort-by rps", Line(Kubectl(), (), {"output": "json", "sort-by": "rps"})),
        ("-o json -o wide", Line(Kubectl(), (), {"output": "wide"})),
        ("-w deploy --edges", Line(Kubectl(), ("deploy",), {}, frozenset({"watch", "edges"}))),
        ("--watch=false", Line(Kubectl())),
        ("-wojson -n shop", Line(Kubectl(chosen="shop"), (), {"output": "json"}, frozenset({"watch"}))),
        ("-- --edges", Line(Kubectl(), ("--edges",))),
    ],
)
def test_a_line_is_read(line: str, expected: Line):
    assert read_line("top", line.split(), VALUED, SWITCHES) == expected


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-o", "-o needs a value: see kubectl traffic top --help"),
        ("--sort rps", "unknown option --sort (--sort-by?): see kubectl traffic top --help"),
        ("-x", "unknown option -x: see kubectl traffic top --help"),
        ("--watch=perhaps", "--watch=perhaps is a switch"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(line: str, told: str):
    with pytest.raises(BadQuery) as refused:
        read_line("top", line.split(), VALUED, SWITCHES)
    assert told in refused.value.message
