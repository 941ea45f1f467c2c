"""The configuration of a scrape source: what is read, what is assumed, and every mistake named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.registry import configured
from backends.scrape import ScrapeBackend, ScrapeSettings, Target, read_settings
from metrics_api.document import Problems, parse_document

SOURCE = "name: sidecars\ntype: scrape\ndialect: envoy\n"


def read(text: str) -> tuple[ScrapeSettings | None, list[str]]:
    problems = Problems()
    settings = read_settings(parse_document(text, "f.yaml", problems), "sidecars")
    return settings, problems.found


def good(text: str) -> ScrapeSettings:
    settings, problems = read(SOURCE + text)
    assert problems == []
    assert settings is not None
    return settings


def test_a_list_of_addresses_is_all_it_needs():
    settings = good('targets: ["127.0.0.1:15090"]')
    assert settings.targets == (Target("127.0.0.1:15090", "/stats/prometheus", "http"),)
    assert (settings.interval, settings.timeout, settings.longest_window) == (5.0, 5.0, 300)
    assert (settings.dialect.name, settings.name) == ("envoy", "sidecars")


def test_everything_can_be_set(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("t0ken")
    settings = good(f"""
interval: 500ms
timeout: 200ms
longestWindow: 1m
path: /metrics?filter=x
scheme: https
targets:
- a:1
- {{address: "b:2", labels: {{pod: b-1, app: b}}, path: /other}}
targetsFile: {tmp_path}/targets.json
headers: {{X-Team: a}}
bearerTokenFile: {token}
tls: {{insecureSkipVerify: true}}
seriesLimit: 1000
concurrency: 3
""")
    assert settings.targets == (
        Target("a:1", "/metrics?filter=x", "https"),
        Target("b:2", "/other", "https", (("app", "b"), ("pod", "b-1"))),
    )
    assert (settings.interval, settings.timeout, settings.longest_window) == (0.5, 0.2, 60)
    assert settings.credentials.headers() == {"X-Team": "a", "Authorization": "Bearer t0ken"}
    assert settings.credentials.in_files
    assert settings.tls.skip_verify
    assert (settings.series_limit, settings.concurrency) == (1000, 3)
    assert settings.targets_file == f"{tmp_path}/targets.json"


def test_a_timeout_is_the_interval_unless_it_is_given():
    assert good("targets: [a:1]\ninterval: 2s").timeout == 2.0


def test_history_holds_two_scrapes_however_rare_they_are():
    assert good("targets: [a:1]\ninterval: 10m").longest_window == 1200


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "there is nothing to scrape", id="no targets"),
        pytest.param("targets: []", "there is nothing to scrape", id="an empty list"),
        pytest.param("targets: [a]", '"a" is not a target', id="no port"),
        pytest.param("targets: [a:1, a:1]", '"a:1" is given twice', id="twice"),
        pytest.param("targets: [{labels: {}}]", '"address" is missing', id="no address"),
        pytest.param("targets: [{address: a:1, labels: {__x: y}}]", '"__x" is not a name for a label', id="a reserved label"),
        pytest.param("targets: [{address: a:1, path: x}]", '"x" is not a path', id="a path of a target"),
        pytest.param("targets: [{address: a:1, port: 5}]", 'unknown key "port"', id="an unknown key of a target"),
        pytest.param("targets: [a:1]\ninterval: 50ms", "out of bounds", id="too often"),
        pytest.param("targets: [a:1]\ninterval: 2h", "out of bounds", id="too rarely"),
        pytest.param("targets: [a:1]\ninterval: often", "not a duration", id="no duration"),
        pytest.param("targets: [a:1]\ntimeout: 6s", "timeout is at most interval", id="a timeout beyond the interval"),
        pytest.param("targets: [a:1]\nlongestWindow: 9s", "the least is 10s", id="too little history"),
        pytest.param("targets: [a:1]\nlongestWindow: 48h", "out of bounds", id="too much history"),
        pytest.param("targets: [a:1]\npath: stats", "is not a path", id="path"),
        pytest.param("targets: [a:1]\nscheme: ftp", "not one of http, https", id="scheme"),
        pytest.param("targets: [a:1]\nseriesLimit: 0", "not a whole number", id="limit"),
        pytest.param("targets: [a:1]\nurl: http://a", 'unknown key "url"', id="a key of another source"),
        pytest.param("targets: [a:1]\ntls: {caFile: /nowhere/ca.pem}", 'there is no file "/nowhere/ca.pem"', id="a missing file"),
    ],
)
def test_a_mistake_is_named(text: str, problem: str):
    _, problems = read(SOURCE + text)
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "dialect: cloudwatch-otel",
        "dialect: envoy\noverrides: {temporality: delta}",
        "dialect: envoy\noverrides: {histograms: native}",
    ],
)
def test_what_no_proxy_exposes_cannot_be_scraped(text: str):
    settings, problems = read(f"name: x\ntype: scrape\ntargets: [a:1]\n{text}")
    assert settings is None
    (problem,) = problems
    assert problem.startswith("f.yaml:4: ")
    assert "proxies do not expose" in problem


def test_all_mistakes_are_named_at_once():
    settings, problems = read("name: x\ntype: scrape\ndialect: nosuch\ntargets: [a]\ninterval: soon\ntls: {keyFile: /nowhere}")
    assert settings is None
    assert len(problems) == 5


def test_the_registry_knows_the_type():
    problems = Problems()
    node = parse_document(f"backends:\n- {{{SOURCE.strip().replace(chr(10), ', ')}, targets: [a:1]}}", "f.yaml", problems)
    (source,) = configured(node.mapping()["backends"].items())
    assert problems.found == []
    assert isinstance(source.backend, ScrapeBackend)
    assert (source.name, source.type) == ("sidecars", "scrape")
