"""What cannot be configured together with a Secret for the certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from apiservice.settings import read_settings
from metrics_api.document import Problems


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        (
            "server: {certSecret: issued, tlsCertFile: FILE, tlsPrivateKeyFile: FILE}",
            "server.yaml:1: server.certSecret: a certificate is",
        ),
        ("{server: {certSecret: issued, insecurePort: 80}, kubernetes: {enabled: false}}", "it needs kubernetes.enabled: true"),
        ("server: {certSecret: No_Name}", '"No_Name"'),
    ],
    ids=["beside files", "without a cluster", "under a name that no Secret has"],
)
def test_what_does_not_go_together_is_a_mistake(tmp_path: Path, written: str, mistake: str) -> None:
    (tmp_path / "tls.pem").touch()
    problems = Problems()
    read_settings(written.replace("FILE", str(tmp_path / "tls.pem")), "server.yaml", {}, {}, problems)
    assert len(problems.found) == 1
    assert mistake in str(problems.found[0])


def test_the_flag_names_the_secret() -> None:
    problems = Problems()
    settings = read_settings("", "server.yaml", {"cert-secret": "trafficmetrics-issued"}, {}, problems)
    assert settings.server.cert_secret == "trafficmetrics-issued"
    assert not problems.found
