"""The configuration of a Prometheus source: what is read, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.prometheus import PrometheusSettings, read_settings
from metrics_api import BadConfiguration
from metrics_api.document import Problems, parse_document
from tests.doubles.authority import Authority


def read(text: str) -> PrometheusSettings:
    """Settings from one entry; BadConfiguration with every problem when there is one."""
    problems = Problems()
    made = read_settings(parse_document(text, "config.yaml", problems), "mesh")
    problems.raise_if_any()
    assert made is not None
    return made


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(BadConfiguration) as caught:
        read(text)
    return caught.value.problems


MINIMAL = "{name: mesh, type: prometheus, url: 'http://prometheus:9090', dialect: linkerd}"


def test_an_url_and_a_dialect_are_enough():
    made = read(MINIMAL)
    assert (made.name, made.url, made.dialect.name) == ("mesh", "http://prometheus:9090", "linkerd")
    assert (made.timeout, made.scrape_interval, made.concurrency, dict(made.params)) == (10, 0, 16, {})
    assert made.credentials.headers() == {}


def test_everything_is_read(tmp_path: Path):
    (tmp_path / "ca.crt").write_text(Authority("ca").pem)
    made = read(
        f"""
        name: mesh
        type: prometheus
        url: https://mimir.example.com/prometheus
        dialect: istio
        timeout: 5s
        headers: {{X-Scope-OrgID: team-a}}
        bearerTokenFile: {tmp_path}/token
        tls: {{caFile: {tmp_path}/ca.crt, insecureSkipVerify: false}}
        params: {{partial_response: "false"}}
        scrapeInterval: 30s
        concurrency: 4
        """
    )
    assert (made.timeout, made.scrape_interval, made.concurrency, dict(made.params)) == (5, 30, 4, {"partial_response": "false"})
    assert made.tls.ca_file == f"{tmp_path}/ca.crt"
    (tmp_path / "token").write_text("abc")
    assert made.credentials.headers() == {"X-Scope-OrgID": "team-a", "Authorization": "Bearer abc"}


def test_basic_authentication_is_encoded(tmp_path: Path):
    (tmp_path / "password").write_text("open sesame\n")
    made = read(MINIMAL[:-1] + f", basicAuth: {{username: ali, passwordFile: {tmp_path}/password}}}}")
    assert made.credentials.headers() == {"Authorization": "Basic YWxpOm9wZW4gc2VzYW1l"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://prometheus:9090/", "http://prometheus:9090"),
        ("http://prometheus:9090/api/v1", "http://prometheus:9090"),
        ("http://prometheus:9090/api/v1/", "http://prometheus:9090"),
        ("http://mimir/prometheus/", "http://mimir/prometheus"),
        ("http://[::1]:9090", "http://[::1]:9090"),
    ],
)
def test_an_url_is_kept_without_the_path_of_the_api(given: str, kept: str):
    assert read(f"{{url: '{given}', dialect: linkerd}}").url == kept


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("url: prometheus:9090", "is not a URL such as"),
        ("url: 'ftp://prometheus'", "is not a URL such as"),
        ("url: 'http://'", "is not a URL such as"),
        ("url: 'http://user:secret@prometheus'", "credentials do not belong into a URL"),
        ("url: 'http://prometheus?tenant=a'", 'parameters for each query go to "params"'),
        ("url: 'http://prometheus:99999'", "is not a URL such as"),
        ("url: 'http://prometheus..monitoring:9090'", "a part of the name between its dots is empty"),
        (f"url: 'http://{'p' * 64}.monitoring:9090'", "longer than 63 characters"),
        ("dialect: Auto", 'there is no dialect "Auto": it is one of appmesh, '),
        ("dialect: Auto", "traefik-mesh, auto, or the path of a dialect file"),
        ("dialect: linkred", 'there is no dialect "linkred": it is one of appmesh, cilium, cloudwatch-otel, consul, '),
        ("dialect: /nowhere/mesh.yaml", "cannot be read"),
        ("timeout: soon", "is not a duration"),
        ("timeout: 500ms", "must be in whole seconds"),
        ("timeout: 0s", "from 1s to 1h"),
        ("scrapeInterval: 2h", "from 1s to 1h"),
        ("concurrency: 0", "is not a whole number from 1 to 256"),
        ("headers: {'X Scope': a}", "is not a header name"),
        ('headers: {X-Scope: "a\\r\\nX-Admin: yes"}', "holds control characters"),
        ("basicAuth: {passwordFile: /etc/passwd}", '"username" is missing'),
        ("tls: {caFile: /nowhere/ca.crt}", 'there is no file "/nowhere/ca.crt"'),
        ("tls: {keyFile: /etc/hostname}", '"certFile" is missing beside it'),
        ("tls: {caFile: /etc/hostname}", "no PEM certificates"),
        ("tls: {insecureSkipVerify: perhaps}", "is not one of true, false"),
        ("pasword: x", 'unknown key "pasword"'),
    ],
)
def test_a_mistake_is_named_with_its_line(entry: str, problem: str):
    lines = {"url": "url: http://prometheus:9090", "dialect": "dialect: linkerd"}
    lines[entry.partition(":")[0]] = entry
    (found,) = problems_of("\n".join(lines.values()))
    line = list(lines).index(entry.partition(":")[0]) + 1
    assert found.startswith(f"config.yaml:{line}: ")
    assert problem in found


def test_all_mistakes_are_named_at_once():
    lines = [
        "url: nowhere",
        "dialect: linkerd",
        "timeout: soon",
        "concurrency: many",
        "headers: {'a b': c}",
        "basicAuth: {}",
        "tls: {caFile: x}",
    ]
    found = problems_of("\n".join(lines))
    assert {problem.split(": ")[0] for problem in found} == {f"config.yaml:{line}" for line in (1, 3, 4, 5, 6, 7)}


def test_mistakes_in_a_dialect_file_are_mistakes_of_the_configuration(tmp_path: Path):
    (tmp_path / "mesh.yaml").write_text("name: mesh\nviews:\n- {name: a}\n")
    found = problems_of(f"url: http://prometheus\ndialect: {tmp_path}/mesh.yaml")
    assert any(f"{tmp_path}/mesh.yaml:3" in problem for problem in found)


def test_what_is_missing_is_named():
    assert problems_of("{}") == ('config.yaml:1: "url" is missing',)
