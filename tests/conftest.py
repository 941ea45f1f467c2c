"""What holds for all tests."""

from __future__ import annotations

import signal

import pytest

from tests.controlplane.parts import Parts, at_hand, find_part, find_parts


def pytest_configure() -> None:
    """Let Ctrl-C be Ctrl-C for the commands that tests start and interrupt.

    Whoever runs the tests in the background of a shell has it ignored, and what is ignored is inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
async def parts() -> Parts:
    """The commands of a control plane."""
    return await at_hand(find_parts())


@pytest.fixture(scope="session")
async def kube_controller_manager() -> str:
    """The path of the command."""
    return await at_hand(find_part("kube-controller-manager"))
