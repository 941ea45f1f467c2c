"""Who we are to a source, as it is configured: each header is said once, and no message repeats what may be a secret."""

from __future__ import annotations

import pytest

from backends.registry import configured
from backends.scrape.targets import TargetsFile
from backends.transport import Credentials
from metrics_api import BackendRefused, BadConfiguration
from metrics_api.document import Problems, parse_document

PROMETHEUS = "name: mesh, type: prometheus, url: 'http://prometheus:9090', dialect: istio"


def told(entry: str) -> tuple[list[str], list[str]]:
    """The mistakes and the remarks about an entry of ``backends``."""
    problems = Problems()
    configured(parse_document(f"- {{{entry}}}", "c.yaml", problems).items())
    return problems.found, problems.remarks


@pytest.mark.parametrize(
    ("entry", "mistakes"),
    [
        (
            "headers: {authorization: a}, bearerTokenFile: /t",
            ['headers.authorization: header "authorization" is what "bearerTokenFile" gives: it would be sent twice'],
        ),
        (
            "headers: {AUTHORIZATION: a}, basicAuth: {username: ali}",
            ['headers.AUTHORIZATION: header "AUTHORIZATION" is what "basicAuth" gives: it would be sent twice'],
        ),
        (
            "headerFiles: {Authorization: /a}, bearerTokenFile: /t",
            ['headerFiles.Authorization: header "Authorization" is what "bearerTokenFile" gives: it would be sent twice'],
        ),
        (
            "headers: {x-scope-orgid: a}, headerFiles: {X-Scope-OrgID: /a}",
            ['headerFiles.X-Scope-OrgID: header "X-Scope-OrgID" is what "headers" gives: it would be sent twice'],
        ),
        ("headers: {X-A: a, x-a: b}", ['headers.x-a: header "x-a" is "X-A": it would be sent twice']),
        ("headerFiles: {X-A: /a, x-a: /b}", ['headerFiles.x-a: header "x-a" is "X-A": it would be sent twice']),
        ("headers: {Authorization: a, X-A: b}, headerFiles: {X-B: /b}", []),
        ("headers: {X-A: a}, headerFiles: {X-B: /b}, bearerTokenFile: /t", []),
    ],
)
@pytest.mark.parametrize(
    "source", [PROMETHEUS, "name: edge, type: scrape, targets: ['web:1'], dialect: envoy"], ids=["store", "scrape"]
)
def test_a_header_that_would_be_sent_twice_is_a_mistake(source: str, entry: str, mistakes: list[str]):
    found, _ = told(f"{source}, {entry}")
    assert found == [f"c.yaml:1: [0].{mistake}" for mistake in mistakes]


AWS = "name: aws, type: cloudwatch, source: application-signals, cluster: prod, region: eu-west-1"


@pytest.mark.parametrize(
    "entry",
    [
        "name: m, type: prometheus, dialect: istio, url: 'admin:s3cret@prometheus:9090'",
        "name: m, type: prometheus, dialect: istio, url: 'http://admin:s3cret@prometheus:99999'",
        "name: m, type: prometheus, dialect: istio, url: 'http://admin:s3c/s3cret@prometheus'",
        "name: m, type: prometheus, dialect: istio, url: 'http://admin:12/s3cret@prometheus'",
        "name: m, type: prometheus, dialect: istio, url: 'http://:s3cret@prometheus'",
        "name: m, type: prometheus, dialect: istio, url: 'http://[admin:s3cret@prometheus'",
        "name: m, type: prometheus, dialect: istio, url: 'prometheus:9090/?token=s3cret'",
        "name: m, type: prometheus, dialect: istio, url: 'http://prometheus#s3cret'",
        f"{AWS}, endpointUrl: 'https://admin:s3cret@aws'",
        f"{AWS}, endpointUrl: 'https://:s3cret@aws'",
        f"{AWS}, endpointUrl: 'aws?token=s3cret'",
        f"{AWS}, endpointUrl: 'https://aws#s3cret'",
        "name: m, type: linkerd, address: 'admin:s3cret@viz:8085'",
        "name: m, type: scrape, dialect: envoy, targets: ['admin:s3cret@127.0.0.1:1']",
        "name: m, type: scrape, dialect: envoy, targets: [{address: 'admin:s3cret@127.0.0.1:1'}]",
        "name: m, type: scrape, dialect: envoy, targets: ['127.0.0.1:1/?token=s3cret']",
        "name: m, type: scrape, dialect: envoy, targets: ['web:1'], path: 'stats?token=s3cret'",
        f"{PROMETHEUS}, headers: {{'Authorization: Bearer s3cret'}}",
        f"{PROMETHEUS}, headers: {{': s3cret': x}}",
        f"{PROMETHEUS}, headers: 'Authorization:s3cret'",
        f'{PROMETHEUS}, headers: {{X-A: "s3cret\\n"}}',
        f"{PROMETHEUS}, basicAuth: 'admin:s3cret'",
        f'{PROMETHEUS}, tls: {{certFile: /dev/null, keyFile: "-----BEGIN PRIVATE KEY-----\\ns3cret"}}',
    ],
)
def test_a_mistake_with_a_secret_in_it_is_told_without_the_secret(entry: str):
    found, remarks = told(entry)
    assert found
    assert "s3c" not in "".join(found + remarks)


@pytest.mark.parametrize(
    "entry", ["bearerTokenFile: s3cret", "basicAuth: {username: a, passwordFile: s3cret}", "headerFiles: {A: s3cret}"]
)
def test_a_secret_in_the_place_of_its_file_is_not_repeated(entry: str):
    found, (remark,) = told(f"{PROMETHEUS}, {entry}")
    assert (found, remark.partition(": there")[2]) == ([], " is no file of that name here; without it nothing is asked")
    with pytest.raises(BackendRefused) as caught:
        Credentials("mesh", bearer_token_file="s3cret").headers()
    assert "the credentials in the file that is configured cannot be read" in caught.value.message
    assert "s3cret" not in caught.value.message


def test_a_path_that_can_be_none_is_a_file_that_cannot_be_read():
    with pytest.raises(BackendRefused, match="cannot be read"):
        Credentials("mesh", bearer_token_file="/x\0y").headers()
    with pytest.raises(BadConfiguration, match="a character in it that no path can have"):
        TargetsFile("/x\0y", "/", "http").read()


def test_targets_that_are_none_are_not_the_same_target():
    found, _ = told("name: m, type: scrape, dialect: envoy, targets: [a, b]")
    assert [problem.partition(" is ")[0] for problem in found] == ['c.yaml:1: [0].targets[0]: "a"', 'c.yaml:1: [0].targets[1]: "b"']
