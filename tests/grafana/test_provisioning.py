"""What Grafana is provisioned with, as far as files say: both ways to the server make the same data sources, and no secret is in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.grafana.dashboards import DEPLOY, NAMES, PROVISIONED, dashboard, datasources
from tests.grafana.shop import GROUP

HOSTS = {
    "datasources-kube-apiserver": "https://kubernetes.default.svc",
    "datasources-direct": "https://trafficmetrics.trafficmetrics.svc",
}
ROUTES = {
    "trafficmetrics": ("prometheus", "/prometheus"),
    "trafficmetrics-infinity": ("yesoreyeram-infinity-datasource", ""),
    "trafficmetrics-json": ("simpod-json-datasource", "/grafana"),
}
TOKEN = "$__file{/etc/trafficmetrics/token}"
SOURCES = [pytest.param(name, uid, id=f"{uid} by {name}") for name in PROVISIONED for uid in ROUTES]


def manifests(name: str) -> list[dict[str, Any]]:
    """The documents of a file."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize(("name", "uid"), SOURCES)
def test_a_data_source_leads_to_its_route(name: str, uid: str) -> None:
    source = datasources(name)[uid]
    kind, route = ROUTES[uid]
    assert (source["type"], source["access"]) == (kind, "proxy")
    assert source["url"] == f"{HOSTS[name]}{GROUP}{route}"


@pytest.mark.parametrize("name", PROVISIONED)
def test_there_are_no_other_data_sources(name: str) -> None:
    assert set(datasources(name)) == set(ROUTES)


@pytest.mark.parametrize(("name", "uid"), SOURCES)
def test_the_token_and_the_authority_are_read_from_files(name: str, uid: str) -> None:
    source = datasources(name)[uid]
    settings, secrets = source["jsonData"], source["secureJsonData"]
    assert settings["tlsAuthWithCACert"] is True
    assert re.fullmatch(r"\$__file\{/etc/trafficmetrics(-serving)?/ca\.crt\}", secrets["tlsCACert"])
    if uid == "trafficmetrics-infinity":
        assert (settings["auth_method"], secrets["bearerToken"]) == ("bearerToken", TOKEN)
    else:
        assert (settings["httpHeaderName1"], secrets["httpHeaderValue1"]) == ("Authorization", f"Bearer {TOKEN}")
    assert all("$__file{" in secret for secret in secrets.values())


@pytest.mark.parametrize("name", PROVISIONED)
def test_infinity_sends_the_token_nowhere_else(name: str) -> None:
    source = datasources(name)["trafficmetrics-infinity"]
    assert source["jsonData"]["allowedHosts"] == [source["url"]]
    assert source["jsonData"]["customHealthCheckUrl"] == datasources(name)["trafficmetrics-json"]["url"]


def test_the_dashboards_are_provisioned_from_a_folder() -> None:
    (provider,) = manifests("provisioning/dashboards.yaml")[0]["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards/trafficmetrics"


@pytest.mark.parametrize("name", ["rbac.yaml", "rbac-namespace.yaml"])
def test_a_token_is_made_for_the_account_that_is_bound(name: str) -> None:
    account, secret, *bindings = manifests(name)
    own = account["metadata"]["name"]
    assert secret["type"] == "kubernetes.io/service-account-token"
    assert secret["metadata"]["annotations"] == {"kubernetes.io/service-account.name": own}
    assert secret["metadata"]["namespace"] == account["metadata"]["namespace"]
    subject = {"kind": "ServiceAccount", "name": own, "namespace": account["metadata"]["namespace"]}
    assert bindings
    assert all(binding["subjects"] == [subject] for binding in bindings)


@pytest.mark.real
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH")
def test_the_kustomization_makes_what_a_sidecar_looks_for() -> None:
    built = subprocess.run(["kubectl", "kustomize", str(DEPLOY)], capture_output=True, text=True, check=True).stdout
    documents = list(yaml.safe_load_all(built))
    dashboards, sources = (each for each in documents if each["kind"] == "ConfigMap")
    assert dashboards["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert sources["metadata"]["labels"] == {"grafana_datasource": "1"}
    kept = {key: yaml.safe_load(text) for key, text in dashboards["data"].items()}
    assert kept == {f"{name}.json": dashboard(name) for name in NAMES}
    assert set(kept_sources(sources)) == set(ROUTES)
    assert len(built) < 1_000_000, "a ConfigMap holds no more than 1 MiB"
    assert {each["metadata"]["namespace"] for each in documents if "namespace" in each["metadata"]} == {"monitoring"}


def kept_sources(config: dict[str, Any]) -> list[str]:
    """The data sources in a ConfigMap, by uid."""
    (text,) = config["data"].values()
    return [each["uid"] for each in yaml.safe_load(text)["datasources"]]
