"""The packed chart: the same chart is the same archive, at whatever time, and Helm takes it for the folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.deploy.chart.helm import CHART, Helm

ROOT = CHART.parents[2]
VERSION = subprocess.run([sys.executable, ROOT / "scripts" / "version"], capture_output=True, text=True, check=True).stdout.strip()


def pack(folder: Path, root: Path = ROOT) -> Path:
    """What a release does; without the project's own packages at hand."""
    command = [sys.executable, "-I", root / "scripts" / "chart-archive", folder]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture
def again(tmp_path: Path) -> Path:
    """The project at another place, its files with other times and rights, as another checkout has them."""
    root = tmp_path / "again"
    shutil.copytree(CHART, root / CHART.relative_to(ROOT))
    shutil.copytree(ROOT / "scripts", root / "scripts")
    shutil.copy(ROOT / "pyproject.toml", root)
    for index, path in enumerate(sorted(root.rglob("*"))):
        if path.is_file():
            path.chmod(0o600)
        os.utime(path, (1e9 + index, 1e9 + index))
    return root


def test_the_same_chart_is_the_same_archive(tmp_path: Path, again: Path):
    one, other = pack(tmp_path / "one"), pack(tmp_path / "other", again)
    assert one.name == other.name == f"trafficmetrics-{VERSION}.tgz"
    assert one.read_bytes() == other.read_bytes()
    # The one time that it could have is none; a second later is the same, too.
    with tarfile.open(one) as archive:
        assert {(entry.mtime, entry.uid, entry.uname, entry.mode) for entry in archive} == {(0, 0, "", 0o644)}
    assert one.read_bytes()[4:8] == bytes(4)


def test_its_sum_in_the_notes_is_what_anybody_gets(tmp_path: Path, again: Path):
    command = [sys.executable, ROOT / "scripts" / "release-notes", VERSION, pack(tmp_path / "one")]
    notes = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    packed = pack(tmp_path / "other", again)
    assert f"{hashlib.sha256(packed.read_bytes()).hexdigest()}  {packed.name}\n" in notes


def test_a_chart_of_another_version_is_not_packed(again: Path, tmp_path: Path):
    chart = again / CHART.relative_to(ROOT) / "Chart.yaml"
    chart.write_text(chart.read_text(encoding="utf-8").replace(f"\nversion: {VERSION}", "\nversion: 31.41.59"), encoding="utf-8")
    command = [sys.executable, again / "scripts" / "chart-archive", tmp_path / "none"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, f"is not of version {VERSION}" in done.stderr) == (1, True)
    assert not (tmp_path / "none").exists()


@pytest.mark.real
async def test_it_holds_what_helm_would_pack(helm: Helm, tmp_path: Path):
    await helm.done("package", str(CHART), "--destination", str(tmp_path))
    with tarfile.open(tmp_path / f"trafficmetrics-{VERSION}.tgz") as archive:
        theirs = set(archive.getnames())
    with tarfile.open(pack(tmp_path / "ours")) as archive:
        assert set(archive.getnames()) == theirs
    assert not any("/ci/" in name for name in theirs)


@pytest.mark.real
async def test_helm_takes_it_for_the_folder(helm: Helm, tmp_path: Path):
    packed = str(pack(tmp_path))
    for command in (("show", "all"), ("template", "blue")):
        assert await helm.done(*command, packed) == await helm.done(*command, str(CHART))
    assert "0 chart(s) failed" in await helm.done("lint", packed)
