"""How a source that asks CloudWatch by PromQL is configured, and that nobody who has none pays for it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backends import registry
from backends.dialects import Dialect, Temporality, plan
from backends.prometheus.promql import query_of
from metrics_api import BadConfiguration, TrafficQuery, Window
from metrics_api.document import Problems, parse_document
from tests.backends.cloudwatch.promql import problems_of, source_of

QUERY = TrafficQuery(("Deployment",), Window(60), 0)


def dialect_of(more: str = "") -> Dialect:
    (dialect,) = source_of("http://127.0.0.1:1", more).dialects
    return dialect


def queries(dialect: Dialect) -> list[str]:
    return [query_of(read, QUERY.window) for stage in plan(dialect, QUERY) for part in stage for read in part.reads]


def test_without_a_dialect_it_is_that_of_opentelemetry():
    assert dialect_of().name == "cloudwatch-otel"


def test_overrides_are_in_it():
    dialect = dialect_of('overrides: {match: \'"@aws.account"="111122223333"\', temporality: cumulative}')
    assert {view.temporality for view in dialect.views} == {Temporality.CUMULATIVE}
    assert all('increase({"' in promql and '"@aws.account"="111122223333"' in promql for promql in queries(dialect))


def test_what_a_collector_scraped_from_a_mesh_is_told_in_the_dialect_of_the_mesh_by_histograms_that_are_whole():
    asked = queries(dialect_of("dialect: linkerd"))
    assert any("(increase(response_total{" in promql for promql in asked)
    assert any("(increase(response_latency_ms{" in promql for promql in asked)
    assert not any("_bucket" in promql for promql in asked)


def test_a_collector_that_makes_deltas_of_it_is_said_to_do_so():
    asked = queries(dialect_of("dialect: istio\noverrides: {temporality: delta}"))
    assert asked
    assert all("sum_over_time(istio_request" in promql and "_bucket" not in promql for promql in asked if "request" in promql)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("dialect: auto", "CloudWatch must be told the name of every metric"),
        ("dialect: nosuch", 'there is no dialect "nosuch": it is one of appmesh, cilium, cloudwatch-otel'),
        ("overrides: {labels: {pod: pod_name}}", 'dialect cloudwatch-otel uses no label "pod"'),
        ("overrides: {temporality: both}", "temporality"),
        ("overrides: {histograms: round}", "histograms"),
        ("overrides: {histograms: classic}", "CloudWatch keeps histograms whole"),
        ("scrapeInterval: 1500ms", "must be in whole seconds"),
        ("cluster: prod", "cluster"),
        ("bearerTokenFile: token", "bearerTokenFile"),
        ("endpointUrl: ftp://x", "endpointUrl"),
    ],
)
def test_a_mistake_is_named(more: str, problem: str):
    (found,) = problems_of(more)
    assert found.startswith("config.yaml:4: ")
    assert problem in found


def test_a_source_there_is_not_is_named_once():
    problems = Problems()
    registry.configured([parse_document("{name: otlp, type: cloudwatch, source: otlp}", "config.yaml", problems)])
    with pytest.raises(BadConfiguration) as caught:
        problems.raise_if_any()
    (found,) = caught.value.problems
    assert '"otlp" is not one of' in found


def test_without_the_sdk_of_aws_the_problem_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "find_spec", lambda _: None)
    (found,) = problems_of("")
    assert 'pip install "trafficmetrics[cloudwatch]"' in found


_CHECK = """
import sys
from apiservice.main import main
code = main(sys.argv[1:])
print(code, sorted(name for name in sys.modules if name.partition(".")[0] in ("aiobotocore", "botocore") or "cloudwatch" in name))
"""

_SERVE = """
import asyncio, sys
from apiservice.lifecycle import Lifecycle
from apiservice.main import load, serving
async def run():
    async with serving(*load(sys.argv[1], {}, {}), Lifecycle()):
        pass
asyncio.run(run())
print(0, sorted(name for name in sys.modules if name.partition(".")[0] in ("aiobotocore", "botocore") or "cloudwatch" in name))
"""

_PROMETHEUS = '{name: mesh, type: prometheus, url: "http://127.0.0.1:1", dialect: linkerd}'
_SCRAPE = '{name: proxies, type: scrape, dialect: linkerd, targets: ["127.0.0.1:1"]}'
_CLOUDWATCH = "{name: otlp, type: cloudwatch, source: promql}"


def modules(program: str, file: Path, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments, str(file)], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize(("program", "arguments"), [(_CHECK, ("config", "check")), (_SERVE, ())], ids=["config check", "serve"])
def test_nothing_of_aws_is_loaded_unless_it_is_configured(tmp_path: Path, program: str, arguments: tuple[str, ...]):
    file = tmp_path / "server.yaml"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = f"server: {{insecurePort: {port}}}\nkubernetes: {{enabled: false}}"
    file.write_text(f"{server}\nbackends: [{_PROMETHEUS}, {_SCRAPE}]\n")
    assert modules(program, file, *arguments) == "0 []"


def test_what_is_configured_is_loaded(tmp_path: Path):
    """Or the test before this one would find nothing whatever was loaded."""
    file = tmp_path / "server.yaml"
    file.write_text(f"backends: [{_CLOUDWATCH}]\n")
    assert "'aiobotocore'" in modules(_CHECK, file, "config", "check")
