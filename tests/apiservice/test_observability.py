"""What the parts tell those who count and log: each thing that happens is told once, and told as what it was."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import pytest
import uvloop

from apiservice.answers import Answers
from apiservice.app import AppOptions
from apiservice.federation.fanout import Fanout
from apiservice.handshakes import Doorstep
from apiservice.identity import TokenReviews, Unauthorized
from apiservice.kube import KubeClient
from apiservice.logformat import LogFormat
from apiservice.logs import level_of, writing_log
from apiservice.requestinfo import parse_request
from apiservice.telemetry import Telemetry
from metrics_api import BackendUnavailable, TrafficQuery, Window
from metrics_api.flight import Sharing, SingleFlight
from tests.apiservice.asking import SHOP, client
from tests.apiservice.memory import INSTANT, Memory, parse
from tests.doubles.authority import SERVER, Authority
from tests.doubles.clock import ManualClock
from tests.doubles.kube import TOKEN_REVIEWS, Failure, running_kube
from tests.unit.apiservice.test_traffic import Source

QUERY = TrafficQuery(kinds=("Deployment",), window=Window(30), instant=100)


def count(telemetry: Telemetry, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in telemetry.registry.collect()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what a server does in its own time."""
    for _ in range(500):
        if happened():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never happens")


@contextmanager
def logged(verbosity: int) -> Iterator[io.StringIO]:
    """The log; complete when the context is left."""
    stream = io.StringIO()
    with writing_log(stream, LogFormat.TEXT, level_of(verbosity)):
        yield stream


# Requests


async def test_a_client_that_has_gone_is_an_abort_and_no_answer() -> None:
    telemetry, service = Telemetry("0.1.0"), Memory(delay=60)
    with logged(3) as log:
        async with client(service, telemetry=telemetry) as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await session.get(f"{SHOP}/deployments")
            await service.cancelled.wait()
            await until(lambda: count(telemetry, "apiserver_request_aborts_total") > 0)
    assert count(telemetry, "apiserver_request_aborts_total", verb="LIST", resource="deployments", scope="namespace") == 1
    assert count(telemetry, "apiserver_request_total", verb="LIST") == 0
    assert log.getvalue().splitlines()[0].endswith('user="system:unsecured" resp=0')


async def test_a_watch_its_client_ends_is_no_abort() -> None:
    telemetry = Telemetry("0.1.0")
    async with client(telemetry=telemetry) as session:
        response = await session.get(f"{SHOP}/trafficmetrics?watch=1")
        assert response.status == 200
        response.close()
        await until(lambda: count(telemetry, "apiserver_request_total") > 0)
    assert count(telemetry, "apiserver_request_total", verb="WATCH", code="200") == 1
    assert count(telemetry, "apiserver_request_aborts_total") == 0
    assert count(telemetry, "apiserver_longrunning_requests") == 0


async def test_what_is_refused_or_cut_off_is_a_termination() -> None:
    telemetry, service = Telemetry("0.1.0"), Memory(delay=60)
    async with client(service, telemetry=telemetry, options=AppOptions("0.1.0", max_in_flight=1)) as session:
        waiting = asyncio.create_task(session.get(f"{SHOP}/deployments?timeout=300ms"))
        await service.arrivals.get()
        assert (await session.get(f"{SHOP}/deployments")).status == 429
        assert (await waiting).status == 504
    for code in ("429", "504"):
        assert count(telemetry, "apiserver_request_terminations_total", verb="LIST", code=code) == 1


@pytest.mark.parametrize(("verbosity", "requests"), [(0, 0), (2, 0), (3, 1)])
async def test_requests_are_logged_from_the_third_verbosity_on(verbosity: int, requests: int) -> None:
    with logged(verbosity) as log:
        async with client() as session:
            response = await session.get(f"{SHOP}/deployments?limit=2")
    assert log.getvalue().count('"HTTP" verb="LIST"') == requests
    assert log.getvalue().count(response.headers["Audit-Id"]) == requests


# Sources


class Shared(Sharing):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()

    def held(self) -> None:
        self.told["held"] += 1

    def missed(self) -> None:
        self.told["missed"] += 1

    def joined(self) -> None:
        self.told["joined"] += 1


async def test_of_equal_questions_one_is_missed_others_join_and_later_ones_are_held() -> None:
    sharing, source = Shared(), Source(gate=asyncio.Event())
    assert source.gate is not None
    fanout = Fanout.of([source], sharing=sharing)
    asking = [asyncio.create_task(fanout.gather(QUERY)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert sharing.told == {"missed": 1}
    source.gate.set()
    await asyncio.gather(*asking)
    await fanout.gather(QUERY)
    assert sharing.told == {"missed": 1, "joined": 2, "held": 1}


async def test_whole_answers_are_counted_likewise() -> None:
    sharing, service = Shared(), Memory(delay=0.05)
    answers = Answers(service, 5, clock=lambda: INSTANT, sharing=sharing)
    question = parse(parse_request("GET", f"{SHOP}/deployments", {}), {})
    await asyncio.gather(*(answers.answer(question) for _ in range(3)))
    await answers.answer(question)
    assert sharing.told == {"missed": 1, "joined": 2, "held": 1}


async def test_who_takes_over_the_work_of_another_has_joined_nobody() -> None:
    flight, told, go = SingleFlight[str](), Shared(), asyncio.Event()

    async def work() -> str:
        await go.wait()
        return "done"

    first, second = (asyncio.create_task(flight.once("key", work, told.joined)) for _ in range(2))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.sleep(0.01)
    go.set()
    assert await second == "done"
    assert told.told == {}


async def test_a_question_is_logged_with_what_came_of_it() -> None:
    fanout = Fanout.of([Source(), Source(error=BackendUnavailable("far", "is down"), name="far")])
    with logged(4) as log:
        await fanout.gather(QUERY)
    lines = [line for line in log.getvalue().splitlines() if "asked a source" in line]
    assert ['source="mesh" outcome="ok"' in line for line in lines] == [True, False]
    assert 'source="far" outcome="BackendUnavailable"' in lines[1]
    with logged(3) as log:
        await Fanout.of([Source()]).gather(QUERY)
    assert log.getvalue() == ""


# Reviews


async def test_reviews_are_told_apart_by_what_kube_apiserver_answers(tmp_path: Path) -> None:
    telemetry, clock = Telemetry("0.1.0"), ManualClock()
    async with running_kube(tmp_path) as kube, KubeClient.connect(str(kube.kubeconfig)) as calling:
        kube.tokens["good"] = {"username": "jane"}
        tokens = TokenReviews(calling, clock, telemetry.token_reviews)
        with logged(5) as log:
            for _ in range(2):
                await tokens.user("good")
            kube.failures[TOKEN_REVIEWS].append(Failure(403))
            with pytest.raises(Unauthorized):
                await tokens.user("s3cr3t")
    name = "apiserver_delegated_authn_request_total"
    assert [count(telemetry, name, code=code) for code in ("201", "403")] == [1, 1]
    name = "authentication_token_cache_request_total"
    assert [count(telemetry, name, status=status) for status in ("hit", "miss")] == [1, 2]
    name = "authentication_token_cache_fetch_total"
    assert [count(telemetry, name, status=status) for status in ("ok", "error")] == [1, 1]
    assert log.getvalue().count('"TokenReview" authenticated=true user="jane"') == 2
    assert "good" not in log.getvalue()
    assert "s3cr3t" not in log.getvalue()


async def test_no_answer_is_an_error_of_the_review(tmp_path: Path) -> None:
    telemetry = Telemetry("0.1.0")
    async with running_kube(tmp_path) as kube:
        kubeconfig = kube.kubeconfig.read_text().replace(kube.url, "https://127.0.0.1:1")
        kube.kubeconfig.write_text(kubeconfig)
        async with KubeClient.connect(str(kube.kubeconfig)) as nobody:
            with pytest.raises(Unauthorized):
                await TokenReviews(nobody, ManualClock(), telemetry.token_reviews).user("good")
    assert count(telemetry, "apiserver_delegated_authn_request_total", code="<error>") == 1


# Handshakes


class Hello(asyncio.Protocol):
    """Says hello, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(b"hello")
        transport.close()


@asynccontextmanager
async def doorstep(directory: Path, failed: Callable[[], None]) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """A TLS server behind a doorstep: its port, and how to trust it."""
    authority = Authority("ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost", usage=(SERVER,), names=("localhost",)).save(directory, "serving"))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Doorstep(Hello, failed), "127.0.0.1", 0, ssl=context, ssl_handshake_timeout=0.5)
    async with server:
        yield server.sockets[0].getsockname()[1], ssl.create_default_context(cadata=authority.pem)


def test_handshakes_that_fail_are_counted_and_those_that_succeed_are_not(tmp_path: Path) -> None:
    failures: list[int] = []

    async def count_failures() -> list[int]:
        seen = []
        async with doorstep(tmp_path, lambda: failures.append(1)) as (port, trusting):
            reader, writer = await asyncio.open_connection("localhost", port, ssl=trusting)
            assert await reader.read() == b"hello"
            writer.close()
            await asyncio.sleep(0.1)
            seen.append(len(failures))
            # Does not trust the server; sends no TLS; says nothing and leaves; says nothing and stays.
            with pytest.raises(ssl.SSLError):
                await asyncio.open_connection("localhost", port, ssl=ssl.create_default_context())
            await asyncio.sleep(0.1)
            seen.append(len(failures))
            for words, wait in ((b"GET / HTTP/1.1\r\n\r\n", 0.1), (b"", 0.1), (b"", 0.8)):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(words)
                if wait < 0.5:
                    writer.close()
                await asyncio.sleep(wait)
                seen.append(len(failures))
                writer.close()
        return seen

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(count_failures()) == [0, 1, 2, 3, 4]
