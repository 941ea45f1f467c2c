"""docs/observability.md lists every metric there is, with its type and its labels, and no other; likewise the flags of the log."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.core import Metric

from apiservice.authorization import Decision
from apiservice.identity import User
from apiservice.requestinfo import parse_request
from apiservice.settings import OPTIONS
from apiservice.telemetry import Telemetry
from metrics_api.usage import Usage

PAGE = (Path(__file__).parent.parent / "docs" / "observability.md").read_text(encoding="utf-8")
TYPES = {"unknown": "untyped"}


class Paid:
    """A source that is paid for by use."""

    name = "aws"

    def usage(self) -> Usage:
        return Usage({"GetMetricData": 1}, 1, 1, 1, 0.1)


def exposed() -> dict[str, Metric]:
    """The metrics of a server that has done everything once, by the names they are queried by."""
    telemetry = Telemetry("0.1.0", ["mesh"])
    info = parse_request("GET", "/apis/metrics.smi-spec.io/v1alpha1/pods", {})
    telemetry.observe_request(info, 200, 0.1, 10)
    telemetry.terminated(info, 429)
    telemetry.aborted(info)
    telemetry.watch_events(info, [10])
    telemetry.callers.authenticated(User("ann"), 0.1)
    telemetry.callers.authorized(Decision(allowed=True), 0.1)
    telemetry.token_reviews.posted("201", 0.1)
    telemetry.access_reviews.posted("201", 0.1)
    telemetry.token_reviews.held(0.1)
    telemetry.sources.asked("mesh", "ok", 0.1, 3)
    telemetry.sources.skipped("mesh", "circuit")
    telemetry.sources.hedged("mesh")
    telemetry.sources.circuit("mesh", is_open=True)
    telemetry.sources.incomplete()
    telemetry.spending.follow([Paid()])
    telemetry.inventory.follow(["Pod"], lambda _: 3, lambda _: True)
    telemetry.certificate.follow(lambda: 1.0)
    telemetry.checked("readyz", "ping", passed=True)
    with telemetry.long_running(info):
        families = list(telemetry.registry.collect())
    return {f"{family.name}_total" if family.type == "counter" else family.name: family for family in families}


def documented() -> dict[str, tuple[str, str]]:
    """Type and labels by name, as the tables have them."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (counter|gauge|histogram|untyped) \|([^|]*)\|", PAGE, re.MULTILINE)
    return {name: (kind, labels.strip()) for names, kind, labels in rows for name in re.findall(r"`(\w+)`", names)}


def test_every_metric_is_documented_with_its_type_and_no_other_is():
    types = {name: TYPES.get(family.type, family.type) for name, family in exposed().items()}
    assert {name: kind for name, (kind, _) in documented().items()} == types


def test_labels_are_those_documented():
    sized = {"verb", "group", "version", "resource", "subresource", "scope", "component"}
    in_words = {
        "the same without code": sized | {"dry_run"},
        "the same without code and dry_run": sized,
        "as for sizes": sized,
        "as for sizes, code": sized | {"code"},
        "as for sizes, without component": sized - {"component"},
    }
    families = exposed()
    for name, (_, labels) in documented().items():
        plain = re.sub(r" \([^)]*\)", "", labels)
        expected = in_words.get(plain, {label for label in plain.split(", ") if label})
        found = {label for sample in families[name].samples for label in sample.labels} - {"le"}
        if name != "kubernetes_build_info":
            assert found == expected, name


def test_the_flags_of_the_log_are_documented():
    flags = re.findall(r"^\| ((?:`--?[\w-]+`(?:, )?)+) \| `logging\.(\w+)`", PAGE, re.MULTILINE)
    written = {key: f"--{name}" for key, name in ((option.key, option.name) for option in OPTIONS if option.section == "logging")}
    assert written.keys() == {key for _, key in flags}
    assert all(f"`{written[key]}`" in names for names, key in flags)
