"""A pair for OpenSSL where nothing may be written: for this process alone, and gone with it."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from apiservice.issuance.memory import PairInMemory


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files in memory are a thing of Linux")
def test_nothing_is_written_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryDirectory", None)
    before = _descriptors()
    pair = PairInMemory()
    for number in range(5):
        pair.put(b"certificate %d" % number, b"key %d" % number)
        certificate, key = pair.files()
        assert (certificate, key) == pair.files()
        assert (certificate.read_bytes(), key.read_bytes()) == (b"certificate %d" % number, b"key %d" % number)
        assert {stat.S_IMODE(file.stat().st_mode) for file in (certificate, key)} == {0o600}
        assert _descriptors() == before + 2
    pair.close()
    assert _descriptors() == before


def _refuse(_: str) -> int:
    raise OSError(38, os.strerror(38))


@pytest.mark.parametrize("absent", [True, False], ids=["another system", "refused"])
def test_elsewhere_a_private_folder_has_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, absent: bool) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if absent:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    else:
        monkeypatch.setattr(os, "memfd_create", _refuse, raising=False)
    pair = PairInMemory()
    pair.put(b"certificate", b"key")
    pair.put(b"another certificate", b"another key")
    certificate, key = pair.files()
    assert (certificate.read_bytes(), key.read_bytes()) == (b"another certificate", b"another key")
    (folder,) = tmp_path.iterdir()
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(key.stat().st_mode)) == (0o700, 0o600)
    pair.put(b"a third", b"key")
    pair.files()
    assert len(list(tmp_path.iterdir())) == 1
    pair.close()
    assert not list(tmp_path.iterdir())
