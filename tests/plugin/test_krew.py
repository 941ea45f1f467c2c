"""The plugin as krew installs it: the manifest is one, and what it leads to runs.

The fields are those of krew.sigs.k8s.io, "Plugin Manifest"; the rules for names and versions those of kubernetes-sigs/krew
(internal/index/validation/validate.go).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
import sys
import tarfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plugin.conftest import ROOT, Plugin

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def pack(folder: Path) -> None:
    """What a release does; without the project's own packages at hand."""
    subprocess.run([sys.executable, "-I", str(ROOT / "scripts" / "krew-archive"), str(folder)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the archive and the manifest."""
    folder = tmp_path_factory.mktemp("krew")
    pack(folder)
    return folder


@pytest.fixture
def manifest(release: Path) -> Any:
    return yaml.safe_load((release / "traffic.yaml").read_text(encoding="utf-8"))


def test_the_manifest_has_what_krew_requires(manifest: Any):
    assert (manifest["apiVersion"], manifest["kind"]) == ("krew.googlecontainertools.github.com/v1alpha2", "Plugin")
    assert manifest["metadata"] == {"name": "traffic"}
    spec = manifest["spec"]
    assert spec.keys() == {"version", "homepage", "shortDescription", "description", "caveats", "platforms"}
    assert len(spec["shortDescription"]) <= 50
    assert max(map(len, spec["description"].splitlines())) <= 100
    for platform in spec["platforms"]:
        assert platform.keys() == {"selector", "uri", "sha256", "files", "bin"}
        assert platform["uri"].startswith("https://")
        assert [file.keys() for file in platform["files"]] == [{"from", "to"}] * len(platform["files"])
        (expression,) = platform["selector"]["matchExpressions"]
        assert (expression["key"], expression["operator"]) == ("os", "In")


def test_its_version_is_that_of_the_project(manifest: Any):
    assert re.fullmatch(r"v[0-9]+\.[0-9]+\.[0-9]+", manifest["spec"]["version"])
    assert manifest["spec"]["version"] == f"v{VERSION}"
    assert manifest["spec"]["platforms"][0]["uri"].endswith(f"/kubectl-traffic-v{VERSION}.tar.gz")


def test_the_manifest_beside_the_archive_is_the_one_in_the_project_with_its_checksum(manifest: Any, release: Path):
    (platform,) = manifest["spec"]["platforms"]
    archive = release / platform["uri"].rpartition("/")[2]
    assert platform.pop("sha256") == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert manifest == yaml.safe_load((ROOT / "deploy" / "krew" / "traffic.yaml").read_text(encoding="utf-8"))


def test_the_same_code_is_the_same_archive(release: Path, tmp_path: Path):
    pack(tmp_path)
    name = f"kubectl-traffic-v{VERSION}.tar.gz"
    assert (tmp_path / name).read_bytes() == (release / name).read_bytes()


@pytest.fixture
def installed(manifest: Any, release: Path, tmp_path: Path, plugin: Plugin) -> Plugin:
    """The plugin as krew leaves it: the files it names in a store, and a link to the program on the PATH."""
    (platform,) = manifest["spec"]["platforms"]
    store, unpacked, programs = tmp_path / "store", tmp_path / "unpacked", tmp_path / "bin"
    for folder in (store, unpacked, programs):
        folder.mkdir()
    with tarfile.open(release / platform["uri"].rpartition("/")[2]) as archive:
        archive.extractall(unpacked, filter="data")
    for file in platform["files"]:
        for found in unpacked.glob(file["from"]):
            found.rename(store / file["to"] / found.name)
    assert list(unpacked.iterdir()) == []
    (programs / "kubectl-traffic").symlink_to(store / platform["bin"])
    # A Python with its standard library and nothing else.
    (programs / "python3").write_text(f"#!/bin/sh\nexec '{sys.executable}' -S \"$@\"\n", encoding="utf-8")
    (programs / "python3").chmod(0o755)
    path = f"{programs}:{plugin.environment['PATH'].partition(':')[2]}"
    return replace(plugin, environment=plugin.environment | {"PATH": path})


async def test_what_krew_installs_runs(installed: Plugin) -> None:
    version, shown, page = await asyncio.gather(
        installed.traffic("version"), installed.traffic("top", "-n", "shop"), installed.traffic("dashboard", "--help", flags=())
    )
    assert version.out.splitlines()[0] == f"Plugin version: v{VERSION}"
    assert [line[0] for line in shown.table] == ["NAME", "deployment.api", "deployment.cart", "deployment.web"]
    assert (page.code, page.err) == (0, "")


async def test_an_old_python_is_told_so(installed: Plugin) -> None:
    programs = Path(installed.environment["PATH"].partition(":")[0])
    old = "import runpy, sys; sys.argv[:] = sys.argv[1:]; sys.version_info = (3, 9, 18); runpy.run_path(sys.argv[0])"
    (programs / "python3").write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{old}' \"$@\"\n", encoding="utf-8")
    got = await installed.traffic("version")
    assert tuple(got) == (1, "", "kubectl traffic needs Python 3.11 or newer; python3 on the PATH is 3.9\n")
