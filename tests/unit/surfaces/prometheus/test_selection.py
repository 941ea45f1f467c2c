"""What is read of the API for a selector: no more than it pins down, so that no more rights are needed than for that."""

from __future__ import annotations

import pytest

from apiservice.surfaces.prometheus.expression import parse_selector
from apiservice.surfaces.prometheus.failures import Failure
from apiservice.surfaces.prometheus.selection import Scope, Selection, select
from metrics_api.errors import BadQuery
from metrics_api.window import Window

EDGES = "edge.resource.name!="
KINDS = "|".join(f"Kind{number}" for number in range(9))
MANY = "|".join(f"n{number}" for number in range(65))


def selection(text: str, namespace: str = "") -> Selection:
    return select(
        parse_selector(text if "{" in text and text[0] != "{" else f"trafficmetrics_success_ratio{text}"),
        Scope(namespace, Window(30)),
    )


def reads(text: str, namespace: str = "") -> list[str]:
    """The reads, each as a path with its field selector behind it."""
    found = []
    for asked in selection(text, namespace).reads:
        given = dict(asked.parameters)
        path = "/".join(filter(None, (asked.namespace, asked.resource, asked.name, "edges" if asked.edges else "")))
        assert given.pop("window") == "30s"
        found.append(f"{path} {given.pop('fieldSelector', '')}".strip())
        assert not given
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", ["trafficmetrics"], id="everything"),
        pytest.param('{namespace="shop"}', ["shop/trafficmetrics"], id="a namespace"),
        pytest.param('{namespace=~"shop"}', ["shop/trafficmetrics"], id="a namespace as an expression"),
        pytest.param('{namespace=~"shop|data"}', ["data/trafficmetrics", "shop/trafficmetrics"], id="namespaces"),
        pytest.param('{namespace=~"shop|data",namespace!="data"}', ["shop/trafficmetrics"], id="namespaces but one"),
        pytest.param(f'{{namespace=~"{MANY}"}}', ["trafficmetrics"], id="more namespaces than are read one by one"),
        pytest.param('{namespace=~"sh.*"}', ["trafficmetrics"], id="any namespaces"),
        pytest.param('{namespace!="shop"}', ["trafficmetrics"], id="other namespaces"),
        pytest.param('{namespace="shop",namespace="data"}', [], id="two namespaces at once"),
        pytest.param('{namespace=""}', [], id="workloads in no namespace"),
        pytest.param(
            '{namespace="shop",kind="Deployment",name="web"}',
            ["shop/trafficmetrics resource.kind=Deployment,resource.name=web"],
            id="a workload",
        ),
        pytest.param('{name="a,b=c\\\\"}', ["trafficmetrics resource.name=a\\,b\\=c\\\\"], id="a name with signs in it"),
        pytest.param('{name=~"web|api"}', ["trafficmetrics"], id="names"),
        pytest.param('{kind="Pod"}', ["trafficmetrics resource.kind=Pod"], id="another level"),
        pytest.param(
            '{kind=~"Pod|Service"}', ["trafficmetrics resource.kind=Pod", "trafficmetrics resource.kind=Service"], id="levels"
        ),
        pytest.param('{kind=~"P.*"}', ["trafficmetrics"], id="workloads whose kind is like that"),
        pytest.param('{kind="Rollout"}', ["trafficmetrics resource.kind=Rollout"], id="a custom kind"),
        pytest.param('{kind="deployment"}', [], id="a kind as nobody spells it"),
        pytest.param('{kind=""}', ["trafficmetrics"], id="no kind"),
        pytest.param('{kind="Namespace"}', ["namespaces"], id="namespaces themselves"),
        pytest.param('{kind="Namespace",name="shop"}', ["namespaces/shop"], id="one of them"),
        pytest.param('{kind="Namespace",namespace="shop"}', [], id="a namespace in a namespace"),
        pytest.param('{kind="Node"}', ["nodes"], id="nodes"),
        pytest.param('{kind=~"Node|Pod",namespace="shop"}', ["shop/trafficmetrics resource.kind=Pod"], id="levels of a namespace"),
        pytest.param('{cluster="west",name="web"}', ["trafficmetrics cluster=west,resource.name=web"], id="a cluster"),
        pytest.param('{cluster=""}', ["trafficmetrics"], id="a cluster without a name"),
        pytest.param('{cluster!="west"}', ["trafficmetrics"], id="other clusters"),
        pytest.param('{cluster="west",kind="Namespace",name="shop"}', ["namespaces cluster=west"], id="a namespace of a cluster"),
        pytest.param('{direction="to"}', [f"trafficmetrics edge.direction=to,{EDGES}"], id="edges by direction"),
        pytest.param('{peer_name!=""}', [f"trafficmetrics {EDGES}"], id="edges by any peer"),
        pytest.param('{peer_name=~".+"}', [f"trafficmetrics {EDGES}"], id="edges by an expression"),
        pytest.param(
            '{peer_namespace="shop",peer_name="api"}',
            [f"trafficmetrics edge.resource.name=api,edge.resource.namespace=shop,{EDGES}"],
            id="edges by their peer",
        ),
        pytest.param('{peer_kind="Pod"}', [f"trafficmetrics edge.resource.kind=Pod,{EDGES}"], id="edges to another level"),
        pytest.param('{peer_kind="",peer_name=~".+"}', [f"trafficmetrics {EDGES}"], id="edges to hosts"),
        pytest.param(
            '{kind="Namespace",name="shop",direction="to"}',
            [f"namespaces/shop/edges edge.direction=to,{EDGES}"],
            id="edges of a namespace",
        ),
        pytest.param('{peer_name!="api"}', ["trafficmetrics"], id="no edges: totals match"),
        pytest.param('{direction=~"|to"}', ["trafficmetrics"], id="no edges: totals match the expression"),
        pytest.param('{direction=""}', ["trafficmetrics"], id="totals"),
        pytest.param('{percentile="99"}', [], id="a label the metric has not"),
        pytest.param('{percentile!="99"}', ["trafficmetrics"], id="a label that may be missing"),
        pytest.param('{pod="web-1"}', [], id="a label nobody has"),
        pytest.param('{pod!="web-1"}', ["trafficmetrics"], id="a label nobody must have"),
        pytest.param('up{job="x"}', [], id="another metric"),
        pytest.param('{__name__=~"trafficmetrics_.*"}', ["trafficmetrics"], id="all metrics"),
        pytest.param('trafficmetrics_incomplete{direction="to"}', [], id="edges of what has none"),
    ],
)
def test_only_what_a_selector_pins_down_is_read(text: str, found: list[str]):
    assert reads(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", ["shop/trafficmetrics"], id="everything"),
        pytest.param('{namespace="shop"}', ["shop/trafficmetrics"], id="the same"),
        pytest.param('{namespace=~"shop|data"}', ["shop/trafficmetrics"], id="with others"),
        pytest.param('{namespace!="data"}', ["shop/trafficmetrics"], id="without others"),
        pytest.param('{namespace="data"}', [], id="another"),
        pytest.param('{namespace=""}', [], id="none"),
        pytest.param('{kind="Namespace"}', ["namespaces/shop"], id="itself"),
        pytest.param('{kind="Namespace",name="shop"}', ["namespaces/shop"], id="itself by name"),
        pytest.param(
            '{kind="Namespace",name=~".+",direction="to"}', [f"namespaces/shop/edges edge.direction=to,{EDGES}"], id="its edges"
        ),
        pytest.param('{kind="Namespace",name="data"}', [], id="another one"),
        pytest.param('{kind="Node"}', [], id="nodes"),
    ],
)
def test_below_a_namespace_nothing_else_is_ever_read(text: str, found: list[str]):
    assert reads(text, "shop") == found


@pytest.mark.parametrize(
    ("text", "window", "label"),
    [
        ("", "30s", ""),
        ('{window="5m"}', "5m0s", "5m"),
        ('{window=~"5m"}', "5m0s", "5m"),
        ('{window="30s"}', "30s", "30s"),
        ('{window=""}', "30s", ""),
        ('{window!="5m"}', "30s", ""),
        ('{window=~"5m|"}', "30s", ""),
    ],
)
def test_a_matcher_chooses_the_window_and_series_say_so(text: str, window: str, label: str):
    found = selection(text)
    assert (dict(found.reads[0].parameters)["window"], found.window) == (window, label)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{window=~".+"}', "one window can be chosen"),
        ('{window!=""}', "one window can be chosen"),
        ('{window=~"5m|1m"}', "one window can be chosen"),
        ('{window="5m",window="1m"}', "contradict"),
        ('{kind="TrafficSplit"}', "some for each backend"),
        ('{kind=~"Deployment|HTTPRoute"}', "some for each backend"),
        ('{kind="Namespace",direction="to"}', 'add name="…"'),
        ('{kind=~"' + KINDS + '",peer_kind=~"' + KINDS + '"}', "81 pairs of kinds"),
    ],
)
def test_what_cannot_be_read_at_once_is_told(text: str, told: str):
    with pytest.raises(Failure, match=told) as caught:
        selection(text)
    assert (caught.value.code, caught.value.word) == (422, "execution")


def test_a_window_that_is_none_is_a_mistake():
    with pytest.raises(BadQuery, match="is not a duration"):
        selection('{window="soon"}')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("up{}", "there is no metric of that name: there are trafficmetrics_failure_ratio, "),
        ('{pod="x"}', "no series has the label pod: there are "),
        ('{kind="deployment"}', 'there is no kind "deployment": it is spelt Deployment'),
        ('{kind="web-app"}', 'there is no kind "web-app"'),
        ('{peer_kind="pods"}', 'there is no peer_kind "pods"'),
        ("", ""),
    ],
)
def test_a_likely_mistake_is_told(text: str, told: str):
    found = selection(text).told
    assert len(found) == bool(told)
    assert not told or found[0].startswith(told)


def test_an_address_of_a_namespace_tells_that_it_knows_no_other():
    assert selection('{namespace="data"}', "shop").told == ('this address tells of the namespace "shop" alone',)
