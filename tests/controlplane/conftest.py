"""The control plane, started once for all tests that ask for it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

from tests.controlplane.parts import Parts, at_hand, find_part
from tests.controlplane.plane import ControlPlane

_PLANE = pytest.StashKey[ControlPlane]()
_MARK = pytest.StashKey[int]()


@pytest.fixture(scope="session")
async def informer() -> str:
    """The path of the command."""
    return await at_hand(find_part("informer"))


@pytest.fixture(scope="session")
async def control_plane(parts: Parts, pytestconfig: pytest.Config) -> AsyncIterator[ControlPlane]:
    """A control plane of the session's own."""
    with tempfile.TemporaryDirectory(prefix="control-plane-") as directory:
        async with ControlPlane(parts, Path(directory)) as plane:
            pytestconfig.stash[_PLANE] = plane
            try:
                yield plane
            finally:
                del pytestconfig.stash[_PLANE]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Notes where kube-apiserver's log stands as the test begins."""
    plane = item.config.stash.get(_PLANE, None)
    if plane is not None:
        item.stash[_MARK] = plane.log_mark()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows a failed test together with what kube-apiserver logged during it."""
    report = yield
    plane = item.config.stash.get(_PLANE, None)
    if report.failed and plane is not None and "control_plane" in getattr(item, "fixturenames", ()):
        report.sections.append(("kube-apiserver's log during the test", plane.log_since(item.stash.get(_MARK, 0))))
    return report
