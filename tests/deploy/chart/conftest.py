"""Helm, with a cluster and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane.plane import ControlPlane
from tests.deploy.chart.helm import Helm


@pytest.fixture(scope="session")
async def helm(helm_command: str, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """One that finds no cluster."""
    return Helm(helm_command, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
async def cluster_helm(helm_command: str, custom_resources: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """One that works on the control plane as its admin."""
    home: Path = tmp_path_factory.mktemp("cluster-helm")
    return Helm(helm_command, home, custom_resources.environment())
