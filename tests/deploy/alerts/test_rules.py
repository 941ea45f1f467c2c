"""deploy/alerts: every alert fires when it should, after exactly as long as it says, and not when it should not; promtool says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from apiservice.requestinfo import parse_request
from apiservice.telemetry import Telemetry
from tests.controlplane.plane import DEPLOY
from tests.deploy.alerts.rules import ALERTS, CASES, PAGE, RULES, Case
from tests.deploy.rendering import combine, find, render
from tests.prometheus_surface.scraper import promtool
from tests.test_docs_observability import exposed

FOREIGN = {
    "up": frozenset[str](),
    # Of kube-apiserver: kubernetes/kubernetes staging/src/k8s.io/kube-aggregator/pkg/controllers/status/metrics/metrics.go.
    "aggregator_unavailable_apiservice": frozenset({"name"}),
    "aggregator_unavailable_apiservice_total": frozenset({"name", "reason"}),
    # Of kube-state-metrics: kubernetes/kube-state-metrics docs/metrics/workload/pod-metrics.md.
    "kube_pod_container_resource_limits": frozenset({"namespace", "pod", "uid", "container", "node", "resource", "unit"}),
}
"""Labels of metrics that are not the server's, by their names."""

SCRAPED = frozenset({"job", "instance", "namespace", "pod"})
"""Labels that a ServiceMonitor adds."""

CLUSTER = frozenset({"cluster"})
"""The label by which whoever has the metrics of several clusters tells them apart."""


def own() -> dict[str, frozenset[str]]:
    """Labels of the server's metrics by the names of their samples."""
    found: dict[str, set[str]] = {}
    for family in exposed().values():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: frozenset(labels) for name, labels in found.items()}


def metrics_of(expression: str) -> list[tuple[str, list[str]]]:
    """The metrics that an expression selects, each with the labels it selects by."""
    selectors = re.findall(r"([a-z_]+)\{([^}]*)\}", expression)
    return [(name, re.findall(r'([a-z_]+)(?:=~|!~|!=|=)"', matchers)) for name, matchers in selectors]


@pytest.mark.real
async def test_promtool_accepts_the_rules():
    code, told, complaint = await promtool("check", "rules", str(RULES))
    assert (code, complaint) == (0, "")
    assert f"{len(ALERTS)} rules found" in told


@pytest.mark.real
async def test_every_case_holds():
    code, told, complaint = await promtool("test", "rules", *map(str, CASES))
    assert code == 0, told + complaint


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_cases_in_which_it_fires_and_in_which_it_does_not(alert: str):
    cases = [case for case in Case.all() if case.alert == alert]
    firing = [case.expected for case in cases if case.fires]
    # A minute before, which is how often they are evaluated, it does not fire yet: so its "for" is what the case says.
    assert firing
    assert all((second, count) == (firing_at - 60, 0) for (second, count), (firing_at, _) in firing)
    quiet = [case for case in cases if not case.fires]
    assert quiet
    assert all(case.series for case in quiet)


@pytest.mark.parametrize("alert", ALERTS)
def test_its_metrics_exist_and_have_its_labels(alert: str):
    known = own() | FOREIGN
    expression = ALERTS[alert]["expr"]
    selected = metrics_of(expression)
    assert selected
    assert [name for name, _ in selected if name not in known] == []
    assert [(name, label) for name, labels in selected for label in labels if label not in known[name] | SCRAPED] == []
    grouped = {label for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression) for label in labels.split(", ")}
    assert grouped <= SCRAPED | CLUSTER | {"le"} | frozenset().union(*(known[name] for name, _ in selected))
    # The server is found by one label everywhere, and the metrics of others never by it.
    assert all((name in FOREIGN and name != "up") != ("job" in labels) for name, labels in selected)
    assert expression.count('job="trafficmetrics"') == sum("job" in labels for _, labels in selected)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(alert: str):
    rule = ALERTS[alert]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{alert.lower()}"
    assert rule["annotations"]["description"].endswith(".")
    assert not rule["annotations"]["summary"].endswith(".")
    labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["description"]))
    kept = re.match(r"(?:histogram_quantile|\(?time\(\) - )?[( ]*(?:sum|min|max|count)? ?(?:by \(([^)]*)\))?", rule["expr"])
    assert kept is not None
    assert labels <= set((kept[1] or "").split(", "))


def test_every_alert_has_its_section_in_the_documentation_and_no_other_has():
    assert re.findall(r"^### (\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) == list(ALERTS)


@pytest.mark.parametrize(("alert", "rest"), [("ExpiresSoon", "a week"), ("Expires", "a day")])
def test_the_page_says_where_the_alerts_of_the_certificate_tell_nothing(alert: str, rest: str):
    """A certificate that is renewed later than the rule expects is no trouble, and the rule cannot know."""
    name = f"TrafficMetricsServingCertificate{alert}"
    (days,) = re.findall(r"- time\(\) < (?:(7) \* )?86400$", ALERTS[name]["expr"])
    assert ("a week" if days else "a day") == rest
    section = PAGE.read_text(encoding="utf-8").partition(f"### {name}\n")[2].partition("\n### ")[0]
    assert f"Where certificates are renewed with less than {rest} to go" in section.partition("**Ignore.**")[2]


def test_the_apis_of_autoscalers_are_those_that_the_overlays_register_and_requests_are_counted_under_their_groups():
    expression = ALERTS["TrafficMetricsAutoscalingAPIUnavailable"]["expr"]
    (names,), (group,) = (re.findall(rf'{label}=~"([^"]+)"', expression) for label in ("name", "group"))
    files = (DEPLOY / "autoscaling" / "apiservices.yaml", DEPLOY / "autoscaling" / "external" / "apiservice.yaml")
    registered = [each["metadata"]["name"] for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    assert len(registered) == 3
    for name in registered:
        assert re.fullmatch(names, name)
        version, _, its_group = name.partition(".")
        telemetry = Telemetry("0.1.0", [])
        asked = "requests_per_second" if its_group.startswith("external") else "pods/*/requests_per_second"
        info = parse_request("GET", f"/apis/{its_group}/{version}/namespaces/shop/{asked}", {})
        telemetry.observe_request(info, 200, 0.1, 10)
        samples = [sample for family in telemetry.registry.collect() for sample in family.samples]
        counted = {sample.labels["group"] for sample in samples if sample.name == "apiserver_request_total"}
        assert counted == {its_group}
        assert re.fullmatch(group, its_group)
    assert not re.fullmatch(names, "v1beta1.metrics.k8s.io")


@pytest.mark.real
def test_the_lines_of_the_page_put_an_address_before_every_runbook(tmp_path: Path):
    (lines,) = re.findall(r"```yaml\n(configMapGenerator:.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    kustomization = combine(tmp_path, "base", ["prometheus-operator"]) / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text(encoding="utf-8") + lines, encoding="utf-8")
    objects = render(tmp_path)
    rules = [rule for group in find(objects, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
    urls = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules}
    page = "https://git.example.com/trafficmetrics/blob/main/docs/alerts.md"
    assert urls == {alert: f"{page}#{alert.lower()}" for alert in ALERTS}
    assert "runbooks" not in [each["metadata"]["name"] for each in objects]
