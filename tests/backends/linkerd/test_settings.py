"""How a source in Linkerd viz is configured, and what is said of mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backends.linkerd import LinkerdSettings, read_settings
from backends.transport import TlsSettings
from metrics_api.document import Problems, parse_document
from tests.doubles.authority import Authority

ADDRESS = 'address: "metrics-api.linkerd-viz.svc:8085"'


def read(text: str) -> tuple[LinkerdSettings | None, list[str]]:
    problems = Problems()
    return read_settings(parse_document(text, "f.yaml", problems), "viz"), problems.found


def test_an_address_is_all_that_it_needs():
    assert read(ADDRESS) == (LinkerdSettings("viz", "metrics-api.linkerd-viz.svc:8085"), [])


def test_every_key_is_read():
    more = "timeout: 3s\nconcurrency: 2\nidentities: false\nedgeListLimit: 7\ntls: {}\nscrapeInterval: 30s"
    settings, problems = read(f"{ADDRESS}\n{more}")
    assert problems == []
    assert settings == LinkerdSettings(
        "viz", "metrics-api.linkerd-viz.svc:8085", 3, 2, TlsSettings(), identities=False, edge_list_limit=7, scrape_interval=30
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("metrics-api", "metrics-api:8085", id="the port is that of the metrics-api"),
        pytest.param("10.1.2.3:80", "10.1.2.3:80", id="an IPv4 address"),
        pytest.param('"[fd00::1]:8085"', "[fd00::1]:8085", id="an IPv6 address"),
        pytest.param('"[fd00::1]"', "[fd00::1]:8085", id="an IPv6 address without a port"),
        pytest.param(
            "metrics-api.linkerd-viz.svc.cluster.local.:8085", "metrics-api.linkerd-viz.svc.cluster.local.:8085", id="absolute"
        ),
    ],
)
def test_an_address_is_a_host_with_or_without_a_port(written: str, meant: str):
    settings, problems = read(f"address: {written}")
    assert problems == []
    assert settings is not None
    assert settings.address == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("timeout: 3s", '"address" is missing', id="no address"),
        pytest.param('address: "http://metrics-api:8085"', "without http:// before it", id="a URL"),
        pytest.param('address: "metrics-api:0"', "is not an address", id="port 0"),
        pytest.param('address: "metrics-api:70000"', "is not an address", id="a port that is too large"),
        pytest.param('address: "unix:/run/viz.sock"', "is not an address", id="a socket of this machine"),
        pytest.param('address: "fd00::1"', "is not an address", id="IPv6 without brackets"),
        pytest.param('address: "metrics-api..svc"', "between its dots is empty", id="a name with an empty part"),
        pytest.param(f"address: {'m' * 64}.svc", "longer than 63 characters", id="a name with a long part"),
        pytest.param('address: ""', "is not an address", id="empty"),
        pytest.param(f"{ADDRESS}\ntimeout: 500ms", "must be in whole seconds", id="a timeout of half a second"),
        pytest.param(f"{ADDRESS}\nconcurrency: 0", "is not a whole number from 1 to 64", id="no calls at all"),
        pytest.param(f"{ADDRESS}\nedgeListLimit: many", "is not a whole number", id="a limit that is no number"),
        pytest.param(f"{ADDRESS}\nidentities: maybe", "is not one of true, false", id="perhaps identities"),
        pytest.param(f"{ADDRESS}\ntls: {{insecureSkipVerify: true}}", "always verifies", id="without verification"),
        pytest.param(f"{ADDRESS}\ntls: {{caFile: /no/such/file}}", 'there is no file "/no/such/file"', id="no such file"),
        pytest.param(f"{ADDRESS}\nheaders: {{a: b}}", 'unknown key "headers"', id="a key of other sources"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, words: str):
    _, problems = read(text)
    assert any("f.yaml:" in problem and words in problem for problem in problems), problems


def test_the_files_of_tls_are_read_and_checked(tmp_path: Path):
    authority = tmp_path / "ca.crt"
    authority.write_text(Authority("viz").pem)
    settings, problems = read(f"{ADDRESS}\ntls: {{caFile: {authority}}}")
    assert problems == []
    assert settings is not None
    assert settings.tls == TlsSettings(ca_file=str(authority))


def test_who_configures_no_such_source_does_not_load_grpc():
    code = "import sys, backends.registry, backends.prometheus, apiservice.main; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
