"""The version comes from one place, and everything that repeats it agrees; it is set in one step."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.deploy.image.containerfile import ROOT
from tests.scripts import load_script

CURRENT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
NEW = "31.41.59"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script ``scripts/version``."""
    return load_script("version")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of everything that tells the version."""
    for name in ("deploy", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "scripts").mkdir()
    for name in ("README.md", "CHANGELOG.md", "pyproject.toml", "scripts/version"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", tree / "scripts" / "version", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def texts(tree: Path) -> dict[str, list[str]]:
    files = [path for path in tree.rglob("*") if path.is_file() and path.suffix not in (".png", ".tgz")]
    return {str(path.relative_to(tree)): path.read_text(encoding="utf-8").splitlines() for path in files}


def test_it_is_printed(tree: Path):
    assert run(tree).stdout == f"{CURRENT}\n"


def test_every_place_agrees(script: ModuleType):
    assert script.others(ROOT) == []


def test_no_place_has_it_that_is_not_known(script: ModuleType):
    """Such a place would stay behind: word it as the others, or add what stands before it to BESIDE in scripts/version."""
    unknown = []
    for path in script.files(ROOT):
        text = path.read_text(encoding="utf-8")
        known = {match.end() for match in script.mentions(ROOT, path).finditer(text)}
        found = re.finditer(rf"(?<![\w.])v?{re.escape(CURRENT)}(?!\w|\.\d)", text)
        unknown += [f"{path.relative_to(ROOT)}: {match[0]}" for match in found if match.end() not in known]
    assert unknown == []


def test_setting_it_changes_those_lines_and_no_others(tree: Path):
    before = texts(tree)
    done = run(tree, NEW)
    assert done.returncode == 0, done.stderr
    after = texts(tree)
    changed = {name for name in before if before[name] != after[name]}
    assert set(done.stdout.split()) == changed
    assert changed >= {
        "pyproject.toml",
        "CHANGELOG.md",
        "deploy/Containerfile",
        "deploy/krew/traffic.yaml",
        "deploy/base/deployment.yaml",
    }
    assert changed >= {"deploy/charts/trafficmetrics/Chart.yaml"}
    for name in changed:
        assert [line.replace(NEW, CURRENT) for line in after[name]] == before[name], name
    assert run(tree).stdout == f"{NEW}\n"
    assert run(tree, "--check").returncode == 0


def test_the_manifests_then_name_the_new_one(tree: Path):
    run(tree, NEW)
    chart = yaml.safe_load((tree / "deploy" / "charts" / "trafficmetrics" / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (NEW, NEW)
    plugin = yaml.safe_load((tree / "deploy" / "krew" / "traffic.yaml").read_text(encoding="utf-8"))
    assert plugin["spec"]["version"] == f"v{NEW}"
    deployment = yaml.safe_load((tree / "deploy" / "base" / "deployment.yaml").read_text(encoding="utf-8"))
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == f"trafficmetrics:{NEW}"
    assert (tree / "deploy" / "Containerfile").read_text(encoding="utf-8").count(f"ARG VERSION={NEW}\n") == 2


def test_a_place_that_was_forgotten_is_named_with_its_line(tree: Path):
    page = tree / "docs" / "image.md"
    page.write_text(f"one\ntrafficmetrics:{NEW}\n", encoding="utf-8")
    done = run(tree, "--check")
    assert (done.returncode, done.stdout) == (1, f"docs/image.md:2: trafficmetrics:{NEW}, and the version is {CURRENT}\n")


def test_versions_of_others_are_left_alone(tree: Path):
    page = tree / "docs" / "image.md"
    text = "python:3.13.0 linkerd-2.14.0.tar.gz other-trafficmetrics:1.2.3 trafficmetrics:1.2.3.4 version: 1.2.3 trafficmetrics-1.2.3-rc1\n"
    page.write_text(text, encoding="utf-8")
    assert run(tree, NEW).returncode == 0
    assert page.read_text(encoding="utf-8") == text


def test_a_release_gets_its_day_and_the_next_version_a_heading_of_its_own(tree: Path):
    run(tree, NEW)
    log = tree / "CHANGELOG.md"
    assert run(tree, "--released", "2026-12-01").returncode == 0
    assert re.findall(r"^## .*", log.read_text(encoding="utf-8"), re.MULTILINE)[0] == f"## [{NEW}] - 2026-12-01"
    assert "has no heading" in run(tree, "--released", "2026-12-01").stderr
    run(tree, "31.42.0")
    assert re.findall(r"^## .*", log.read_text(encoding="utf-8"), re.MULTILINE)[:2] == [
        "## [31.42.0] - unreleased",
        f"## [{NEW}] - 2026-12-01",
    ]


@pytest.mark.parametrize("wrong", ["1.2", "v1.2.3", "1.2.3rc1", "--released=1", ""])
def test_what_is_no_version_is_refused(wrong: str, tree: Path):
    before = texts(tree)
    done = run(tree, wrong)
    assert (done.returncode, done.stderr.startswith("usage:")) == (1, True)
    assert texts(tree) == before
