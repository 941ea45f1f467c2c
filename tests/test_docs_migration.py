"""docs/migrating-from-smi-metrics.md: its configuration is accepted, and an old client reads the answers as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apiservice.main import load, main
from metrics_api import EVERYTHING, Direction, LatencyUnit, Percentiles, ResourceRef, Sample, Side, Window, normalise

PAGE = (Path(__file__).parent.parent / "docs" / "migrating-from-smi-metrics.md").read_text()
TEMPLATES = {"mesh", "prometheusUrl", "resourceQueries", "edgeQueries", "workloadQueries", "api-port", "tls-cert-file", "log-level"}


@pytest.fixture
def translated(tmp_path: Path) -> Path:
    (example,) = re.findall(r"<!-- example: config.yaml -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "config.yaml"
    path.write_text(example)
    return path


def test_the_translated_configuration_is_accepted(translated: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["config", "check", str(translated)]) == 0
    assert capsys.readouterr().out == f"{translated}: no problems found\n"


def test_it_keeps_what_old_clients_rely_on(translated: Path):
    settings, (source,) = load(str(translated), {}, {})
    assert settings.metrics.latency_unit is LatencyUnit.MILLISECONDS
    assert settings.metrics.window == Window(30)
    assert (source.name, source.type) == ("mesh", "prometheus")


def test_every_key_the_old_server_read_is_translated():
    assert {key for key in TEMPLATES if key not in PAGE} == set()


@pytest.mark.parametrize("matchers", ['cluster="eu-1"'])
def test_the_overrides_it_shows_are_understood(translated: Path, matchers: str):
    assert f"overrides: {{match: '{matchers}'}}" in PAGE
    (failures,) = re.findall(r"`(overrides: \{failure: .*?\}\})`", PAGE)
    text = translated.read_text()
    for override in (f"overrides: {{match: '{matchers}'}}", failures):
        translated.write_text(text.replace("dialect: linkerd", f"dialect: linkerd\n  {override}"))
        assert len(load(str(translated), {}, {})[1]) == 1


def test_an_object_is_as_the_page_says():
    sample = Sample(
        resource=ResourceRef("DaemonSet", "shop", "web"),
        peer=EVERYTHING,
        direction=Direction.FROM,
        side=Side.SERVER,
        success=100,
        failure=3,
        latency=Percentiles({0.5: 0.01, 0.99: 0.02}),
        source="mesh",
        dialect="linkerd",
    )
    (row,) = normalise([sample], 1795300000, Window(30), lambda _: {})
    sent = row.wire(LatencyUnit.MILLISECONDS)
    assert [metric["name"] for metric in sent["metrics"]] == [
        "p99_response_latency",
        "p90_response_latency",
        "p50_response_latency",
        "success_count",
        "failure_count",
    ]
    assert [metric.get("unit") for metric in sent["metrics"]][:3] == ["ms", "ms", "ms"]
    assert [metric["value"] for metric in sent["metrics"]] == ["20", None, "10", "100", "3"]
    assert sent["edge"] == {"direction": "from", "side": "server", "resource": {}}
    assert sent["resource"]["kind"] == "DaemonSet"
    assert "selfLink" not in sent["metadata"]
