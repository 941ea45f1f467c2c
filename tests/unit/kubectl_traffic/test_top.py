"""Which table a command line of ``kubectl traffic top`` wants."""

from __future__ import annotations

import pytest

from kubectl_traffic.top import CHOICES, read_top
from kubectl_traffic.view import View
from metrics_api import BadQuery


@pytest.mark.parametrize(
    ("line", "parameters"),
    [
        ("", {}),
        ("deploy --window 5m", {"window": "5m0s"}),
        ("-l app=web --include-idle", {"labelSelector": "app=web", "includeIdle": "true"}),
        ("deploy --field-selector cluster=west", {"fieldSelector": "cluster=west"}),
        ("deploy/web --edges", {}),
        ("deploy/web --to", {"fieldSelector": "edge.direction=to"}),
        ("--edges", {"fieldSelector": "edge.resource.name!="}),
        ("sts --from", {"fieldSelector": "edge.direction=from,resource.kind=StatefulSet"}),
        ("deploy --edges --field-selector edge.side=client", {"fieldSelector": "edge.side=client,resource.kind=Deployment"}),
    ],
)
def test_what_is_asked_of_the_api(line: str, parameters: dict[str, str]):
    assert read_top(line.split()).parameters == parameters


@pytest.mark.parametrize(
    ("line", "view"),
    [
        ("", View()),
        ("-A", View(everywhere=True)),
        ("ns -A", View()),
        ("ts", View(split=True)),
        ("deploy/web --from", View(edges=True)),
        ("-A -o wide -w", View(everywhere=True, wide=True, trend=True)),
    ],
)
def test_which_columns_there_are(line: str, view: View):
    assert read_top(line.split()).view() == view


@pytest.mark.parametrize(("line", "interval"), [("", None), ("-w", 5.0), ("-w --interval 1500ms", 1.5)])
def test_how_often(line: str, interval: float | None):
    assert read_top(line.split()).interval == interval


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("deploy/web -A", "deployment/web is in one namespace"),
        ("deploy/web -l app=web", "labels choose among several"),
        ("deploy/web --field-selector cluster=west", "fields choose among several"),
        ("--to --from", "exclude each other"),
        ("nodes --edges", "kubectl traffic top node/NAME --edges"),
        ("-o yaml", '--output "yaml" is not one of table, wide, json, csv'),
        ("--sort-by size", '--sort-by "size" is not one of namespace, name, peer, success,'),
        ("-w --trend name", '--trend "name" is not one of success, rps,'),
        ("--trend rps", "add -w"),
        ("-w --interval 200ms", "too short"),
        ("-w --interval soon", "is not a duration"),
        ("--window 1d", "is not a duration"),
        ("--color pink", "auto, always, never"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(line: str, told: str):
    with pytest.raises(BadQuery) as refused:
        read_top(line.split())
    assert told in refused.value.message


@pytest.mark.parametrize(
    "option", [pytest.param(f"{name} {value}", id=f"{name} {value}") for name in CHOICES for value in CHOICES[name]]
)
def test_every_choice_that_completion_offers_is_taken(option: str):
    read_top(["-w", *option.split()])
