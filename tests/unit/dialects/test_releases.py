"""What the values of a label come to as versions of a mesh, and how a dialect file says which label that is."""

from __future__ import annotations

import pytest

from backends.dialects import Sign, VersionSeries, builtin_dialects, hosted_dialects, load_dialect, parse_dialect, parse_matchers
from backends.dialects.overrides import Overrides, override
from backends.dialects.releases import mesh_of, namespace_labels
from metrics_api import BadConfiguration
from metrics_api.diagnosis import Mesh

ISTIO, LINKERD = load_dialect("istio"), load_dialect("linkerd")

TEXT = """
name: own
mesh: Own Mesh
version: {series: 'own_build{component="control"}', label: tag, of: control plane}
views:
- name: served
  side: server
  requests: other_total
  outcome: [{success: {}}]
  destination: [{Namespace: {name: space}}]
"""


def test_versions_are_told_once_each_and_the_lowest_first():
    assert mesh_of(ISTIO, ["1.24.1", "1.9.0", "1.24.0", "1.24.1", "1.24-alpha.a1b2c3"]) == Mesh(
        "Istio", "istio", ("1.9.0", "1.24-alpha.a1b2c3", "1.24.0", "1.24.1")
    )


def test_what_is_no_version_is_left_out():
    assert mesh_of(ISTIO, ["", " ", "\x1b[2J", "1" * 101]).versions == ()
    assert mesh_of(ISTIO, ["9" * 99, "v2"]).versions == ("9" * 99, "v2")


def test_of_very_many_the_highest_are_told():
    told = mesh_of(ISTIO, [f"1.{number}" for number in range(100)]).versions
    assert (len(told), told[0], told[-1]) == (20, "1.80", "1.99")


def test_it_is_said_whose_version_it_is_where_it_is_not_the_meshs_own_and_only_if_there_is_one():
    assert mesh_of(LINKERD, ["2.366.0"]) == Mesh("Linkerd", "linkerd", ("2.366.0",), "proxy")
    assert mesh_of(LINKERD, []) == Mesh("Linkerd", "linkerd")
    assert mesh_of(load_dialect("kuma"), ["1.31.2"], "Envoy").of == "Envoy"


@pytest.mark.parametrize(
    ("mesh", "shown"),
    [
        (Mesh("Istio", "istio"), "Istio"),
        (Mesh("Istio", "istio", ("1.24.1",)), "Istio 1.24.1"),
        (Mesh("Istio", "istio", ("1.22", "1.23", "1.24")), "Istio 1.22, 1.23 and 1.24"),
        (Mesh("Linkerd", "linkerd", ("2.366.0",), "proxy"), "Linkerd (proxy 2.366.0)"),
    ],
)
def test_a_mesh_is_a_few_words(mesh: Mesh, shown: str):
    assert str(mesh) == shown


@pytest.mark.parametrize("name", [*builtin_dialects(), *hosted_dialects()])
def test_every_mesh_has_a_name_for_people(name: str):
    dialect = load_dialect(name)
    assert dialect.mesh
    assert dialect.mesh != name


def test_a_dialect_without_a_name_for_people_is_known_by_its_own():
    assert mesh_of(parse_dialect(TEXT.replace("mesh: Own Mesh\n", ""), "own.yaml"), []).name == "own"


def test_a_dialect_file_says_which_series_tell_the_version():
    made = parse_dialect(TEXT, "own.yaml")
    assert made.mesh == "Own Mesh"
    assert made.version == VersionSeries(Sign("own_build", parse_matchers('component="control"')), "tag", "control plane")


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("version: {label: tag}", '"series" is missing'),
        ("version: {series: own_build}", '"label" is missing'),
        ("version: {series: own_build, label: 1tag}", "is not a label name"),
        ("version: {series: '1build', label: tag}", "is not a selector"),
        ("version: {series: own_build, label: tag, metric: x}", '"metric"'),
    ],
)
def test_mistakes_about_versions_are_named_with_their_line(written: str, what: str):
    text = "\n".join(written if line.startswith("version:") else line for line in TEXT.splitlines())
    with pytest.raises(BadConfiguration, match=what) as raised:
        parse_dialect(text, "own.yaml")
    assert raised.value.problems[0].startswith("own.yaml:4")


def test_overrides_hold_for_the_series_of_the_version_too():
    made = parse_dialect(TEXT.replace("{name: space}", "{name: tag}"), "own.yaml")
    changed = override(made, Overrides({"tag": "build_tag"}, parse_matchers('cluster="west"'))).version
    assert changed == VersionSeries(
        Sign("own_build", parse_matchers('component="control", cluster="west"')), "build_tag", "control plane"
    )


def test_the_labels_that_hold_namespaces_are_those_of_plain_templates():
    views = {view.name: namespace_labels(view) for view in ISTIO.views}
    assert views["requests"] == ("source_workload_namespace", "destination_workload_namespace")
    # Its labels spell namespaces otherwise than Kubernetes does.
    assert {label for view in load_dialect("osm").views for label in namespace_labels(view)} == set()
