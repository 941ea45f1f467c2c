"""The scrape source against real servers: what it answers, what it says about what it could not see, and that it ends."""

from __future__ import annotations

import asyncio
import json
import math
import ssl
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from backends.dialects import load_dialect
from backends.scrape import ScrapeBackend, Target
from backends.transport import Credentials, TlsSettings
from metrics_api import Answer, BackendUnavailable, Direction, Histogram, ResourceRef, Side, TrafficQuery, Window
from tests.backends.scrape.sources import INTERVAL, ask, counting, happens, question, refused, settings, target
from tests.doubles.authority import Authority
from tests.doubles.exporter import Exporter, exporter, page, sample

WEB = ResourceRef("Deployment", "shop", "web")


def seen(answer: Answer) -> set[str]:
    return {sample.resource.name for sample in answer.samples}


def rate(answer: Answer, name: str = "web") -> tuple[float, float]:
    """Successes and failures per second of the window; 0 before there are any."""
    rows = [sample for sample in answer.samples if sample.resource.name == name]
    return sum(row.success or 0 for row in rows) / answer.window.seconds, sum(
        row.failure or 0 for row in rows
    ) / answer.window.seconds


def right(answer: Answer) -> bool:
    """Whether the 100 successes a second are seen. On a busy machine a scrape may be late, and then it takes another window."""
    return rate(answer)[0] == pytest.approx(100, rel=0.05)


async def visited(server: Exporter, more: int) -> None:
    """Wait for some more visits."""
    visits = len(server.visits)
    await happens(lambda: len(server.visits) >= visits + more)


async def test_counts_and_latencies_come_out_of_memory():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        answer = await ask(source, right, seconds=2, past=True)
        (row,) = answer.samples
    assert (row.resource, row.direction, row.side, row.source, row.dialect) == (WEB, Direction.FROM, Side.SERVER, "mesh", "small")
    success, failure = rate(answer)
    assert failure == pytest.approx(success / 10, rel=0.01)
    assert isinstance(row.latency, Histogram)
    assert row.latency.bounds == (0.005, 0.01, math.inf)
    assert row.latency.total == pytest.approx(success * 1.1 * answer.window.seconds, rel=0.01)
    assert row.latency.quantile(0.5) == pytest.approx(0.005, rel=0.01)


async def test_a_query_the_dialect_cannot_answer_is_refused_beforehand():
    source = ScrapeBackend(settings(target("127.0.0.1:1")))
    reason = source.refusal(TrafficQuery(("TrafficSplit",), Window(30), 0))
    assert reason is not None
    assert "TrafficSplit" in reason
    assert source.refusal(question()) is None


async def test_targets_are_added_up_and_each_row_keeps_its_name():
    async with exporter(counting) as one, exporter(counting) as two, exporter(counting) as other:
        targets = target(one.address), target(two.address), target(other.address, "api")
        async with ScrapeBackend(settings(*targets)) as source:
            # Twice a hundred and once: what both are called is added up.
            answer = await ask(source, lambda answer: rate(answer)[0] == pytest.approx(200, rel=0.05), seconds=2, past=True)
    assert seen(answer) == {"web", "api"}


async def test_a_counter_that_restarts_loses_nothing_it_had_counted():
    async with exporter() as web, ScrapeBackend(settings(target(web.address))) as source:
        for value in (1000, 1100, 20):
            web.page = page(sample("requests_total", value, code="200"))
            await visited(web, 4)
        answer = await ask(source, lambda answer: answer.samples)
    (row,) = answer.samples
    # 100 before the restart and 20 after it, and what is extrapolated to the window's edges.
    assert row.success == pytest.approx(120, rel=0.2)


async def test_samples_after_the_instant_do_not_count():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        before = await ask(source, right, seconds=2, past=True)
        instant = before.instant
        web.page = page(sample("requests_total", 1e15, code="200"))
        await visited(web, 3)
        assert (await source.answer(question(2, instant))).samples == before.samples


async def test_before_anything_was_scraped_nothing_is_answered():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        with pytest.raises(BackendUnavailable, match="numbers need two scrapes") as caught:
            await source.answer(question())
    assert caught.value.retry_after == 1
    assert caught.value.backend == "mesh"


async def test_when_no_target_answers_the_reason_is_told_and_where():
    async with exporter() as dead:
        address = dead.address
    async with ScrapeBackend(settings(target(address))) as source:
        error = await refused(source, "no target answers")
    assert address in error.message
    assert "refused" in error.message.lower()


async def test_targets_that_fail_are_named_and_the_others_answer():
    async with AsyncExitStack() as stack:
        dead = [await stack.enter_async_context(exporter()) for _ in range(5)]
        for server in dead:
            server.status = 503
        web = await stack.enter_async_context(exporter(counting))
        targets = [target(server.address, f"dead-{index}") for index, server in enumerate(dead)]
        source = await stack.enter_async_context(ScrapeBackend(settings(*targets, target(web.address))))
        answer = await ask(source, lambda answer: "5 of 6" in "".join(answer.warnings) and answer.samples)
        assert answer.incomplete
        (warning,) = [text for text in answer.warnings if "cannot be scraped" in text]
        assert 'source "mesh"' in warning
        assert sum(server.address in warning for server in dead) == 3
        assert "HTTP 503" in warning
        assert "2 more" in warning
        for server in dead:
            server.status, server.page = 200, counting
        answer = await ask(source, lambda answer: not answer.incomplete and len(answer.samples) == 6)
        assert seen(answer) == {"web", *(f"dead-{index}" for index in range(5))}


async def test_targets_not_scraped_yet_are_counted():
    async with exporter(counting) as web, exporter(counting) as slow:
        slow.delay = 60
        targets = target(web.address), target(slow.address, "slow")
        async with ScrapeBackend(settings(*targets, timeout=50.0)) as source:
            answer = await ask(source, lambda answer: answer.samples)
    assert answer.incomplete
    assert any("1 of 2 targets have not been scraped yet" in text for text in answer.warnings)


async def test_what_failed_a_moment_ago_is_still_in_the_window():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        await ask(source, lambda answer: answer.samples)
        web.status = 500
        answer = await ask(source, lambda answer: answer.incomplete)
        assert seen(answer) == {"web"}
        # In a window that holds none of its samples any more, nothing is known.
        await refused(source, "no target answers", seconds=1)


async def test_after_an_outage_what_nobody_counted_is_missing_and_said_to_be():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        await ask(source, right, seconds=1, past=True)
        web.status = 500
        await refused(source, "no target answers", seconds=1)
        # It comes back in the middle of a window of a second.
        await asyncio.sleep((0.5 - time.time()) % 1)
        web.status = 200
        answer = await ask(
            source, lambda answer: "cannot be" not in "".join(answer.warnings) and not right(answer), seconds=1, past=True
        )
        assert rate(answer)[0] < 80
        assert answer.incomplete
        assert any("not scraped in a part of the window, and what was counted there is missing" in told for told in answer.warnings)
        assert right(await ask(source, lambda answer: not answer.incomplete, seconds=1, past=True))


async def test_a_window_shorter_than_two_scrapes_names_the_shortest_useful_one():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address), interval=0.8)) as source:
        answer = await ask(source, lambda answer: answer.samples, seconds=4)
        assert not any("too short" in text for text in answer.warnings)
        answer = await source.answer(question(1))
    (warning,) = answer.warnings
    assert "every 0.8s" in warning
    assert "1s is too short" in warning
    assert "shortest useful one is 2s" in warning
    assert not answer.incomplete


async def test_a_window_longer_than_history_is_answered_for_what_is_covered():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        started = time.time()
        answer = await ask(source, lambda answer: answer.window.seconds >= 3, seconds=60)
        assert answer.window.seconds <= time.time() - started + 2
    assert answer.warnings == (f'source "mesh" has no older samples: the numbers cover {answer.window}, not 1m0s',)
    assert not answer.incomplete


async def test_a_window_longer_than_is_kept_says_so():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address), longest_window=2)) as source:
        answer = await ask(source, lambda answer: answer.window.seconds == 2 and right(answer), seconds=3600, past=True)
    (warning,) = answer.warnings
    assert 'keeps 2s of history, which "longestWindow" sets' in warning
    assert "cover 2s, not 1h0m0s" in warning
    # A window of a young source is whole seconds, so up to one of them is not covered.
    assert 45 < rate(answer)[0] < 110


async def test_a_window_longer_than_is_kept_is_cut_to_what_is_kept_even_if_a_little_more_is_there():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address), longest_window=1)) as source:
        await ask(source, lambda answer: answer.window.seconds == 1, seconds=2, past=True)
        await visited(web, 25)
        answer = await ask(source, lambda answer: answer.samples, seconds=2, past=True)
    assert answer.window == Window(1)
    assert 'keeps 1s of history, which "longestWindow" sets' in "".join(answer.warnings)


async def test_a_covered_window_is_the_one_asked_for():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        answer = await ask(source, lambda answer: not answer.warnings and right(answer), seconds=2, past=True)
    assert answer.window == Window(2)


async def test_the_series_limit_is_told():
    def many(moment: float) -> bytes:
        return page(*(sample("requests_total", moment, code="200", path=str(number)) for number in range(50)))

    async with exporter(many) as web, ScrapeBackend(settings(target(web.address), series_limit=20)) as source:
        answer = await ask(source, lambda answer: answer.samples)
    assert answer.incomplete
    (warning,) = [text for text in answer.warnings if "seriesLimit" in text]
    assert "keeps 20 series at most and leaves out 30" in warning


async def test_the_targets_file_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.scrape.loop._GRACE", 0.0)
    path = tmp_path / "targets.json"

    def write(*members: tuple[Exporter, str]) -> None:
        groups = [{"targets": [server.address], "labels": {"namespace": "shop", "app": app}} for server, app in members]
        (tmp_path / "next").write_text(json.dumps(groups))
        (tmp_path / "next").rename(path)

    source = ScrapeBackend(settings(targets_file=str(path), longest_window=1))
    async with exporter(counting) as web, exporter(counting) as api, source:
        await refused(source, "No such file")
        write()
        await refused(source, "lists none")
        write((web, "web"))
        await ask(source, lambda answer: seen(answer) == {"web"})
        write((web, "web"), (api, "api"))
        await ask(source, lambda answer: seen(answer) == {"web", "api"})
        path.write_text("[{")
        answer = await ask(source, lambda answer: answer.incomplete and seen(answer) == {"web", "api"})
        assert any("not JSON" in text and "scraped on" in text for text in answer.warnings)
        write((api, "api"))
        # It is no failure that web is gone; its last samples count until the window has passed.
        await ask(source, lambda answer: seen(answer) == {"api"} and not answer.incomplete)
        visits = len(web.visits)
        await asyncio.sleep(3 * INTERVAL)
        assert len(web.visits) == visits
        write((api, "api"), (web, "web"))
        await ask(source, lambda answer: seen(answer) == {"web", "api"})


async def test_everything_ends_with_its_owner():
    before = asyncio.all_tasks()
    async with exporter(counting) as web:
        running = asyncio.all_tasks()
        source = ScrapeBackend(settings(target(web.address)))
        async with source:
            await ask(source, lambda answer: answer.samples)
            assert len(asyncio.all_tasks()) > len(running)
        assert not [task for task in asyncio.all_tasks() - running - before if task.get_name().startswith("mesh")]
        visits = len(web.visits)
        await asyncio.sleep(3 * INTERVAL)
        assert len(web.visits) == visits


async def test_it_ends_in_the_middle_of_a_scrape():
    async with exporter(counting) as web:
        web.delay = 30
        async with ScrapeBackend(settings(target(web.address), timeout=60.0)):
            await happens(lambda: web.under_way)
        await happens(lambda: not web.under_way)


async def test_it_can_be_opened_again():
    async with exporter(counting) as web:
        source = ScrapeBackend(settings(target(web.address)))
        for _ in range(2):
            async with source:
                await ask(source, lambda answer: answer.samples)
                await visited(web, 2)


async def test_a_target_is_asked_as_the_configuration_says(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("first\n")
    credentials = Credentials("mesh", fixed={"X-Team": "a"}, bearer_token_file=str(token))
    async with exporter(counting) as web:
        web.gzip = True
        async with ScrapeBackend(settings(target(web.address), credentials=credentials)) as source:
            await ask(source, lambda answer: answer.samples)
            headers = web.visits[0].headers
            assert web.visits[0].path == "/stats/prometheus"
            assert headers["X-Team"] == "a"
            assert headers["Authorization"] == "Bearer first"
            assert headers["Accept-Encoding"] == "gzip"
            assert headers["Accept"].startswith("text/plain;version=0.0.4")
            token.write_text("second\n")
            await happens(lambda: web.visits[-1].headers["Authorization"] == "Bearer second")
            token.unlink()
            answer = await ask(source, lambda answer: answer.incomplete)
    assert any(f'the credentials in "{token}" cannot be read' in text for text in answer.warnings)


async def test_tls_is_verified(tmp_path: Path):
    authority = Authority("proxies", use_rsa=False)
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.pem)
    context: ssl.SSLContext = authority.server_context("127.0.0.1", directory=tmp_path)
    async with exporter(counting, context) as web:
        secure = replace(target(web.address), scheme="https")
        async with ScrapeBackend(settings(secure)) as source:
            error = await refused(source, "no target answers")
            assert "not trusted" in error.message
            assert not web.visits
        async with ScrapeBackend(settings(secure, tls=TlsSettings(ca_file=str(ca)))) as source:
            await ask(source, lambda answer: answer.samples)


async def test_scrapes_under_way_are_bounded():
    async with exporter(counting) as web:
        web.delay = 0.02
        targets = [target(web.address, f"app-{number}") for number in range(30)]
        async with ScrapeBackend(settings(*targets, concurrency=3)) as source:
            await ask(source, lambda answer: len(seen(answer)) == 30)
    assert web.busiest == 3


async def test_targets_are_not_all_asked_at_once():
    async with exporter(counting) as web:
        targets = [replace(target(web.address), path=f"/{number}") for number in range(40)]
        started = time.time()
        async with ScrapeBackend(settings(*targets, interval=1.0)):
            await happens(lambda: len(web.visits) >= 40)
    first = sorted(visit.moment - started for visit in web.visits[:40])
    assert first[-1] - first[0] > 0.6
    assert all(later - earlier < 0.5 for earlier, later in pairwise(first))


async def test_a_slow_target_skips_beats_and_does_not_pile_up():
    async with exporter(counting) as web:
        web.delay = 2.5 * INTERVAL
        async with ScrapeBackend(settings(target(web.address))):
            await happens(lambda: len(web.visits) >= 4)
        assert web.busiest == 1
        moments = [visit.moment for visit in web.visits]
    assert all(later - earlier > 2.5 * INTERVAL for earlier, later in pairwise(moments))


async def test_a_built_in_dialect_reads_an_envoy():
    def envoy(moment: float) -> bytes:
        cluster = {"envoy_cluster_name": "api.shop"}
        return page(
            "# TYPE envoy_cluster_upstream_rq_xx counter\n",
            sample("envoy_cluster_upstream_rq_xx", moment * 3, envoy_response_code_class="2", envoy_cluster_name="local_app"),
            sample("envoy_cluster_upstream_rq_xx", moment * 2, envoy_response_code_class="2", **cluster),
            sample("envoy_cluster_upstream_rq_xx", moment, envoy_response_code_class="5", **cluster),
            "# TYPE envoy_server_live gauge\n",
            sample("envoy_server_live", 1),
        )

    async with exporter(envoy) as server:
        proxy = Target(server.address, labels=(("deployment", "web"), ("namespace", "shop")))
        async with ScrapeBackend(settings(proxy, dialect=load_dialect("envoy"))) as source:
            await ask(source, lambda answer: answer.samples)
            edges = TrafficQuery(("Deployment",), Window(30), int(time.time()) + 1, name="web", namespace="shop", edges=True)
            answer = await source.answer(edges)
    (row,) = answer.samples
    assert (row.direction, row.side, row.peer) == (Direction.TO, Side.CLIENT, ResourceRef("Workload", "shop", "api"))
    assert row.success == pytest.approx(2 * (row.failure or 0))
