"""The surfaces that configuration switches on; those that are off are not even loaded."""

from __future__ import annotations

from collections.abc import Callable, Collection

from apiservice.groups import ApiGroup
from apiservice.settings import Settings, SurfaceSettings
from apiservice.surfaces.reading import Reader
from apiservice.surfaces.surface import Surface

__all__ = ["groups_of", "surfaces_of"]


def surfaces_of(settings: Settings, ready_pods: Callable[[str], Collection[str]], reader: Reader) -> list[Surface]:
    """The surfaces over a reader of the API; ``ready_pods`` tells the names of those of a namespace."""
    chosen, window, refresh = settings.surfaces, settings.metrics.window, settings.metrics.refresh
    surfaces: list[Surface] = []
    if chosen.grafana:
        from apiservice.surfaces.grafana import Grafana  # noqa: PLC0415

        surfaces.append(Grafana(reader, window, refresh))
    if chosen.prometheus:
        from apiservice.surfaces.prometheus import PrometheusFacade  # noqa: PLC0415

        surfaces.append(PrometheusFacade(reader, window, refresh))
    if chosen.custom_metrics:
        from apiservice.surfaces.autoscaling import CustomMetrics  # noqa: PLC0415

        surfaces.append(CustomMetrics(reader, ready_pods))
    if chosen.external_metrics:
        from apiservice.surfaces.autoscaling import ExternalMetrics  # noqa: PLC0415

        surfaces.append(ExternalMetrics(reader))
    return surfaces


def groups_of(chosen: SurfaceSettings) -> tuple[ApiGroup, ...]:
    """The API groups that are served beside our own."""
    if not (chosen.custom_metrics or chosen.external_metrics):
        return ()
    from apiservice.surfaces.autoscaling import CUSTOM, EXTERNAL  # noqa: PLC0415

    return (*([CUSTOM] if chosen.custom_metrics else []), *([EXTERNAL] if chosen.external_metrics else []))
