"""A pair for OpenSSL, which reads certificates from files alone, on a machine where nothing may be written.

Files in memory (memfd_create) are as private as the process, reach no disk, and are gone with it. Where there are none (macOS) it is a
folder for the owner alone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["PairInMemory"]


class PairInMemory:
    """The newest pair, and the files :meth:`files` has put it into. ``close`` takes the files away."""

    def __init__(self) -> None:
        self._pair: tuple[bytes, bytes] | None = None
        self._shown: tuple[bytes, bytes] | None = None
        self._descriptors: list[int] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._paths = (Path(), Path())

    def put(self, certificate: bytes, key: bytes) -> None:
        """Show this pair (PEM) to whoever asks for files from now on."""
        self._pair = certificate, key

    def files(self) -> tuple[Path, Path]:
        """Certificate and key as files. Those of an older pair are taken away, so who reads them must be done, or ask once more."""
        # Another thread may put the next one meanwhile.
        pair = self._pair
        if pair is not self._shown and pair is not None:
            self.close()
            self._paths = self._written(*pair)
            self._shown = pair
        return self._paths

    def close(self) -> None:
        """Take the files away."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self._shown = None

    def _written(self, certificate: bytes, key: bytes) -> tuple[Path, Path]:
        with suppress(OSError, AttributeError):
            return _in_memory(self._descriptors, (("tls.crt", certificate), ("tls.key", key)))
        self._folder = tempfile.TemporaryDirectory(prefix="trafficmetrics-")
        paths = Path(self._folder.name, "tls.crt"), Path(self._folder.name, "tls.key")
        for path, content in zip(paths, (certificate, key), strict=True):
            path.touch(mode=0o600)
            path.write_bytes(content)
        return paths


def _in_memory(descriptors: list[int], contents: Iterable[tuple[str, bytes]]) -> tuple[Path, Path]:
    """Files for this process alone; their descriptors are added as they are opened."""
    paths = []
    for name, content in contents:
        descriptor = os.memfd_create(name)
        descriptors.append(descriptor)
        os.fchmod(descriptor, 0o600)
        with open(descriptor, "wb", closefd=False) as opened:
            opened.write(content)
        paths.append(Path(f"/proc/self/fd/{descriptor}"))
    certificate, key = paths
    # Where /proc is not mounted this is an error, and the folder it is.
    certificate.stat()
    return certificate, key
