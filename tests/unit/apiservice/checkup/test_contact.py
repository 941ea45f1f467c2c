"""kube-apiserver itself: its version and its clock; and what there is to be looked at."""

from __future__ import annotations

import datetime as dt
from email.utils import format_datetime

import pytest

from apiservice.checkup import reachable, subject_of
from apiservice.checkup.contact import clock_findings, skew_of, version_findings
from apiservice.settings import KubernetesSettings, MetricsSettings, ServerSettings, Settings, SurfaceSettings
from tests.unit.apiservice.checkup.documents import told

BEFORE = dt.datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=dt.UTC)
AFTER = BEFORE + dt.timedelta(seconds=0.5)


@pytest.mark.parametrize(
    ("seconds", "skew"),
    [(0, 0.0), (-1, -0.25), (1, 0.25), (-10, -9.25), (10, 9.25)],
    ids=["same", "a-second-behind", "a-second-ahead", "behind", "ahead"],
)
def test_a_date_in_whole_seconds_says_how_far_a_clock_is_away_at_least(seconds: int, skew: float):
    shown = BEFORE.replace(microsecond=0) + dt.timedelta(seconds=seconds)
    assert skew_of(format_datetime(shown, usegmt=True), BEFORE, AFTER) == pytest.approx(skew)


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 01 Mar 2026 12:00:00 -0000"])
def test_what_is_no_date_says_nothing(date: str):
    assert skew_of(date, BEFORE, AFTER) is None


@pytest.mark.parametrize(
    ("skew", "level", "what"),
    [
        (2.4, "warning", "the clock of kube-apiserver is 2s ahead of ours"),
        (-30.0, "warning", "the clock of kube-apiserver is 30s behind ours"),
        (301.0, "problem", "the clock of kube-apiserver is 301s ahead of ours"),
        (-86400.0, "problem", "the clock of kube-apiserver is 86400s behind ours"),
    ],
)
def test_clocks_that_differ(skew: float, level: str, what: str):
    ((found_level, check, found_what, advice),) = told(clock_findings(skew))
    assert (found_level, check, found_what.partition(": ")[0]) == (level, "clock", what)
    assert advice == "synchronise the clocks of all nodes (NTP), those of the control plane as well"


@pytest.mark.parametrize("skew", [None, 0.0, 2.0, -2.0])
def test_clocks_that_do_not_differ_are_not_told_of(skew: float | None):
    assert told(clock_findings(skew)) == []


@pytest.mark.parametrize("version", ["v1.27.0", "v1.36.3", "v1.30.2-eks-1552ad0", "v2.0.0", "unknown", ""])
def test_versions_that_will_do(version: str):
    assert told(version_findings({"gitVersion": version})) == []


def test_a_version_that_is_too_old():
    assert told(version_findings({"gitVersion": "v1.26.15"})) == [
        (
            "warning",
            "version",
            "Kubernetes v1.26.15 is older than 1.27, the oldest that this server is made for",
            "upgrade the cluster to 1.27 or newer",
        )
    ]


def settings(server: ServerSettings | None = None, surfaces: SurfaceSettings | None = None, **kubernetes: object) -> Settings:
    return Settings(
        server or ServerSettings(),
        KubernetesSettings(**kubernetes),  # type: ignore[arg-type]
        MetricsSettings(),
        (),
        surfaces=surfaces or SurfaceSettings(),
    )


def test_what_is_examined_is_what_is_configured():
    subject = subject_of(
        settings(
            ServerSettings(service_name="tm", service_namespace="mesh", secure_port=8443, cert_secret="s"),
            SurfaceSettings(custom_metrics=True, external_metrics=True),
            kubeconfig="admin.conf",
            authentication_kubeconfig="other.conf",
        ),
        "127.0.0.1:1",
    )
    assert (subject.host, subject.place, subject.port, subject.cert_secret) == ("tm.mesh.svc", "mesh/tm", 8443, "s")
    assert subject.registered == (
        "v1alpha1.metrics.smi-spec.io",
        "v1beta2.custom.metrics.k8s.io",
        "v1beta1.custom.metrics.k8s.io",
        "v1beta1.external.metrics.k8s.io",
    )
    assert (subject.own_reviews, subject.address, subject.inside) == (("subjectaccessreviews",), "127.0.0.1:1", False)
    assert not subject.assumed
    assert (subject_of(settings()).inside, subject_of(settings()).assumed) == (True, True)


@pytest.mark.parametrize(
    ("chosen", "environment", "there"),
    [
        ({}, {}, False),
        ({"kubeconfig": "admin.conf"}, {}, True),
        ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True),
        ({"enabled": False}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
    ],
    ids=["laptop", "kubeconfig", "pod", "standalone"],
)
def test_a_cluster_is_looked_at_where_there_is_one(chosen: dict[str, object], environment: dict[str, str], there: bool):  # noqa: FBT001
    assert reachable(settings(**chosen), environment) is there
