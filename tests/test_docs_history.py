"""The example of the page about history runs as it stands, against a real Prometheus."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.history import frame
from tests.doubles.backfill import STEP, backfilled_prometheus, series
from tests.doubles.meshes.linkerd import Linkerd

PAGE = (Path(__file__).parent.parent / "docs" / "history.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The last five minutes of a mesh."""
    now = int(time.time()) // STEP * STEP
    instants = range(now - 300, now + 1, STEP)
    with backfilled_prometheus(tmp_path_factory.mktemp("docs"), series(Linkerd()), instants) as url:
        yield url


@pytest.mark.real
def test_the_example_prints_the_history_of_a_real_prometheus(store: str, tmp_path: Path):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example.count("http://localhost:9090") == 1
    script = tmp_path / "example.py"
    script.write_text(example.replace("http://localhost:9090", store), encoding="utf-8")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    last = next(line for line in reversed(run.stdout.splitlines()) if re.match(r"\d{4}-\d\d-\d\d ", line))
    rate, share, p95 = map(float, last.split()[2:])
    assert rate > 0
    assert 0 < share <= 1
    assert p95 > 0
    assert "web" in run.stdout
    assert not run.stderr


def test_the_page_lists_the_columns_in_their_order():
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`([a-z_0-9]+)`", row)]
    assert listed == ["time", *frame([]).columns]
