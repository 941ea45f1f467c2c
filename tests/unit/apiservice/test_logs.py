"""The log: how much is told at which verbosity, for which request, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context

import pytest

from apiservice import logs
from apiservice.logformat import LogFormat
from apiservice.logs import about, fields, level_of, writing_log

OURS = logging.getLogger("apiservice.somewhere")
THEIRS = logging.getLogger("kubernetes.client.rest")


@contextmanager
def logged(verbosity: int = 0, form: LogFormat = LogFormat.TEXT) -> Iterator[io.StringIO]:
    """What is logged meanwhile; complete when the context is left."""
    stream = io.StringIO()
    with writing_log(stream, form, level_of(verbosity)):
        yield stream


@pytest.mark.parametrize("verbosity", range(11))
def test_a_verbosity_tells_all_that_is_no_more_verbose(verbosity: int):
    with logged(verbosity) as stream:
        for level in range(11):
            OURS.log(level_of(level), "at %d", level)
    assert stream.getvalue().count("\n") == verbosity + 1
    assert OURS.getEffectiveLevel() == logging.WARNING


def test_warnings_and_errors_are_always_told():
    with logged(0) as stream:
        OURS.warning("strange")
        OURS.error("wrong")
        THEIRS.warning("theirs")
    assert [line[0] for line in stream.getvalue().splitlines()] == ["W", "E", "W"]


def test_libraries_never_tell_more_than_warnings():
    with logged(10) as stream:
        THEIRS.info("response body: token")
        THEIRS.debug("response body: token")
        OURS.debug("ours")
    assert "token" not in stream.getvalue()
    assert "ours" in stream.getvalue()


def test_every_line_about_a_request_has_its_audit_id():
    with logged() as stream:
        OURS.info("before")
        with about("a1"):
            OURS.info("during")
            THEIRS.error("during, too")
        OURS.info("after")
    ids = ['audit-ID="a1"' in line for line in stream.getvalue().splitlines()]
    assert ids == [False, True, True, False]


async def test_what_a_request_starts_carries_its_audit_id():
    with logged() as stream:
        with about("a1"):
            task = asyncio.create_task(asyncio.to_thread(OURS.info, "in a thread"))
        with about("b2"):
            await task
            OURS.info("meanwhile")
    thread, meanwhile = stream.getvalue().splitlines()
    assert 'audit-ID="a1"' in thread
    assert 'audit-ID="b2"' in meanwhile


def test_lines_keep_their_order():
    with logged() as stream:
        for number in range(5000):
            OURS.info("line", extra=fields({"n": number}))
    assert [line.rpartition("n=")[2] for line in stream.getvalue().splitlines()] == [str(number) for number in range(5000)]


def test_a_reader_that_stalls_stalls_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "_WAITING", 100)
    monkeypatch.setattr(logs, "_PATIENCE", 0.1)
    reading, writing = os.pipe()
    with open(writing, "w") as stream, open(reading) as reader:  # noqa: PTH123 - a pipe has no path
        with writing_log(stream, LogFormat.TEXT, level_of(0)):
            start = time.monotonic()
            # More than a pipe holds.
            for _ in range(500):
                OURS.info("x" * 1000)
            assert time.monotonic() - start < 5
            got: list[str] = []
            thread = threading.Thread(target=lambda: [got.append(line) for line in reader])
            thread.start()
            deadline = time.monotonic() + 10
            while not any("dropped" in line for line in list(got)) and time.monotonic() < deadline:
                OURS.info("again")
                time.sleep(0.01)
        stream.close()
        thread.join()
    assert any(line.startswith("W") and "lines were dropped" in line for line in got)
    assert sum("xxx" in line for line in got) < 500


def test_a_line_that_cannot_be_written_disturbs_nobody():
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            if "lost" in text:
                raise BrokenPipeError
            return super().write(text)

    stream = Broken()
    with writing_log(stream, LogFormat.TEXT, level_of(0)):
        OURS.info("lost")
        OURS.info("found")
    assert "found" in stream.getvalue()


def test_warnings_of_python_are_lines_too():
    with logged() as stream, warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old\nhabits", stacklevel=1)
    (line,) = stream.getvalue().splitlines()
    assert "old\\nhabits" in line


def test_a_line_that_cannot_be_made_ends_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with logged() as stream:
        OURS.info("%d", "no number")
        OURS.info("good")
    assert stream.getvalue().count("\n") == 1


def test_nothing_of_the_log_is_left_when_it_is_over():
    before = (list(logging.getLogger().handlers), threading.active_count())
    with logged():
        OURS.info("said")
    assert (list(logging.getLogger().handlers), threading.active_count()) == before
    assert OURS.level == logging.NOTSET


def test_a_context_of_its_own_is_about_no_request():
    with logged() as stream, about("a1"):
        Context().run(OURS.info, "for everybody")
    assert "audit-ID" not in stream.getvalue()
