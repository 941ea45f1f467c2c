"""The same sources make the same image, byte by byte: at another time, in another place, by somebody with other habits."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.deploy.image.conftest import EPOCH, Built, Interpreter, make
from tests.deploy.image.containerfile import ROOT, Containerfile

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


def digest(folder: Path, *archive: str) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "tree-digest", folder, *archive], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def again(containerfile: Containerfile, python: Interpreter, built: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The same once more: the sources copied anew, with other times and rights, and a umask that hides everything from others."""
    folder = tmp_path_factory.mktemp("another place, and again")
    tree, fetched = folder / "tree", folder / "fetched"
    shutil.copytree(built.source, tree, copy_function=shutil.copyfile)
    for index, path in enumerate(sorted(tree.rglob("*"))):
        if path.is_file():
            path.chmod(0o755 if path.read_bytes()[:2] == b"#!" else 0o600)
        os.utime(path, (1e9 + index, 1e9 + index))
    shutil.copytree(built.fetched, fetched, ignore=shutil.ignore_patterns("dist"))
    return make(containerfile, python, fetched, folder, tree, umask=0o077)


def test_the_wheel_is_the_same(built: Built, again: Built):
    wheels = [next((each.fetched / "dist").glob("*.whl")) for each in (built, again)]
    assert wheels[0].name == wheels[1].name
    assert wheels[0].read_bytes() == wheels[1].read_bytes()


def test_the_folder_is_the_same(built: Built, again: Built):
    assert digest(built.app) == digest(again.app)


def test_the_archive_of_the_sources_is_the_same(built: Built, again: Built):
    sums = []
    for each in (built, again):
        done = each.sandbox.run(
            "sh",
            "-euc",
            "cd /source; /tools/bin/hatchling build --target sdist --directory /tmp/dist >&2; cat /tmp/dist/*.tar.gz | sha256sum",
            environment={"SOURCE_DATE_EPOCH": EPOCH},
        )
        assert done.returncode == 0, done.stderr
        sums.append(done.stdout)
    assert sums[0] == sums[1]


def test_all_times_are_the_one_that_was_given(built: Built):
    assert {int(path.lstat().st_mtime) for path in [built.app, *built.app.rglob("*")]} == {int(EPOCH)}


@pytest.mark.parametrize("change", ["content", "rights", "time", "name", "link"])
def test_the_digest_tells_folders_apart(change: str, tmp_path: Path):
    for name in ("one", "other"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "file").write_text("text", encoding="utf-8")
        (tmp_path / name / "link").symlink_to("sub")
        for path in [*(tmp_path / name).rglob("*")]:
            os.utime(path, (1e9, 1e9), follow_symlinks=False)
    one, other = tmp_path / "one", tmp_path / "other"
    assert digest(one) == digest(other)
    file = other / "sub" / "file"
    match change:
        case "content":
            file.write_text("test", encoding="utf-8")
            os.utime(file, (1e9, 1e9))
        case "rights":
            file.chmod(0o600)
        case "time":
            os.utime(file, (1e9, 1e9 + 1))
        case "name":
            file.rename(file.with_name("life"))
            os.utime(file.parent, (1e9, 1e9))
        case "link":
            (other / "link").unlink()
            (other / "link").symlink_to("sub/file")
            os.utime(other / "link", (1e9, 1e9), follow_symlinks=False)
    assert digest(one) != digest(other)


def test_the_archive_that_is_written_has_the_digest_that_is_printed(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text(str(time.time()), encoding="utf-8")
    archive = tmp_path / "folder.tar"
    assert digest(tmp_path / "folder", str(archive)) == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as packed:
        assert [(entry.name, entry.uid) for entry in packed] == [("file", 0)]
