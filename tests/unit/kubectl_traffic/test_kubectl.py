"""kubectl's own flags are found among those of a command, whichever way they are written."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from kubectl_traffic import kubectl as module
from kubectl_traffic.kubectl import Kubectl, read_flags
from kubectl_traffic.main import main
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
        ("--as-user-extra reason=night --kuberc off", Kubectl(("--as-user-extra=reason=night", "--kuberc=off")), ""),
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


@pytest.mark.parametrize(
    ("line", "given"),
    [
        pytest.param("gate deploy/web -n shop --rps 1", "--request-timeout=60s", id="a gate"),
        pytest.param("gate deploy/web -n shop --rps 1 --request-timeout 3s", "--request-timeout=3s", id="as its user wants it"),
        pytest.param("completion -- top -n shop deploy/", "--request-timeout=5s", id="completion"),
    ],
)
def test_where_nobody_could_end_it_a_question_has_an_end(line: str, given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    asked = tmp_path / "asked"
    (tmp_path / "kubectl").write_text(f"#!/bin/sh\necho \"$@\" > '{asked}'\nexit 1\n", encoding="utf-8")
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "argv", ["kubectl-traffic", *line.split()])
    main()
    flag, *question = asked.read_text(encoding="utf-8").split()
    assert (flag, question[:2]) == (given, ["get", "--raw"])
    # Whatever a kuberc says of "get": https://kubernetes.io/docs/reference/kubectl/kuberc/
    assert question[-1] == "--output="


def test_a_live_table_waits_for_a_login_and_then_not_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    asked = tmp_path / "asked"
    rows = '{"kind": "TrafficMetricsList", "items": []}'
    (tmp_path / "kubectl").write_text(f"#!/bin/sh\necho \"$1\" >> '{asked}'\necho '{rows}'\n", encoding="utf-8")
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "argv", ["kubectl-traffic", "top", "-n", "shop", "-w", "-o", "json"])
    pauses = iter([None])

    def sleep(_seconds: float) -> None:
        if next(pauses, 0) == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    assert main() == 0
    assert asked.read_text(encoding="utf-8").split() == ["get", "--request-timeout=60s"]
