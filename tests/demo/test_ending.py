"""However the demonstration ends, nothing of it stays: no process and no file. It is a child process here, for it has to be killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.demo.lab import children, files

pytestmark = [
    pytest.mark.real,
    pytest.mark.usefixtures("envoy"),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the children of a process are found in /proc"),
]

COMMAND = ["-m", "apiservice.main", "demo"]
UP = b"Ctrl-C ends it all."

LIBRARY = """
import asyncio
from apiservice.demo import run_mesh

async def demonstrate():
    async with run_mesh():
        print("Ctrl-C ends it all.", flush=True)
        await asyncio.Event().wait()

asyncio.run(demonstrate())
"""


@asynccontextmanager
async def _running(folder: Path, arguments: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python with these arguments, whose temporary files are in ``folder``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _up(process: asyncio.subprocess.Process) -> set[int]:
    """Wait until everything runs; the processes of the proxies."""
    assert process.stdout is not None
    while UP not in (line := await process.stdout.readline()):
        assert line, "it has ended"
    pids = children(process.pid)
    assert len(pids) == 13
    return pids


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - other processes cannot tell us
            await asyncio.sleep(0.005)


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def _assert_gone(folder: Path, pids: set[int]) -> None:
    await _until(lambda: not any(map(_runs, pids)))
    assert not files(folder)


@pytest.mark.parametrize(
    ("proxies", "sent"),
    [
        pytest.param(1, signal.SIGINT, id="Ctrl-C when the first proxy has started"),
        pytest.param(6, signal.SIGTERM, id="SIGTERM when half of the proxies have started"),
    ],
)
async def test_a_start_that_is_broken_off_leaves_nothing_behind(tmp_path: Path, proxies: int, sent: signal.Signals):
    async with _running(tmp_path, COMMAND) as process:
        await _until(lambda: files(tmp_path))
        await _until(lambda: len(children(process.pid)) >= proxies)
        pids = children(process.pid)
        process.send_signal(sent)
        output, errors = await process.communicate()
    assert (process.returncode, UP in output) == (0, False), errors.decode()
    await _assert_gone(tmp_path, pids)


async def test_a_running_demonstration_ends_in_order(tmp_path: Path):
    async with _running(tmp_path, COMMAND) as process:
        pids = await _up(process)
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    await _assert_gone(tmp_path, pids)


async def test_an_interrupt_while_the_mesh_is_ending_leaves_nothing_behind_either(tmp_path: Path):
    async with _running(tmp_path, ["-c", LIBRARY]) as process:
        pids = await _up(process)
        process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        await process.communicate()
    await _assert_gone(tmp_path, pids)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="without setpriv nobody tells the proxies that their parent was killed")
async def test_killing_the_demonstration_kills_its_proxies(tmp_path: Path):
    async with _running(tmp_path, COMMAND) as process:
        pids = await _up(process)
        process.kill()
        await process.wait()
        await _until(lambda: not any(map(_runs, pids)))
