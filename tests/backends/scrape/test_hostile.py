"""Targets that answer nonsense: each ends as a reason in a warning, never as the end of the scraping."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Callable

import pytest

from backends.scrape import ScrapeBackend
from backends.scrape.fetch import Fetcher, ScrapeFailed
from backends.scrape.loop import ScrapeLoop
from tests.backends.scrape.sources import ask, counting, happens, refused, settings, target
from tests.doubles.exporter import Exporter, exporter, page, raw_exporter, sample

GOOD = page(sample("requests_total", 5, code="200"))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"

Change = Callable[[Exporter], None]


def shows(body: bytes, content_type: str = "text/plain") -> Change:
    def change(server: Exporter) -> None:
        server.page, server.content_type = body, content_type

    return change


def status(code: int, **headers: str) -> Change:
    def change(server: Exporter) -> None:
        server.status, server.headers = code, headers

    return change


def hangs(server: Exporter) -> None:
    server.delay = 3600


def sends_a_broken_archive(server: Exporter) -> None:
    server.page, server.headers = GOOD, {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(shows(b"<html>login</html>", "text/html; charset=utf-8"), "text/html, which is not", id="HTML"),
        pytest.param(shows(b"<html>\n<body>login</body></html>\n"), "line 1 is neither", id="HTML that says it is text"),
        pytest.param(shows(b'{"status": "ok"}', "application/json"), "application/json, which is not", id="JSON"),
        pytest.param(shows(bytes(range(256)) * 1000, ""), "line 1 is neither", id="binary without a type"),
        pytest.param(shows(GOOD + b'requests_total{code="2'), "breaks off", id="half a line"),
        pytest.param(shows(GOOD, "application/openmetrics-text; version=1.0.0"), "EOF", id="half an OpenMetrics"),
        pytest.param(shows(GOOD + b"\n# x\nrequests_total{code=200} 5\n"), "line 4 is malformed", id="a malformed label"),
        pytest.param(shows(GOOD + b'requests_total{code="200"} five\n'), "line 2 is not a number", id="a malformed value"),
        pytest.param(shows(GOOD + b'requests_total{code="\xff"} 5\n'), "line 2 is malformed: a label is not UTF-8", id="not UTF-8"),
        pytest.param(status(404), "HTTP 404; is /stats/prometheus the right path?", id="404"),
        pytest.param(status(500), "HTTP 500", id="500"),
        pytest.param(status(401), "refused our credentials (HTTP 401)", id="401"),
        pytest.param(status(302, Location="http://127.0.0.1:1/"), "HTTP 302", id="a redirect is not followed"),
        pytest.param(hangs, "no answer within 0.5s", id="silence"),
        pytest.param(sends_a_broken_archive, "broke off|not HTTP", id="gzip that is none"),
    ],
)
async def test_a_target_that_answers_nonsense_is_told_and_scraped_again(change: Change, reason: str):
    async with exporter() as server, ScrapeBackend(settings(target(server.address))) as source:
        change(server)
        error = await refused(source, "no target answers")
        assert any(part in error.message for part in reason.split("|")), error.message
        server.page, server.content_type, server.status, server.delay = counting, "text/plain", 200, 0.0
        server.headers.clear()
        answer = await ask(source, lambda answer: answer.samples and not answer.incomplete)
        assert answer.samples[0].success


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(HEAD + b"Content-Length: 5000\r\n\r\n" + GOOD, "broke off", id="half a body"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n20\r\n" + GOOD, "broke off", id="half a chunk"),
        pytest.param(HEAD + b"Connection: close\r\n\r\n" + GOOD * 2 + GOOD[:-4], "breaks off", id="a body that just ends"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP", id="another protocol"),
        pytest.param(b"", "connection failed", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "not HTTP", id="endless headers"),
    ],
)
async def test_a_server_that_breaks_the_protocol_is_told(answer: bytes, reason: str):
    async with raw_exporter(answer) as address, ScrapeBackend(settings(target(address))) as source:
        error = await refused(source, "no target answers")
    assert reason in error.message


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "web..mesh", "w" * 64 + ".mesh"], ids=["absent", "empty-part", "long-part"]
)
async def test_a_name_that_does_not_exist_is_told(host: str):
    async with ScrapeBackend(settings(target(f"{host}:80"), interval=2.0, timeout=2.0)) as source:
        error = await refused(source, "no target answers")
    assert "its name cannot be resolved" in error.message


async def test_a_text_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.scrape.fetch._LARGEST", 1 << 20)
    unpacked = gzip.compress(b"x 1\n" * (1 << 20))
    assert len(unpacked) < 1 << 16
    async with exporter() as server:
        made = settings(target(server.address), timeout=20.0)
        async with Fetcher(made) as fetcher:
            server.page = b"x 1\n" * (1 << 18)
            assert len((await fetcher.fetch(made.targets[0])).body) == 1 << 20
            server.page += b"x"
            with pytest.raises(ScrapeFailed, match="more than 1 MiB"):
                await fetcher.fetch(made.targets[0])
            server.page, server.headers = unpacked, {"Content-Encoding": "gzip"}
            with pytest.raises(ScrapeFailed, match="more than 1 MiB"):
                await fetcher.fetch(made.targets[0])


async def test_millions_of_lines_leave_everything_else_its_turn():
    async with exporter(b"x 1\n" * 5_000_000) as server:
        loop = ScrapeLoop(settings(target(server.address), interval=60.0, timeout=60.0))
        async with loop:
            (watch,) = loop.watches.values()
            text = await loop._fetcher.fetch(watch.target)
            reading = asyncio.create_task(loop._read(watch.history, text.body, 1.0, open_metrics=text.open_metrics))
            turns = 0
            while not reading.done():
                await asyncio.sleep(0)
                turns += 1
            await reading
    assert turns > 100


async def test_reading_takes_memory_for_the_series_kept_and_not_for_the_text():
    many = b"".join(b'requests_total{code="200",path="%d"} 5\n' % number for number in range(100_000))
    async with ScrapeLoop(settings(target("127.0.0.1:1"), interval=60.0, series_limit=1_000)) as loop:
        (watch,) = loop.watches.values()
        tracemalloc.start()
        try:
            await loop._read(watch.history, many, 1.0, open_metrics=False)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert watch.history.left_out == 99_000
    assert peak < len(many) / 2


async def test_series_that_are_new_every_time_are_bounded():
    number = 0

    def churning(_: float) -> bytes:
        nonlocal number
        number += 1
        return page(*(sample("requests_total", 5, code="200", request=f"{number}-{index}") for index in range(20)))

    async with exporter(churning) as server:
        loop = ScrapeLoop(settings(target(server.address), series_limit=50))
        async with loop:
            (watch,) = loop.watches.values()
            await happens(lambda: number >= 10)
            assert watch.history.size == loop.allowance.used == 50
            assert loop.left_out > 0


async def test_a_fault_of_our_own_is_the_failure_of_one_scrape(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    async with exporter(counting) as web, exporter(counting) as api:
        source = ScrapeBackend(settings(target(web.address), target(api.address, "api")))
        fetch = Fetcher.fetch

        async def faulty(self: Fetcher, wanted: object) -> object:
            if getattr(wanted, "address", "") == web.address:
                raise RuntimeError("a bug")
            return await fetch(self, wanted)  # type: ignore[arg-type] # it is the target

        with monkeypatch.context() as patched:
            patched.setattr(Fetcher, "fetch", faulty)
            async with source:
                answer = await ask(source, lambda answer: answer.samples and answer.incomplete)
                assert any("scraping it failed (RuntimeError)" in text for text in answer.warnings)
                assert "a bug" in caplog.text
                patched.undo()
                await ask(source, lambda answer: len(answer.samples) == 2 and not answer.incomplete)


async def test_a_target_that_fails_for_long_is_logged_once(caplog: pytest.LogCaptureFixture):
    async with exporter() as server, ScrapeBackend(settings(target(server.address))):
        server.status = 503
        await happens(lambda: len(server.visits) >= 5)
    assert sum("cannot be scraped" in record.message for record in caplog.records) == 1


async def test_what_a_target_once_said_is_forgotten_when_it_fails_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.scrape.loop._GRACE", 0.0)
    async with exporter(counting) as server, ScrapeLoop(settings(target(server.address), longest_window=1)) as loop:
        (watch,) = loop.watches.values()
        await happens(lambda: watch.history.size)
        server.status = 503
        await happens(lambda: not watch.history.size)
        assert loop.allowance.used == 0


async def test_what_a_text_said_before_it_broke_takes_no_room():
    async with exporter() as server, ScrapeLoop(settings(target(server.address))) as loop:
        (watch,) = loop.watches.values()

        def breaking(moment: float) -> bytes:
            return page(sample("requests_total", 5, code="200", request=str(moment)), "requests_total{code=200} 5\n")

        server.page = breaking
        await happens(lambda: watch.failure)
        visits = len(server.visits)
        await happens(lambda: len(server.visits) > visits + 5)
        assert "line 2 is malformed" in watch.failure
        assert loop.allowance.used <= 1
