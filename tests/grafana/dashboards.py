"""The dashboards and their provisioning, as files, and run: with the variables that somebody who opened them would have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.grafana.rig import Run
from tests.grafana.shop import GROUP, Shop

__all__ = [
    "ALL",
    "DEPLOY",
    "NAMES",
    "PROVISIONED",
    "dashboard",
    "datasources",
    "opened_with",
    "panel",
    "panels",
    "reached",
    "run_of",
    "targets",
    "variables",
]

DEPLOY = Path(__file__).parents[2] / "deploy" / "grafana"
NAMES = ("namespace", "topology", "workload")
PROVISIONED = ("datasources-kube-apiserver", "datasources-direct")
ALL = "$__all"


def dashboard(name: str) -> dict[str, Any]:
    """A dashboard as it is imported."""
    return dict(json.loads((DEPLOY / "dashboards" / f"{name}.json").read_text(encoding="utf-8")))


def panels(name: str) -> list[dict[str, Any]]:
    """The panels of a dashboard, in order."""
    return list(dashboard(name)["panels"])


def panel(name: str, title: str) -> dict[str, Any]:
    """The panel of a dashboard with this title."""
    (found,) = (each for each in panels(name) if each["title"] == title)
    return found


def variables(name: str) -> dict[str, dict[str, Any]]:
    """The variables of a dashboard, by name."""
    return {each["name"]: each for each in dashboard(name)["templating"]["list"]}


def targets(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every query of a dashboard, with its panel."""
    return ((each, target) for each in panels(name) for target in each["targets"])


def datasources(name: str) -> dict[str, dict[str, Any]]:
    """The data sources that a provisioning file makes, by uid."""
    document = yaml.safe_load((DEPLOY / "provisioning" / f"{name}.yaml").read_text(encoding="utf-8"))
    return {each["uid"]: each for each in document["datasources"]}


def run_of(opened: str, shop: Shop, /, **chosen: str) -> Run:
    """A dashboard that was opened with the provisioned data sources, and these values chosen."""
    return Run(reached(shop.url), shop.last - 1200, shop.last, opened_with(opened, chosen))


def opened_with(opened: str, chosen: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """The variables of a dashboard that was opened with these values chosen, and the others as they are at first."""
    values: dict[str, Mapping[str, Any]] = {}
    for variable, each in variables(opened).items():
        kept = {key: each[key] for key in ("allValue", "multi", "includeAll") if each.get(key)}
        values[variable] = {**kept, "value": chosen.get(variable, each["current"].get("value", ""))}
    assert set(chosen) <= set(values), chosen
    return values


def reached(url: str, provisioned: str = PROVISIONED[0], token: str = "", namespace: str = "") -> dict[str, dict[str, Any]]:
    """The provisioned data sources of a file at another address; with a token where they have one, and of one namespace if so wished."""
    found: dict[str, dict[str, Any]] = {}
    for uid, source in datasources(provisioned).items():
        here, _, rest = source["url"].partition(GROUP)
        scope = f"{GROUP}/namespaces/{namespace}" if namespace else GROUP
        settings = json.loads(json.dumps(source["jsonData"]).replace(f"{here}{GROUP}", f"{url}{scope}"))
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        found[uid] = {"type": source["type"], "url": f"{url}{scope}{rest}", "headers": headers, "jsonData": settings, **settings}
    return found
