"""What is kept of a page that is looked at: what tells something, and not the thousands of buckets beside it."""

from __future__ import annotations

from collections.abc import Sequence

from backends.dialects import Dialect, load_dialect
from backends.scrape import ScrapeSettings, Target
from backends.scrape.fetch import Fetcher
from backends.scrape.inspection import Lens, Look, evidence_of, look_at
from tests.doubles.exporter import exporter

ISTIO = load_dialect("istio")
LABELS = 'reporter="{reporter}",source_workload="web",destination_workload="api",response_code="200"'
BOUNDS = [*(str(number) for number in range(1, 20)), "+Inf"]


def page(reporters: Sequence[str] = ("source", "destination")) -> str:
    lines = []
    for labels in (LABELS.format(reporter=reporter) for reporter in reporters):
        lines.append(f"istio_requests_total{{{labels}}} 7")
        lines += [f'istio_request_duration_milliseconds_bucket{{{labels},le="{bound}"}} 7' for bound in BOUNDS]
        lines.append(f"istio_request_duration_milliseconds_sum{{{labels}}} 7")
        lines.append(f"istio_response_bytes_sum{{{labels}}} 7")
    return "\n".join((*lines, ""))


async def looked(dialect: Dialect, text: str) -> Look:
    async with exporter(text.encode()) as web:
        target = Target(web.address, "/metrics")
        settings = ScrapeSettings("edge", dialect, (target,))
        async with Fetcher(settings) as fetcher:
            return await look_at(fetcher, target, settings, Lens.of([dialect]))


async def test_of_each_histogram_one_bucket_is_kept_and_all_are_counted():
    look = await looked(ISTIO, page())
    assert sorted(name for name, _ in look.series) == [
        *["istio_request_duration_milliseconds_bucket"] * 2,
        *["istio_requests_total"] * 2,
    ]
    assert look.sizes == {
        "istio_requests_total": 2,
        "istio_request_duration_milliseconds_bucket": 40,
        "istio_request_duration_milliseconds_sum": 2,
    }


async def test_every_view_sees_that_its_latencies_are_there():
    for reporters, timed in ((("source", "destination"), {True}), (("source",), {True, False})):
        evidence = evidence_of(ISTIO, (await looked(ISTIO, page(reporters))).series)
        assert {seen.timed for view, seen in zip(ISTIO.views, evidence, strict=True) if view.latencies} == timed
