"""Configuration: one file, environment and flags; every mistake at once."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import pytest

from apiservice.logformat import LogFormat
from apiservice.main import load
from apiservice.settings import OPTIONS, LoggingSettings, Settings, add_options, read_settings
from apiservice.visibility import PeerVisibility
from metrics_api import BadConfiguration, LatencyUnit, Window
from metrics_api.document import Problems


def settings(text: str = "", flags: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    problems = Problems()
    read = read_settings(text, "server.yaml", flags or {}, environment or {}, problems)
    problems.raise_if_any()
    return read


def problems(text: str, flags: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(BadConfiguration) as caught:
        settings(text, flags)
    return list(caught.value.problems)


def test_nothing_configured_is_the_defaults():
    read = settings()
    assert read.server.secure_port == 6443
    assert read.server.insecure_port == 0
    assert read.kubernetes.enabled
    assert read.metrics.window == Window(30)
    assert read.metrics.latency_unit is LatencyUnit.SECONDS
    assert read.metrics.refresh == 5
    assert read.metrics.deadline == 20
    assert read.kubernetes.cluster_name == ""


def test_every_key_of_the_file_is_read():
    read = settings(
        """
        server: {bindAddress: 127.0.0.1, securePort: 8443, certDir: /somewhere, specLiteralDiscovery: true}
        kubernetes: {enabled: true, authenticationSkipLookup: true, requestheaderAllowedNames: "a,b"}
        metrics: {window: 1m, latencyUnit: ms, defaultWorkloadKind: StatefulSet, refresh: 10s}
        """
    )
    assert (read.server.bind_address, read.server.secure_port, read.server.cert_dir) == ("127.0.0.1", 8443, "/somewhere")
    assert read.server.spec_literal_discovery
    assert read.kubernetes.authentication_skip_lookup
    assert read.kubernetes.requestheader_allowed_names == ("a", "b")
    assert read.metrics.window == Window(60)
    assert read.metrics.latency_unit is LatencyUnit.MILLISECONDS
    assert read.metrics.default_workload_kind == "StatefulSet"
    assert read.metrics.refresh == 10


def test_a_flag_beats_the_environment_which_beats_the_file():
    text = "server: {securePort: 1}"
    environment = {"TRAFFICMETRICS_SECURE_PORT": "2"}
    assert settings(text).server.secure_port == 1
    assert settings(text, environment=environment).server.secure_port == 2
    assert settings(text, {"secure-port": "3"}, environment).server.secure_port == 3


@pytest.mark.parametrize("text", ["", "# c\n", "---\n", "null\n", "~\n", "server:\n", "server: {}\n"])
def test_a_file_that_says_nothing_takes_nothing_back(text: str):
    """Of a document that is null, too: not what flags say, and not what the environment says."""
    read = settings(text, {"secure-port": "8443", "cert-secret": "mine"}, {"TRAFFICMETRICS_PEER_VISIBILITY": "authorized"})
    assert (read.server.secure_port, read.server.cert_secret) == (8443, "mine")
    assert read.server.peer_visibility is PeerVisibility.AUTHORIZED
    assert problems(text, {"secure-port": "x"}) == ['--secure-port: "x" is not a whole number from 0 to 65535']


@pytest.mark.parametrize("text", ["server: []", "server: ''"], ids=["list", "text"])
def test_a_flag_does_not_hide_that_its_section_is_none(text: str):
    assert problems(text, {"secure-port": "8443"}) == ["server.yaml:1: server: must be a mapping of keys to values"]


def test_names_of_front_proxies_have_no_blanks_around_them():
    names = ("front-proxy-client", "aggregator")
    assert settings('kubernetes: {requestheaderAllowedNames: "front-proxy-client, aggregator,"}') == settings(
        "", {"requestheader-allowed-names": " front-proxy-client ,aggregator"}
    )
    environment = {"TRAFFICMETRICS_REQUESTHEADER_ALLOWED_NAMES": "front-proxy-client, aggregator"}
    assert settings("", None, environment).kubernetes.requestheader_allowed_names == names
    assert settings("", {"requestheader-allowed-names": ""}).kubernetes.requestheader_allowed_names == ()


@pytest.mark.parametrize("text", [",", " ", " , ,"], ids=["comma", "blank", "both"])
def test_a_list_of_names_without_one_does_not_let_everybody_in(text: str):
    told = f'"{text}" has no name in it; what is empty allows any name'
    assert problems("", {"requestheader-allowed-names": text}) == [f"--requestheader-allowed-names: {told}"]
    assert problems(f'kubernetes: {{requestheaderAllowedNames: "{text}"}}') == [
        f"server.yaml:1: kubernetes.requestheaderAllowedNames: {told}"
    ]


@pytest.mark.parametrize("flag", ["tls-private-key-file", "kubeconfig"])
def test_a_key_in_the_place_of_its_file_is_not_repeated(flag: str):
    found = problems("", {flag: "-----BEGIN PRIVATE KEY-----\ns3cret\n"})
    assert f"--{flag}: is no path, but what belongs into a file" in found
    assert "s3cret" not in "".join(found)
    assert f'--{flag}: there is no file "{"x" * 5000}"' in problems("", {flag: "x" * 5000})


def test_flags_have_the_names_of_the_kubernetes_api_servers():
    names = {option.name for option in OPTIONS}
    assert names >= {
        "secure-port",
        "bind-address",
        "tls-cert-file",
        "tls-private-key-file",
        "cert-dir",
        "kubeconfig",
        "authentication-kubeconfig",
        "authorization-kubeconfig",
        "client-ca-file",
        "requestheader-client-ca-file",
        "requestheader-allowed-names",
        "authentication-skip-lookup",
        "authentication-tolerate-lookup-failure",
    }


def test_every_mistake_is_named_at_once_with_its_line():
    found = problems(
        """server:
  securePort: high
  bindAdress: 0.0.0.0
metrics:
  window: 1d
  latencyUnit: hours
kubernetes: {kubeconfig: /no/such/file}
extra: 1
"""
    )
    text = "\n".join(found)
    assert len(found) == 6
    assert 'server.yaml:2: server.securePort: "high" is not a whole number from 0 to 65535' in text
    assert 'server.yaml:3: server.bindAdress: unknown key "bindAdress"' in text
    assert 'server.yaml:5: metrics.window: "1d" is not a duration' in text
    assert 'server.yaml:6: metrics.latencyUnit: "hours" is not one of seconds, ms' in text
    assert 'server.yaml:7: kubernetes.kubeconfig: there is no file "/no/such/file"' in text
    assert 'server.yaml:8: extra: unknown key "extra"' in text


def test_a_mistake_in_a_flag_names_the_flag():
    assert problems("", {"secure-port": "x"}) == ['--secure-port: "x" is not a whole number from 0 to 65535']


def test_an_unauthenticated_port_is_for_standalone_use():
    assert "standalone" in problems("server: {insecurePort: 8080}")[0]
    assert "server.insecurePort" in problems("kubernetes: {enabled: false}")[0]
    assert settings("{server: {insecurePort: 8080}, kubernetes: {enabled: false}}").server.insecure_port == 8080


def test_certificate_and_key_go_together():
    assert any("go together" in problem for problem in problems("server: {tlsCertFile: /dev/null}"))


def test_a_prometheus_source_needs_no_file():
    _, backends = load(None, {"prometheus-url": "http://127.0.0.1:9090", "dialect": "linkerd"}, {})
    assert [backend.name for backend in backends] == ["prometheus"]
    _, backends = load(None, {}, {"TRAFFICMETRICS_PROMETHEUS_URL": "http://127.0.0.1:9090", "TRAFFICMETRICS_DIALECT": "istio"})
    assert len(backends) == 1


def test_mistakes_of_the_sources_are_found_with_those_of_the_server(tmp_path: Path):
    file = tmp_path / "server.yaml"
    file.write_text(
        """server: {securePort: 99999}
backends:
- {name: mesh, type: prometheus, url: "ftp://x", dialect: linkerd}
- {name: mesh, type: gizmo}
- {type: prometheus}
- {name: other, type: prometheus, url: "http://user:secret@x", dialect: nosuch, colour: red}
"""
    )
    with pytest.raises(BadConfiguration) as caught:
        load(str(file), {}, {})
    text = caught.value.message
    for expected in (
        ":1: server.securePort",
        ':3: backends[0].url: "ftp://x" is not a URL',
        ':4: backends[1].name: "mesh" is the name of another source',
        ':4: backends[1].type: "gizmo" is not one of prometheus, scrape',
        ':5: backends[2]: "name" is missing',
        ':6: backends[3].colour: unknown key "colour"',
        ':6: backends[3].dialect: there is no dialect "nosuch"',
        "credentials do not belong into a URL",
    ):
        assert expected in text
    assert "secret" not in text


def test_no_source_at_all_is_a_mistake():
    with pytest.raises(BadConfiguration, match="no source is configured"):
        load(None, {}, {})


def test_the_log_is_set_like_everything_else():
    assert settings().logging == LoggingSettings(LogFormat.TEXT, 0)
    assert settings("logging: {format: json, verbosity: 4}").logging == LoggingSettings(LogFormat.JSON, 4)
    flags = {"logging-format": "json", "v": "6"}
    assert settings("logging: {verbosity: 1}", flags).logging == LoggingSettings(LogFormat.JSON, 6)
    assert settings("", None, {"TRAFFICMETRICS_V": "3"}).logging.verbosity == 3


@pytest.mark.parametrize("arguments", [["-v", "5"], ["-v=5"], ["-v5"], ["--v", "5"], ["--v=5"]], ids=" ".join)
def test_verbosity_is_written_as_for_kubernetes(arguments: list[str]):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser)
    assert vars(parser.parse_args(arguments))["v"] == "5"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("logging: {verbosity: loud}", '"loud" is not a whole number from 0 to 10'),
        ("logging: {verbosity: 11}", '"11" is not a whole number from 0 to 10'),
        ("logging: {format: xml}", "xml"),
    ],
)
def test_a_log_nobody_can_write_is_a_problem(text: str, problem: str):
    (told,) = problems(text)
    assert problem in told


def test_limits_have_the_names_and_defaults_of_kube_apiserver():
    assert (settings().server.max_requests_inflight, settings().server.max_watches) == (400, 10_000)
    server = settings("server: {maxWatches: 0}", {"max-requests-inflight": "7"}).server
    assert (server.max_requests_inflight, server.max_watches) == (7, 0)
    assert "maxWatches" in problems("server: {maxWatches: -1}")[0]


def test_a_cluster_has_a_name_that_can_stand_in_the_names_of_rows():
    assert settings("kubernetes: {clusterName: eu-1}").kubernetes.cluster_name == "eu-1"
    (told,) = problems('kubernetes: {clusterName: "eu 1"}')
    assert 'kubernetes.clusterName: "eu 1" is not the name of a cluster' in told


@pytest.mark.parametrize("deadline", ["0s", "1500ms", "56s"])
def test_a_deadline_is_one_that_kube_apiserver_waits_for(deadline: str):
    assert settings("metrics: {deadline: 55s}").metrics.deadline == 55
    (told,) = problems(f"metrics: {{deadline: {deadline}}}")
    assert f'metrics.deadline: "{deadline}" must be in whole seconds, from 1s to 55s' in told


@pytest.mark.parametrize("refresh", ["0s", "500ms", "6m", "-5s"])
def test_a_refresh_nobody_can_go_on_from_is_a_problem(refresh: str):
    (told,) = problems(f"metrics: {{refresh: {refresh}}}")
    assert "must be in whole seconds, from 1s to 5m" in told


def test_peers_are_shown_to_all_unless_configured_otherwise():
    assert settings().server.peer_visibility is PeerVisibility.ALL
    assert settings("server: {peerVisibility: authorized}").server.peer_visibility is PeerVisibility.AUTHORIZED
    assert settings(flags={"peer-visibility": "authorized"}).server.peer_visibility is PeerVisibility.AUTHORIZED


def test_a_visibility_that_is_none_is_refused():
    (problem,) = problems("server: {peerVisibility: some}")
    assert problem.startswith("server.yaml:1:")
    assert "all" in problem
    assert "authorized" in problem


def test_peers_are_authorised_by_a_cluster():
    text = "server: {peerVisibility: authorized, insecurePort: 8080}\nkubernetes: {enabled: false}"
    assert problems(text) == [
        "server.yaml:1: server.peerVisibility: authorized asks kube-apiserver who may read what: it needs kubernetes.enabled: true"
    ]


def test_a_right_taken_away_must_not_show_for_minutes():
    text = "server: {peerVisibility: authorized}\nmetrics: {refresh: 31s}"
    told = "authorized needs a metrics.refresh of 30s at most: with it watchers learn of rights taken away"
    assert problems(text) == [f"server.yaml:1: server.peerVisibility: {told}"]
    assert settings(text.replace("31s", "30s")).metrics.refresh == 30


def test_a_secret_may_keep_the_serving_certificate():
    assert settings().server.cert_secret == ""
    assert settings("server: {certSecret: trafficmetrics-issued}").server.cert_secret == "trafficmetrics-issued"
    assert settings(flags={"cert-secret": "other.one"}).server.cert_secret == "other.one"
    assert settings("", None, {"TRAFFICMETRICS_CERT_SECRET": "third"}).server.cert_secret == "third"


@pytest.mark.parametrize("name", ["Upper", "under_score", "-first", "last-", "two..dots", "a/b", "x" * 254])
def test_a_secret_has_the_name_of_an_object(name: str):
    (told,) = problems(f"server: {{certSecret: {name}}}")
    assert told.startswith(f'server.yaml:1: server.certSecret: "{name}" is not the name of an object')


def test_a_certificate_is_kept_in_one_place():
    text = """server:
  certSecret: trafficmetrics-issued
  tlsCertFile: /dev/null
  tlsPrivateKeyFile: /dev/null
"""
    assert any(told.startswith("server.yaml:2: server.certSecret: a certificate is given by") for told in problems(text))


def test_a_secret_is_kept_in_a_cluster():
    text = "server: {certSecret: trafficmetrics-issued, insecurePort: 8080}\nkubernetes: {enabled: false}"
    assert problems(text) == ["server.yaml:1: server.certSecret: a Secret is kept in a cluster: it needs kubernetes.enabled: true"]
    assert problems(text.replace("certSecret: trafficmetrics-issued, ", ""), {"cert-secret": "issued"}) == [
        "--cert-secret: a Secret is kept in a cluster: it needs kubernetes.enabled: true"
    ]


@pytest.mark.parametrize("key", ["tlsCertFile", "tlsPrivateKeyFile"])
def test_a_certificate_file_that_is_written_out_as_empty_is_none(key: str):
    text = f'server: {{certSecret: issued, {key}: ""}}'
    assert settings(text).server.cert_secret == "issued"
    assert settings(f"server: {{{key}: ''}}").server.tls_cert_file == ""


def test_flags_take_back_the_certificate_files_of_the_configuration():
    text = "server: {tlsCertFile: /dev/null, tlsPrivateKeyFile: /dev/null}"
    read = settings(text, {"tls-cert-file": "", "tls-private-key-file": "", "cert-secret": "issued"})
    assert (read.server.tls_cert_file, read.server.tls_private_key_file, read.server.cert_secret) == ("", "", "issued")
    (told,) = [each for each in problems(text, {"tls-cert-file": ""}) if "go together" in each]
    assert told.startswith("server.yaml:1: server.tlsPrivateKeyFile: ")
