"""A server that does not start, or is not ready: what it says, word for word as docs/troubleshooting.md has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from apiservice.health import Check, Health
from apiservice.inventory import Store
from tests.apiservice.asking import client
from tests.doubles.clock import ManualClock
from tests.troubleshooting.page import expect

WRONG = "server: {securePort: high}\nbackends:\n- {name: mesh, type: prometheus, url: x, dialect: istio}\n"


def test_a_server_with_a_wrong_configuration_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(WRONG)
    command = [sys.executable, "-m", "apiservice.main", "serve", f"--config={file}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    expect("CrashLoopBackOff with exit code 2", ended.stderr)


async def test_a_server_is_not_ready_before_the_cluster_is_listed(caplog: pytest.LogCaptureFixture) -> None:
    store = Store(ManualClock().monotonic)
    async with client(health=Health(readyz=[Check("inventory-synced", store.unsynced)])) as session:
        response = await session.get("/readyz")
        assert response.status == 500
        expect("A pod does not become ready: inventory-synced", f"{await response.text()}{caplog.text}")
