"""The image's folder, made once for all tests that ask for it: by the steps of the Containerfile, in a root of its own, offline."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.deploy.image.containerfile import ROOT, Containerfile, read_containerfile
from tests.deploy.image.sandbox import Sandbox, why_not

EPOCH = "1764000000"


class Interpreter(NamedTuple):
    """A Python: the folder it is installed in, and the name of its command there."""

    prefix: Path
    name: str


class Built(NamedTuple):
    """What the steps have made: where it is on this machine, and the root it was made in."""

    app: Path
    tools: Path
    fetched: Path
    source: Path
    python: Interpreter
    sandbox: Sandbox

    @property
    def packages(self) -> Path:
        """The folder of its packages."""
        return self.app / "lib" / self.python.name / "site-packages"


def give_up(reason: str) -> None:
    """Skip the test, or fail it if CI=true."""
    if os.environ.get("CI") == "true":
        raise pytest.fail.Exception(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def containerfile() -> Containerfile:
    return read_containerfile((ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def python(containerfile: Containerfile) -> Interpreter:
    """The version the image has, if this machine has it, else the one that runs the tests."""
    wanted = re.search(r"/python:(3\.\d+)", containerfile.arguments["PYTHON_IMAGE"])
    assert wanted is not None
    tell = "import ensurepip, sys; print(sys.base_prefix, '%d.%d' % sys.version_info[:2])"
    for command in (f"python{wanted[1]}", sys.executable):
        told = subprocess.run([command, "-c", tell], capture_output=True, text=True, check=False) if shutil.which(command) else None
        if told is not None and told.returncode == 0:
            prefix, version = told.stdout.split()
            return Interpreter(Path(prefix).resolve(), f"python{version}")
    return give_up("no Python with ensurepip is here: install python3-venv")  # type: ignore[return-value]


@pytest.fixture(scope="session")
def fetched(python: Interpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the one step with a network has brought; a copy, because later steps add to it."""
    command = python.prefix / "bin" / python.name
    if f"python{sys.version_info[0]}.{sys.version_info[1]}" == python.name:
        command = Path(sys.executable)  # which has pip, as its Python may not
    told = subprocess.run([ROOT / "scripts" / "image-part", command], capture_output=True, text=True, check=False)
    if told.returncode:
        give_up(told.stderr.strip())
    folder = tmp_path_factory.mktemp("fetched")
    shutil.copytree(told.stdout.strip(), folder, dirs_exist_ok=True)
    return folder


def make(
    containerfile: Containerfile, python: Interpreter, fetched: Path, folder: Path, tree: Path = ROOT, umask: int = 0o022
) -> Built:
    """Do in ``folder`` what the Containerfile's first stage does with the tree after its first step, by its own instructions."""
    if reason := why_not():
        give_up(reason)
    built = Built(
        *(folder / name for name in ("app", "tools")), fetched, folder / "source", python, _sandbox(folder, fetched, python)
    )
    (stage, _) = containerfile.stages
    for path in (built.app, built.tools, built.source, built.sandbox.root):
        path.mkdir()
    for copied in stage.of("COPY"):
        *sources, target = copied.words
        for source in sources:
            _copy(tree / source, built.source / (source if target == "./" else target))
    for step in stage.of("RUN")[1:]:
        environment = {"SOURCE_DATE_EPOCH": EPOCH, "PYTHON": python.name}
        script = f"umask {umask:o}; cd /source; VERSION={_default(containerfile, 'VERSION')}; {step.rest}"
        done = built.sandbox.run("sh", "-euc", script, environment=environment)
        assert done.returncode == 0, f"{step.rest}\n{done.stdout}{done.stderr}"
    return built


def _sandbox(folder: Path, fetched: Path, python: Interpreter) -> Sandbox:
    writable = {"/fetched": fetched, **{f"/{name}": folder / name for name in ("app", "tools", "source")}}
    return Sandbox(folder / "root", python.prefix, writable=writable)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _default(containerfile: Containerfile, name: str) -> str:
    (default,) = {
        arg.rest.partition("=")[2] for stage in containerfile.stages for arg in stage.of("ARG") if arg.rest.startswith(name)
    }
    return default


@pytest.fixture(scope="session")
def built(containerfile: Containerfile, python: Interpreter, fetched: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The image's folder; nobody may change it."""
    return make(containerfile, python, fetched, tmp_path_factory.mktemp("built"))


@pytest.fixture
def image(built: Built, tmp_path: Path) -> Sandbox:
    """A root in which the image's folder is where it belongs, and nothing but /tmp can be written."""
    root = tmp_path / "root"
    root.mkdir()
    return Sandbox(root, built.python.prefix, readable={"/app": built.app})
