"""What a command is about, in the words of kubectl."""

from __future__ import annotations

import pytest

from kubectl_traffic.subject import read_subject
from metrics_api import BadQuery


@pytest.mark.parametrize(
    ("words", "namespace", "path", "text"),
    [
        ("", "shop", "namespaces/shop/trafficmetrics", "workloads"),
        ("", "", "trafficmetrics", "workloads"),
        ("deploy", "shop", "namespaces/shop/deployments", "deployments"),
        ("Deployment/web", "shop", "namespaces/shop/deployments/web", "deployment/web"),
        ("sts db", "data", "namespaces/data/statefulsets/db", "statefulset/db"),
        ("deploy/web@west", "shop", "namespaces/shop/deployments/web@west", "deployment/web@west"),
        ("ns/shop", "ignored", "namespaces/shop", "namespace/shop"),
        ("nodes", "ignored", "nodes", "nodes"),
        ("deploy/../secrets", "shop", None, None),
        ("deploy/a?b=c#d", "shop", "namespaces/shop/deployments/a%3Fb%3Dc%23d", "deployment/a?b=c#d"),
    ],
)
def test_words_become_a_path(words: str, namespace: str, path: str | None, text: str | None):
    if path is None:
        with pytest.raises(BadQuery, match="is not KIND/NAME"):
            read_subject(words.split())
        return
    subject = read_subject(words.split())
    assert subject.path(namespace) == f"/apis/metrics.smi-spec.io/v1alpha1/{path}"
    assert str(subject) == text


def test_edges_are_below_a_name():
    assert read_subject(["svc/web"]).path("shop", edges=True).endswith("/namespaces/shop/services/web/edges")


@pytest.mark.parametrize("words", ["gizmo", "deploy/", "/web", "deploy/a/b", "deploy/web extra", "deploy a b"])
def test_other_words_are_refused(words: str):
    with pytest.raises(BadQuery):
        read_subject(words.split())
