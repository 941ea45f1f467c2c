"""The configuration of an App Mesh source: what is read, what is assumed, and every mistake named with its place."""

from __future__ import annotations

import pytest

from backends.cloudwatch.meshedge import MeshEdge
from backends.cloudwatch.settings import CloudWatchSettings, read_settings
from metrics_api.document import Problems, parse_document

MESH = "source: appmesh\nmesh: shop\n"


def read(text: str) -> tuple[CloudWatchSettings | None, list[str]]:
    problems = Problems()
    settings = read_settings(parse_document(text, "f.yaml", problems), "aws")
    return settings, problems.found


def test_a_mesh_is_published_by_the_agent_unless_something_else_is_said() -> None:
    settings, problems = read(MESH)
    assert problems == []
    assert settings is not None
    assert (settings.mesh, settings.form, settings.metric_namespace, settings.edges) == ("shop", "statsd", "", ())
    assert not settings.client_errors_fail


def test_edges_say_who_calls_whom_and_how_it_is_published() -> None:
    settings, problems = read(f"""{MESH}
edges:
- {{from: web_shop, to: orders_shop}}
- {{from: in_shop, to: web_shop, gateway: true, service: "", dimensions: {{host: b, Az: a}}}}
""")
    assert problems == []
    assert settings is not None
    assert settings.edges == (
        MeshEdge("web_shop", "orders_shop"),
        MeshEdge("in_shop", "web_shop", "", gateway=True, dimensions=(("Az", "a"), ("host", "b"))),
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        pytest.param("source: appmesh", 'f.yaml:1: "mesh" is missing', id="no mesh"),
        pytest.param('source: appmesh\nmesh: ""', 'f.yaml:2: mesh: "mesh" is empty', id="an empty mesh"),
        pytest.param(f"{MESH}form: otel", 'f.yaml:3: form: "otel" is not one of statsd, emf, adot', id="an unknown form"),
        pytest.param(f"{MESH}form: emf", 'f.yaml:1: "metricNamespace" is missing: form emf', id="no namespace for emf"),
        pytest.param(f"{MESH}form: adot", 'f.yaml:1: "metricNamespace" is missing: form adot', id="no namespace for adot"),
        pytest.param(f"{MESH}cluster: a", 'f.yaml:3: cluster: unknown key "cluster"', id="a key of another source"),
        pytest.param(f"{MESH}edges: [{{from: a}}]", 'f.yaml:3: edges[0]: "to" is missing', id="half an edge"),
        pytest.param(f"{MESH}edges:\n- {{from: a, to: ''}}", "f.yaml:4: edges[0].to: name a virtual node", id="an empty end"),
        pytest.param(
            f"{MESH}edges: [{{from: a, to: b, gateway: 1}}]", 'f.yaml:3: edges[0].gateway: "1" is not one of', id="gateway or not"
        ),
        pytest.param(
            f"{MESH}edges: [{{from: a, to: b, host: c}}]", 'f.yaml:3: edges[0].host: unknown key "host"', id="a stray key"
        ),
        pytest.param(f"{MESH}failure: {{http: [6xx]}}", 'f.yaml:3: failure.http[0]: "6xx" is not one of 5xx, 4xx', id="no class"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, mistake: str) -> None:
    _, problems = read(text)
    assert any(problem.startswith(mistake) for problem in problems)
