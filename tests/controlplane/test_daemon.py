"""Child processes of the tests: none survives them, and what they said is kept."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.controlplane.daemon import Daemon

_ROOT = Path(__file__).parents[2]
_STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
print("ready", flush=True)
while True:
    time.sleep(60)
"""
_ABANDONED = """
import os, sys, time
from pathlib import Path
from tests.controlplane.daemon import Daemon
daemon = Daemon("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], Path(sys.argv[1]), os.environ)
print(daemon.pid, flush=True)
time.sleep(60)
"""


def start(code: str, log: Path) -> Daemon:
    return Daemon("test", [sys.executable, "-c", code], log, os.environ)


def exists(pid: int) -> bool:
    """Whether it runs; one that has ended and waits for init to notice does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it did not happen within ten seconds")


async def test_a_stopped_process_is_gone(tmp_path: Path):
    daemon = start("import time; print('ready', flush=True); time.sleep(60)", tmp_path / "log")
    await until(lambda: "ready" in daemon.tail())
    assert daemon.exit_code() is None
    await daemon.stop()
    assert daemon.exit_code() == -signal.SIGTERM


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path):
    daemon = start(_STUBBORN, tmp_path / "log")
    await until(lambda: "ready" in daemon.tail())
    await daemon.stop(patience=0.3)
    assert daemon.exit_code() == -signal.SIGKILL
    assert daemon.tail() == "ready\nno"


async def test_stopping_what_has_ended_keeps_its_exit_code(tmp_path: Path):
    daemon = start("raise SystemExit('out of luck')", tmp_path / "log")
    assert await daemon.ended(patience=10)
    await daemon.stop()
    assert daemon.exit_code() == 1
    assert daemon.tail() == "out of luck"


async def test_the_tail_can_begin_at_a_mark(tmp_path: Path):
    daemon = start("print('before', flush=True); input()", tmp_path / "log")
    assert await daemon.ended(patience=10)
    mark = len("before\n")
    assert "before" in daemon.tail()
    assert "before" not in daemon.tail(since=mark)
    assert daemon.tail(lines=1, since=mark).startswith("EOFError")


async def test_a_line_can_be_waited_for(tmp_path: Path):
    code = "import time; print('one', flush=True); time.sleep(0.3); print('two words', flush=True); time.sleep(60)"
    daemon = start(code, tmp_path / "log")
    assert await daemon.until_printed(lambda line: line.endswith("words")) == "two words"
    with pytest.raises(RuntimeError, match=r"test still runs after 0.2 s and printed something else:\ntwo words"):
        await daemon.until_printed(lambda line: line == "one", since=len("one\n"), patience=0.2)
    await daemon.stop()
    with pytest.raises(RuntimeError, match="test has ended"):
        await daemon.until_printed(lambda line: line == "three")


async def test_a_line_is_a_line_when_it_is_whole(tmp_path: Path):
    daemon = start("import time; print('one\\ntw', end='', flush=True); time.sleep(60)", tmp_path / "log")
    await daemon.until_printed(lambda line: line == "one")
    assert daemon.tail() == "one\ntw"
    assert daemon.lines() == ["one"]
    await daemon.stop()


async def test_the_log_of_another_start_is_kept(tmp_path: Path):
    for word in ("first", "second"):
        daemon = start(f"print('{word}')", tmp_path / "log")
        assert await daemon.ended(patience=10)
    assert daemon.lines() == ["first", "second"]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv of util-linux")
async def test_a_killed_test_run_takes_its_processes_along(tmp_path: Path):
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ABANDONED, str(tmp_path / "log"), cwd=_ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert run.stdout is not None
    pid = int(await run.stdout.readline())
    assert exists(pid)
    run.kill()
    await run.communicate()
    await until(lambda: not exists(pid))
