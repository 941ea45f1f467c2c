"""The page about autoscaling stays true: its autoscalers ask for what there is, in the requests that are made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import yaml

from metrics_api import Quantity
from metrics_api.autoscaling import METRICS
from tests.apiservice.memory import INSTANT
from tests.unit.surfaces.autoscaling.shop import CUSTOM, EXTERNAL, client, items

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "autoscaling.md").read_text(encoding="utf-8")
OVERLAY = ROOT / "deploy" / "autoscaling"
KUBERNETES = "https://kubernetes.default.svc"


def documents(kind: str) -> list[Any]:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return [document for block in blocks for document in yaml.safe_load_all(block) if document["kind"] == kind]


def metrics() -> Iterator[Any]:
    """Each metric of each HorizontalPodAutoscaler, by its name and kind."""
    for autoscaler in documents("HorizontalPodAutoscaler"):
        for metric in autoscaler["spec"]["metrics"]:
            yield pytest.param(
                autoscaler["metadata"]["namespace"], metric, id=f"{autoscaler['metadata']['name']}, {metric['type']}"
            )


def triggers() -> Iterator[Any]:
    for scaled in documents("ScaledObject"):
        for number, trigger in enumerate(scaled["spec"]["triggers"]):
            yield pytest.param(trigger, id=f"{scaled['metadata']['name']}, {trigger['type']} {number}")


def written(selector: Any) -> str:
    """A selector as the client library writes it into a query."""
    return ",".join(f"{key}={value}" for key, value in sorted((selector or {}).get("matchLabels", {}).items()))


@pytest.mark.parametrize(("namespace", "metric"), list(metrics()))
async def test_every_autoscaler_asks_for_what_is_told(namespace: str, metric: Any):
    asked = metric[metric["type"].lower()]
    name, selector = asked["metric"]["name"], written(asked["metric"].get("selector"))
    async with client() as session:
        match metric["type"]:
            case "Pods":
                path = f"{CUSTOM}/namespaces/{namespace}/pods/%2A/{name}"
                found = await items(session, path, labelSelector="app=web")
                assert [item["describedObject"]["name"] for item in found] == ["web-1", "web-2", "web-3"]
            case "Object":
                group = asked["describedObject"]["apiVersion"].partition("/")[0]
                resource = f"{asked['describedObject']['kind'].lower()}s.{group}"
                path = f"{CUSTOM}/namespaces/{namespace}/{resource}/{asked['describedObject']['name']}/{name}"
                found = await items(session, path, metricLabelSelector=selector)
                assert len(found) == 1
            case _:
                found = await items(session, f"{EXTERNAL}/namespaces/{namespace}/{name}", labelSelector=selector)
                assert len(found) == 1
    target = Quantity.parse(asked["target"].get("averageValue") or asked["target"]["value"])
    assert all(Quantity.parse(item["value"]) >= Quantity.parse("0") for item in found)
    assert target > Quantity.parse("0")


def located(body: str, location: str) -> Any:
    """The value at a GJSON path, as far as the page needs them: keys, and the first element whose key is a text."""
    value = json.loads(body)
    for step in re.findall(r"#\([^)]*\)|[^.]+", location):
        if chosen := re.fullmatch(r'#\((\w+)=="([^"]*)"\)', step):
            value = next(each for each in value if each[chosen[1]] == chosen[2])
        else:
            value = value[step]
    return value


@pytest.mark.parametrize("trigger", list(triggers()))
async def test_every_scaler_finds_a_number_where_it_looks(trigger: Any):
    told = trigger["metadata"]
    url = told.get("url") or told["serverAddress"]
    assert url.startswith(f"{KUBERNETES}/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/")
    target = urlsplit(url)
    async with client() as session:
        if trigger["type"] == "prometheus":
            # kedacore/keda: pkg/scalers/prometheus_scaler.go
            at = datetime.fromtimestamp(INSTANT, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            path = f"{target.path}/api/v1/query?query={quote(told['query'], safe='')}&time={at}"
            async with session.get(path) as response:
                assert response.status == 200, await response.text()
                (element,) = (await response.json())["data"]["result"]
            assert float(element["value"][1]) == 10
            return
        # pkg/scalers/metrics_api_scaler.go: exactly 200, and a number or a quantity.
        async with session.get(f"{target.path}?{target.query}") as response:
            assert response.status == 200, await response.text()
            value = located(await response.text(), told["valueLocation"])
    number = value if isinstance(value, int | float) else Quantity.parse(value).nano / 10**9
    assert number == pytest.approx({"rps": 12.5}.get(told["valueLocation"], 0.012345))


def test_the_parameters_of_the_scalers_are_those_of_their_authentication():
    (authentication,) = documents("TriggerAuthentication")
    given = {each["parameter"] for each in authentication["spec"]["secretTargetRef"]}
    assert given == {"token", "bearerToken"}
    (secret,) = documents("Secret")
    assert {each["name"] for each in authentication["spec"]["secretTargetRef"]} == {secret["metadata"]["name"]}


def test_every_metric_is_described():
    (table,) = re.findall(r"### Metrics\n(.*?)\n### ", PAGE, re.DOTALL)
    assert [name for name in METRICS if f"`{name}`" not in table] == []


def test_the_overlay_is_what_the_page_says():
    kustomization = yaml.safe_load((OVERLAY / "kustomization.yaml").read_text(encoding="utf-8"))
    assert kustomization["resources"] == ["../base", "apiservices.yaml", "rbac.yaml"]
    registered = [
        document["metadata"]["name"]
        for path in (OVERLAY / "apiservices.yaml", OVERLAY / "external" / "apiservice.yaml")
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    assert registered == ["v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"]
    (role,) = yaml.safe_load_all((OVERLAY / "rbac.yaml").read_text(encoding="utf-8"))
    assert role["metadata"]["name"] in PAGE
