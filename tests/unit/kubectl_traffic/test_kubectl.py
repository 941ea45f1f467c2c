"""kubectl's own flags are found among those of a command, whichever way they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_traffic import kubectl as module
from kubectl_traffic.kubectl import Kubectl, read_flags
from metrics_api import BadQuery


@pytest.mark.parametrize(
    ("line", "kubectl", "own"),
    [
        ("", Kubectl(), ""),
        ("deploy/web -n shop", Kubectl(chosen="shop"), "deploy/web"),
        ("-nshop deploy/web", Kubectl(chosen="shop"), "deploy/web"),
        ("-n=shop", Kubectl(chosen="shop"), ""),
        ("--namespace=shop -n data", Kubectl(chosen="data"), ""),
        ("-A", Kubectl(everywhere=True), ""),
        ("--all-namespaces=true", Kubectl(everywhere=True), ""),
        ("--all-namespaces=false", Kubectl(), ""),
        ("-An shop", Kubectl(chosen="shop", everywhere=True), ""),
        ("-wA", Kubectl(everywhere=True), "-w"),
        ("-Aw", Kubectl(everywhere=True), "-w"),
        ("-ojson -l app=web", Kubectl(), "-ojson -l app=web"),
        ("--context prod --as jane", Kubectl(("--context=prod", "--as=jane")), ""),
        ("--as-group=a --as-group b", Kubectl(("--as-group=a", "--as-group=b")), ""),
        ("-s http://127.0.0.1:1 -v6", Kubectl(("--server=http://127.0.0.1:1", "--v=6")), ""),
        ("--insecure-skip-tls-verify -w", Kubectl(("--insecure-skip-tls-verify",)), "-w"),
        ("-- -n shop", Kubectl(), "-- -n shop"),
        ("-", Kubectl(), "-"),
    ],
)
def test_flags_of_kubectl_are_taken_out(line: str, kubectl: Kubectl, own: str):
    assert read_flags(line.split(), switches="w") == (kubectl, own.split())


@pytest.mark.parametrize("line", ["-n", "--namespace", "--context", "-w -s"])
def test_a_flag_without_its_value_is_refused(line: str):
    with pytest.raises(BadQuery, match="needs a value"):
        read_flags(line.split(), switches="w")


@pytest.mark.parametrize(
    ("kubectl", "namespace"), [(Kubectl(chosen="shop"), "shop"), (Kubectl(chosen="shop", everywhere=True), "")]
)
def test_a_namespace_that_is_given_is_not_asked_for(kubectl: Kubectl, namespace: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert kubectl.namespace() == namespace


def test_in_a_pod_without_a_kubeconfig_it_is_the_namespace_of_the_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    mounted = tmp_path / "namespace"
    mounted.write_text("tools\n", encoding="utf-8")
    monkeypatch.setattr(module, "_IN_CLUSTER", mounted)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    assert module._own_namespace() == "default"
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert module._own_namespace() == "tools"
    monkeypatch.setenv("POD_NAMESPACE", "mine")
    assert module._own_namespace() == "mine"
