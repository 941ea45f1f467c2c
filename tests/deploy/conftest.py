"""A control plane of the tests of what is deployed: they install operators' resources and run controllers, which others must not meet."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.parts import Parts, at_hand, find_part
from tests.controlplane.plane import ControlPlane
from tests.deploy.definitions import find_definitions, install_definitions


@pytest.fixture(scope="session")
async def cert_manager() -> str:
    """The path of the command."""
    return await at_hand(find_part("cert-manager"))


@pytest.fixture(scope="session")
async def helm_command() -> str:
    """The path of ``helm``."""
    return await at_hand(find_part("helm"))


@pytest.fixture(scope="session")
async def control_plane(parts: Parts) -> AsyncIterator[ControlPlane]:
    """A control plane of the session's own."""
    with tempfile.TemporaryDirectory(prefix="control-plane-") as directory:
        async with ControlPlane(parts, Path(directory)) as plane:
            yield plane


@pytest.fixture(scope="session")
async def definitions() -> Path:
    """The folder that ``scripts/custom-resources`` fills."""
    return await at_hand(find_definitions())


@pytest.fixture(scope="session")
async def custom_resources(control_plane: ControlPlane, definitions: Path) -> ControlPlane:
    """The control plane with the custom resources of prometheus-operator, cert-manager and Istio, which stay."""
    await install_definitions(control_plane, definitions)
    return control_plane
