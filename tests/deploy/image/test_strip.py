"""The last step: what is taken out of the Python the image is made from, and that it still runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.deploy.image.containerfile import ROOT

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

LEFT_OUT = (
    "site-packages",
    "dist-packages",
    "test",
    "config-*",
    "__pycache__",
    "multiprocessing",
    "unittest",
    "distutils",
    "pydoc_data",
)
SHARED = {"LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}  # where Python's own library is, if it has one
GONE = ("ensurepip", "idlelib", "lib2to3", "test", "tkinter", "turtledemo", "venv")


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python's own folder as /usr/local is one, smaller, with pip in it; after the step."""
    folder = tmp_path_factory.mktemp("prefix")
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = folder / "lib" / name
    shutil.copytree(sysconfig.get_path("stdlib"), library, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for each in GONE:
        (library / each).mkdir(exist_ok=True)
        (library / each / "__init__.py").touch()
    packages = library / "site-packages"
    for each in ("pip", "setuptools", "pip-1.dist-info"):
        (packages / each).mkdir(parents=True)
        (packages / each / "__init__.py").touch()
    (folder / "bin").mkdir()
    shutil.copy(Path(sys.base_prefix) / "bin" / name, folder / "bin" / name)
    (folder / "bin" / "python3").symlink_to(name)
    for each in ("pip", "pip3", "idle3", "pydoc3", f"{name}-config", "2to3", "untouched"):
        (folder / "bin" / each).touch()
    (folder / "include" / name).mkdir(parents=True)
    before = run(folder, "-c", "import pip, setuptools, ensurepip, tkinter; print('there')")
    assert before.stdout == "there\n", before.stderr
    environment = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "1764000000", **SHARED}
    done = subprocess.run(
        [ROOT / "deploy" / "image" / "strip", folder], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return folder


def run(prefix: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Its Python, as it is found by its own place."""
    environment = {"PYTHONDONTWRITEBYTECODE": "1", **SHARED}
    return subprocess.run([prefix / "bin" / "python3", *arguments], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("name", ["pip", "setuptools", *GONE])
def test_what_installs_and_develops_is_gone(name: str, prefix: Path):
    done = run(prefix, "-c", f"import {name}")
    assert f"No module named '{name}'" in done.stderr


def test_of_its_programs_python_alone_is_left_and_what_nobody_spoke_of(prefix: Path):
    names = {path.name for path in (prefix / "bin").iterdir()}
    assert names == {"python3", f"python{sys.version_info[0]}.{sys.version_info[1]}", "untouched"}
    assert not (prefix / "include").exists()


def test_it_runs_from_bytecode_that_is_believed_as_it_is(prefix: Path):
    script = """
import json, ssl, sys, asyncio.events
print(sys.prefix)
for module in (json, ssl, asyncio.events):
    print(open(module.__cached__, "rb").read()[4:8].hex())
"""
    done = run(prefix, "-c", script)
    assert done.stdout.split() == [str(prefix), *["01000000"] * 3], done.stderr


def test_only_the_bytecode_is_of_the_given_time(prefix: Path):
    """Layers hold what a step has touched, so the sources are left as they are."""
    library = next((prefix / "lib").glob("python3.*"))
    assert {int(path.stat().st_mtime) for path in library.glob("json/__pycache__/*")} == {1764000000}
    assert (library / "json" / "__init__.py").stat().st_mtime != 1764000000


def test_it_wants_the_folder_of_a_python(tmp_path: Path):
    done = subprocess.run([ROOT / "deploy" / "image" / "strip", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bin/python3 is not there" in done.stderr
