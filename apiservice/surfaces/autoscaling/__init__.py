"""What autoscalers read: ``custom.metrics.k8s.io`` and ``external.metrics.k8s.io``, which the HorizontalPodAutoscaler asks for numbers."""

from apiservice.surfaces.autoscaling.custom import CustomMetrics
from apiservice.surfaces.autoscaling.description import CUSTOM, EXTERNAL
from apiservice.surfaces.autoscaling.external import ExternalMetrics

__all__ = ["CUSTOM", "EXTERNAL", "CustomMetrics", "ExternalMetrics"]
