"""A root like a container's, made of what the kernel gives: for running what is in the image without a container engine.

A process gets mounts and process numbers of its own, sees a small root that is made of this machine's system folders, read-only, and of
what is mounted into it; it is process 1, as in a container, and with ``user`` that user without any capability. ``unshare``, ``setpriv``
and ``chroot`` are of util-linux and coreutils.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["NOBODY", "Sandbox", "why_not"]

NOBODY = 65532
_SYSTEM = ("/bin", "/lib", "/lib64", "/sbin", "/usr", "/etc/ssl", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ld.so.cache")
_DEVICES = ("null", "zero", "random", "urandom")


@cache
def why_not() -> str:
    """Why there cannot be one on this machine; nothing if there can."""
    missing = [name for name in ("unshare", "setpriv", "chroot", "mount") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (util-linux): a root like a container's cannot be made"
    if os.geteuid() != 0:
        return "a root like a container's can be made by root alone: run the tests as root"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--net", "true"], capture_output=True, text=True, check=False)
    return f"namespaces cannot be made here: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A root: ``readable`` and ``writable`` folders of this machine by where they are mounted; /tmp can be written, and lasts as long.

    ``root``: an empty folder to put it together in. ``python``: the folder a Python is installed in, which is seen in its own place.
    """

    root: Path
    python: Path
    readable: Mapping[str, Path] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)

    def command(
        self, command: Sequence[str], *, user: int = 0, network: bool = False, environment: Mapping[str, str] | None = None
    ) -> list[str]:
        """What is to be run on this machine so that ``command`` runs in there; without ``network`` not even loopback is there."""
        variables = {"PATH": f"{self.python}/bin:/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8", **(environment or {})}
        become = ["chroot", str(self.root), "env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        if user:
            # To become somebody else makes a process outlive its parent again, so that is said once more.
            become += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
            become += ["--pdeathsig=KILL"]
        script = "\n".join([*self._mounts(), f"exec {shlex.join([*become, *command])}"])
        apart = ["unshare", "--mount", "--pid", "--fork", "--ipc", "--kill-child", *([] if network else ["--net"])]
        return [*apart, "sh", "-euc", script]

    def run(self, *command: str, user: int = 0, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, without a network."""
        whole = self.command(command, user=user, environment=environment)
        return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=240)

    def _mounts(self) -> list[str]:
        root = shlex.quote(str(self.root))
        lines = [f"mount -t tmpfs -o mode=755 none {root}", f"mkdir {root}/tmp {root}/proc {root}/dev"]
        lines += [f"mount -t tmpfs -o mode=1777 none {root}/tmp", f"mount -t proc proc {root}/proc"]
        for name in _DEVICES:
            lines += [f"touch {root}/dev/{name}", f"mount --bind /dev/{name} {root}/dev/{name}"]
        system = {path: Path(path) for path in _SYSTEM if Path(path).exists()}
        if not self.python.is_relative_to("/usr"):
            system[str(self.python)] = self.python
        for target, source in {**system, **self.readable}.items():
            lines += self._mount(target, source, writable=False)
        for target, source in self.writable.items():
            lines += self._mount(target, source, writable=True)
        return [*lines, f"mount -o remount,ro {root}"]

    def _mount(self, target: str, source: Path, *, writable: bool) -> list[str]:
        there = shlex.quote(f"{self.root}{target}")
        if source.is_symlink():
            return [f"ln -s {shlex.quote(str(source.readlink()))} {there}"]
        make = f"mkdir -p {there}" if source.is_dir() else f'mkdir -p "$(dirname {there})"; touch {there}'
        lines = [make, f"mount --bind {shlex.quote(str(source))} {there}"]
        return lines if writable else [*lines, f"mount -o remount,bind,ro {there}"]
