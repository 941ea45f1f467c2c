"""Bodies are encoded once for all who want the same, and never taken for another."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator, Sequence
from dataclasses import replace

from aiohttp import web

from apiservice.bodies import Bodies
from apiservice.representation import Style
from apiservice.result import Result
from apiservice.sending import Streamed
from metrics_api import Edge, ResourceRef, TrafficMetrics, Window
from tests.doubles.clock import ManualClock

ROW = TrafficMetrics("web", "shop", ResourceRef("Deployment", "shop", "web"), Edge(), 100, Window(30))
GZIP = {"Accept-Encoding": "gzip"}


class Writing:
    """Writes the names of rows, and counts how often it was asked to."""

    def __init__(self, width: int = 0) -> None:
        self.count = 0
        self.width = width

    def __call__(self, rows: Sequence[TrafficMetrics]) -> Iterator[bytes]:
        self.count += 1
        for row in rows:
            yield f"{row.name} {sorted(row.annotations)}\n".ljust(self.width).encode()


def result(*names: str, incomplete: bool = False, warnings: tuple[str, ...] = ()) -> Result:
    return Result(tuple(replace(ROW, name=name) for name in names), 100, Window(30), warnings, incomplete)


async def body(bodies: Bodies, answer: Result, writing: Writing, about: str = "list", **headers: str) -> bytes:
    response = await bodies.response(about, answer, Style(), writing, headers)
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    return response.body


async def test_the_same_answer_is_encoded_once() -> None:
    bodies, writing, answer = Bodies(), Writing(), result("web", "api")
    texts = await asyncio.gather(*(body(bodies, answer, writing) for _ in range(20)))
    assert (set(texts), writing.count) == ({b"web []\napi []\n"}, 1)
    assert await body(bodies, answer, writing) is texts[0]


async def test_another_form_is_encoded_on_its_own() -> None:
    bodies, writing, answer = Bodies(), Writing(), result("web")
    await body(bodies, answer, writing, "list")
    await body(bodies, answer, writing, "table")
    assert writing.count == 2


async def test_two_answers_of_one_instant_are_not_mixed_up() -> None:
    bodies, writing = Bodies(), Writing()
    assert await body(bodies, result("web"), writing) == b"web []\n"
    assert await body(bodies, result("api"), writing) == b"api []\n"
    marked = b"web ['metrics.smi-spec.io/incomplete']\n"
    assert await body(bodies, result("web", incomplete=True), writing) == marked


async def test_a_large_body_is_compressed_once_for_those_who_accept_it() -> None:
    bodies, writing, answer = Bodies(), Writing(width=200 * 1024), result("web")
    response = await bodies.response("list", answer, Style(), writing, GZIP)
    assert (response.headers["Content-Encoding"], response.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert isinstance(response, web.Response)
    again = await bodies.response("list", answer, Style(), writing, GZIP)
    assert isinstance(again, web.Response)
    assert again.body is response.body
    plain = await bodies.response("list", answer, Style(), writing, {})
    assert isinstance(plain, web.Response)
    assert isinstance(response.body, bytes)
    assert gzip.decompress(response.body) == plain.body
    assert ("Content-Encoding" in plain.headers, plain.headers["Vary"]) == (False, "Accept-Encoding")


async def test_a_small_body_is_never_compressed() -> None:
    response = await Bodies().response("list", result("web"), Style(), Writing(), GZIP)
    assert not {"Content-Encoding", "Vary"} & set(response.headers)


async def test_a_huge_body_is_made_while_it_is_sent() -> None:
    writing = Writing()
    response = await Bodies().response("list", result(*["web"] * 4001), Style(), writing, {})
    assert isinstance(response, Streamed)
    assert b"".join(response.parts) == b"web []\n" * 4001


async def test_a_body_is_kept_for_as_long_as_it_may_be_asked_for() -> None:
    clock = ManualClock()
    bodies, writing = Bodies(clock.monotonic), Writing()
    for seconds, encoded in ((0, 1), (9, 1), (2, 2)):
        clock.advance(seconds)
        await body(bodies, result("web"), writing)
        assert writing.count == encoded


async def test_a_small_body_of_many_rows_is_large_to_keep() -> None:
    bodies, writing = Bodies(), Writing()
    answers = [replace(result(*["web"] * 4000), instant=instant) for instant in range(5)]
    for answer in (*answers, answers[-1]):
        await body(bodies, answer, writing)
    assert writing.count == 5
    await body(bodies, answers[0], writing)
    assert writing.count == 6


async def test_warnings_go_along_with_a_shared_body() -> None:
    bodies, writing = Bodies(), Writing()
    await body(bodies, result("web"), writing)
    response = await bodies.response("list", result("web", warnings=("half of it",)), Style(), writing, {})
    assert response.headers["Warning"] == '299 - "half of it"'
