"""Configuration: one file, environment and flags, read once; every mistake is found before anything starts.

A flag beats the environment, which beats the file. Flags have the names the Kubernetes API servers use; the environment variable
of ``--secure-port`` is ``TRAFFICMETRICS_SECURE_PORT``.
"""

from apiservice.settings.options import OPTIONS, Option, add_options
from apiservice.settings.reading import read_settings
from apiservice.settings.sections import (
    KubernetesSettings,
    LoggingSettings,
    MetricsSettings,
    ServerSettings,
    Settings,
    SurfaceSettings,
)

__all__ = [
    "OPTIONS",
    "KubernetesSettings",
    "LoggingSettings",
    "MetricsSettings",
    "Option",
    "ServerSettings",
    "Settings",
    "SurfaceSettings",
    "add_options",
    "read_settings",
]
