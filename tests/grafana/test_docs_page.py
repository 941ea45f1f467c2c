"""The page about Grafana, as far as it tells of dashboards, Infinity and provisioning: its examples work, and its files are there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.grafana.dashboards import DEPLOY, NAMES, PROVISIONED, datasources, run_of
from tests.grafana.rig import Grafana
from tests.grafana.shop import Shop

PAGE = (Path(__file__).parents[2] / "docs" / "grafana.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """A section of the page."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def blocks(title: str, language: str) -> list[str]:
    """The examples in a section."""
    return re.findall(rf"```{language}\n(.*?)```", section(title), re.DOTALL)


@pytest.mark.real
async def test_the_query_of_infinity_is_answered(grafana: Grafana, shop: Shop) -> None:
    (example,) = blocks("Infinity", "json")
    (frame,) = await grafana.query("trafficmetrics-infinity", [json.loads(example)], run_of("topology", shop))
    values = {field["name"]: field["values"] for field in frame["fields"]}
    assert values == {
        "name": ["cart", "mail", "stock", "web"],
        "p99Ms": [49.9, None, 199, 19.9],
        "rps": [20, 0, 5, 40],
        "successRate": [0.9, None, 0, 1],
    }


def test_the_dashboards_are_listed() -> None:
    assert re.findall(r"^\| `(\w+)\.json` \|", section("Ready dashboards"), re.MULTILINE) == ["namespace", "workload", "topology"]
    assert sorted(path.stem for path in (DEPLOY / "dashboards").glob("*.json")) == sorted(NAMES)


def test_the_files_of_the_provisioning_are_listed() -> None:
    listed = set(re.findall(r"^\| `([\w/.-]+\.yaml)` \|", section("Provisioning"), re.MULTILINE))
    assert listed == {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*.yaml")} - {"kustomization.yaml"}


def test_the_values_of_the_chart_put_the_token_where_it_is_looked_for() -> None:
    (values,) = (yaml.safe_load(block) for block in blocks("Provisioning", "yaml"))
    (mount,) = values["extraSecretMounts"]
    account, secret, *_ = yaml.safe_load_all((DEPLOY / "rbac.yaml").read_text(encoding="utf-8"))
    assert mount["secretName"] == secret["metadata"]["name"]
    for name in PROVISIONED:
        sources = datasources(name).values()
        assert all(f"$__file{{{mount['mountPath']}/token}}" in "".join(source["secureJsonData"].values()) for source in sources)
        assert {source["type"] for source in sources} >= set(values["plugins"])
    assert f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}" in section("Provisioning")


def test_the_colours_of_arcs_are_those_of_the_dashboard() -> None:
    document = json.loads((DEPLOY / "dashboards" / "topology.json").read_text(encoding="utf-8"))
    arcs = {arc["field"] for arc in document["panels"][0]["options"]["nodes"]["arcs"]}
    assert arcs == set(re.findall(r"`(arc__\w+)`", section("Infinity")))
