"""The generated code is what the schema says, and runs with every protobuf that is allowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")

ROOT = Path(__file__).resolve().parents[3]
GENERATED = ("backends/linkerd/viz_pb2.py", "backends/linkerd/viz_pb2.pyi")


def test_generating_the_code_again_changes_nothing(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "viz-schema"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for path in GENERATED:
        assert (tmp_path / path).read_text(encoding="utf-8") == (ROOT / path).read_text(encoding="utf-8"), "run scripts/viz-schema"


def test_it_runs_with_the_oldest_protobuf_that_is_allowed():
    # What a compiler makes runs with its own release of protobuf and with newer ones, up to the next but one major.
    assert "# Protobuf Python Version: 6.31.1\n" in (ROOT / GENERATED[0]).read_text(encoding="utf-8")
