"""The server that is abused: the whole application over a service in memory, over plain HTTP and over TLS, as a process of its own.

Alone in its process, it can be held against what it was before: descriptors, tasks, objects and memory are nobody else's. Run as
``python -m tests.fuzz.target DIRECTORY``, where the certificates are. It prints one line of JSON with its two ports, and one with
its :class:`Measure` for each line it reads; it ends with its standard input. What it logs, from warnings on, goes to standard error.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from aiohttp import web
from cryptography import x509

from apiservice.app import build_app
from apiservice.authorization import Authorizer
from apiservice.clock import SYSTEM_CLOCK
from apiservice.identity import Authenticator, DelegatedAuthenticator, Trust
from apiservice.identity.pool import Pool
from apiservice.identity.requestheader import FrontProxy
from apiservice.logformat import LogFormat
from apiservice.logs import writing_log
from apiservice.paging import Pager
from apiservice.question import Question
from apiservice.result import Result
from apiservice.server import listening
from apiservice.serving import ServingTLS
from apiservice.standalone import AllowAll, Everyone
from metrics_api import BackendTimeout, BackendUnavailable, ResourceRef
from tests.apiservice.door import NoTokens, Trusting
from tests.apiservice.memory import EDGES, NAMESPACE_EDGES, NAMESPACES, OPTIONS, TOTALS, Memory, parse, total

__all__ = ["DOWN", "MANY", "SLOW", "Measure"]

DOWN, SLOW, MANY = "down", "slow", "many"
"""Namespaces: the sources of one are down, those of another take too long, and one has so many objects that its lists are large."""

_CROWD = Memory(tuple(total(ResourceRef("Pod", MANY, f"pod-{number:03}"), number, 1) for number in range(300)))


class Measure(NamedTuple):
    """What a process has: open descriptors, tasks, objects the garbage collector knows, and resident bytes.

    The series of the server's own metrics are left out of the objects: they are many, and as many as there are labels.
    """

    descriptors: int
    tasks: int
    objects: int
    resident: int


class _Moody(Memory):
    """The service, with namespaces it fails for. It keeps no questions."""

    async def answer(self, question: Question, *more: Any) -> Result:
        if question.namespace == DOWN:
            raise BackendUnavailable("memory", "it cannot be reached")
        if question.namespace == SLOW:
            raise BackendTimeout("memory", "it did not answer in time")
        memory = _CROWD if question.namespace == MANY else self
        try:
            return await Memory.answer(memory, question, *more)
        finally:
            while not memory.arrivals.empty():
                memory.arrivals.get_nowait()


def _app(authenticator: Authenticator, authorizer: Authorizer) -> web.Application:
    service = _Moody(TOTALS + NAMESPACES, EDGES + NAMESPACE_EDGES)
    return build_app(
        service=service,
        parse=parse,
        authenticator=authenticator,
        authorizer=authorizer,
        options=OPTIONS,
        # Few enough that the room is full before growth is measured.
        pager=Pager(max_rows=2_000),
    )


def _tls(directory: Path) -> tuple[ServingTLS, Authenticator]:
    clients, proxies = (directory / name for name in ("clients.pem", "proxies.pem"))
    pools = [Pool(x509.load_pem_x509_certificates(file.read_bytes())) for file in (clients, proxies)]
    trusting = Trusting(Trust(pools[0], FrontProxy(pools[1])))
    files = directory / "serving.crt", directory / "serving.key"
    authorities = clients.read_text() + proxies.read_text()
    serving = ServingTLS(lambda: files, lambda: authorities, SYSTEM_CLOCK)
    return serving, DelegatedAuthenticator(trusting, NoTokens(), SYSTEM_CLOCK)


def _measure() -> Measure:
    gc.collect()
    # What was freed is given back, so that the difference of two measures is what is kept.
    ctypes.CDLL(None).malloc_trim(0)
    objects = sum(not str(type(each).__module__).startswith(("prometheus_client", "_thread")) for each in gc.get_objects())
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Measure(
        sum(1 for _ in Path("/proc/self/fd").iterdir()), len(asyncio.all_tasks()), objects, pages * os.sysconf("SC_PAGE_SIZE")
    )


async def _serve(directory: Path) -> None:
    async with AsyncExitStack() as stack:
        serving, authenticator = _tls(directory)
        plain = await stack.enter_async_context(listening(_app(Everyone(), AllowAll()), "127.0.0.1", 0, None))
        tls = await stack.enter_async_context(listening(_app(authenticator, AllowAll()), "127.0.0.1", 0, serving.context))
        _tell({"plain": plain, "tls": tls})
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            _tell(_measure())


def _tell(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with writing_log(sys.stderr, LogFormat.TEXT, logging.WARNING):
        uvloop.run(_serve(Path(sys.argv[1])))
