"""Which ways to read there are is what the configuration says, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from apiservice.settings import KubernetesSettings, MetricsSettings, ServerSettings, Settings, SurfaceSettings
from apiservice.surfaces.configured import groups_of, surfaces_of
from apiservice.surfaces.reading import Reader

NONE = SurfaceSettings(grafana=False, prometheus=False, numbers=False)
READER = cast("Reader", object())  # nobody is asked anything


def served(chosen: SurfaceSettings) -> list[str]:
    settings = Settings(ServerSettings(), KubernetesSettings(), MetricsSettings(), (), surfaces=chosen)
    return [type(surface).__name__ for surface in surfaces_of(settings, lambda _: (), READER)]


@pytest.mark.parametrize(
    ("switch", "surface", "group"),
    [
        ("grafana", "Grafana", ""),
        ("prometheus", "PrometheusFacade", ""),
        ("custom_metrics", "CustomMetrics", "custom.metrics.k8s.io"),
        ("external_metrics", "ExternalMetrics", "external.metrics.k8s.io"),
    ],
)
def test_a_switch_switches_one_surface(switch: str, surface: str, group: str):
    on = replace(NONE, **{switch: True})
    assert served(NONE) == []
    assert served(on) == [surface]
    assert [each.name for each in groups_of(on)] == ([group] if group else [])


def test_by_itself_grafana_and_prometheus_are_served_and_no_other_group():
    assert served(SurfaceSettings()) == ["Grafana", "PrometheusFacade"]
    assert groups_of(SurfaceSettings()) == ()
