"""What needs life: stores and sources that scrape a running fleet, some of whose pods restart, tell the truth within one percent.

Every question of every mesh is asked in ``test_backfilled.py``, where counts are exact; the scrape source has no past but its own.
"""

from __future__ import annotations

import pytest

from metrics_api import ResourceRef, Sample
from tests.doubles.mesh_truth import Asked, Key, refused, rows
from tests.doubles.meshes.all import MESHES
from tests.truth.comparison import keyed, wrong_counts, wrong_percentiles, wrong_rows
from tests.truth.conftest import LIVE, WINDOW, Fleet
from tests.truth.questions import QUESTIONS, query_of

pytestmark = pytest.mark.real

SCRAPED = [name for name, mesh in MESHES.items() if mesh.scraped]

MARGIN = 0.004
"""How far, in shares of all requests, a percentile may be from the true one: counts are a little off, too."""

RESTART = 0.19
"""What a pod that restarts once a window may lose of its own per second from one scrape to the next: all until the restart, at worst."""


async def answer(fleet: Fleet, store: str, mesh: str, asked: Asked) -> dict[Key, Sample]:
    """The rows of an answer."""
    found = await fleet.sources[store, mesh].answer(query_of(asked, WINDOW, fleet.instant))
    return keyed(found, MESHES[mesh], asked)


async def check(fleet: Fleet, store: str, mesh: str, asked: Asked) -> None:
    """Compare one answer with the facts."""
    want = rows(MESHES[mesh], asked)
    got = await answer(fleet, store, mesh, asked)
    assert not wrong_rows(got, want)
    restart = RESTART if mesh in LIVE else 2 * RESTART
    assert not wrong_counts(got, want, WINDOW.seconds, error=0.01, whole=0.002, restart=restart)
    assert not wrong_percentiles(MESHES[mesh], got, want, margin=MARGIN)


@pytest.mark.parametrize("question", ["deployments-totals", "pods-totals", "workloads-edges"])
@pytest.mark.parametrize("mesh", LIVE)
@pytest.mark.parametrize("store", ["prometheus", "victoria-metrics"])
async def test_a_store_that_scrapes_answers_the_truth(fleet: Fleet, store: str, mesh: str, question: str):
    await check(fleet, store, mesh, QUESTIONS[question])


@pytest.mark.parametrize(
    ("mesh", "asked"),
    [
        pytest.param(mesh, asked, id=f"{mesh}-{title}")
        for mesh in SCRAPED
        for title, asked in QUESTIONS.items()
        if title.endswith(("-totals", "-edges")) and not refused(MESHES[mesh], asked)
    ],
)
async def test_the_scrape_source_answers_the_truth(fleet: Fleet, mesh: str, asked: Asked):
    await check(fleet, "scraping", mesh, asked)


@pytest.mark.parametrize("mesh", SCRAPED)
async def test_the_scrape_source_refuses_what_a_mesh_can_never_answer(fleet: Fleet, mesh: str):
    source = fleet.sources["scraping", mesh]
    never = {title for title, asked in QUESTIONS.items() if refused(MESHES[mesh], asked)}
    assert {title for title, asked in QUESTIONS.items() if source.refusal(query_of(asked, WINDOW, fleet.instant))} == never


@pytest.mark.parametrize("mesh", LIVE)
async def test_an_idle_workload_has_counts_of_zero_and_no_percentile(fleet: Fleet, mesh: str):
    got = await answer(fleet, "scraping", mesh, Asked(("Deployment",), namespace="shop", name="idle"))
    (sample,) = got.values()
    assert (sample.success, sample.failure) == (0.0, 0.0)
    assert sample.latency is not None
    assert [sample.latency.quantile(q) for q in (0.5, 0.9, 0.99)] == [None, None, None]


@pytest.mark.parametrize("edges", [False, True], ids=["total", "edges"])
@pytest.mark.parametrize("mesh", LIVE)
async def test_a_workload_without_series_has_no_sample(fleet: Fleet, mesh: str, *, edges: bool):
    asked = Asked(("Deployment",), namespace="shop", name="ghost", edges=edges)
    assert await answer(fleet, "scraping", mesh, asked) == {}


@pytest.mark.parametrize("mesh", LIVE)
async def test_a_service_that_nobody_answers_for_is_seen_by_its_callers(fleet: Fleet, mesh: str):
    got = await answer(fleet, "scraping", mesh, Asked(("Service",), namespace="shop", name="dead"))
    assert [(sample.side.value, sample.success) for sample in got.values()] == [("client", 0.0)]


async def test_a_self_call_is_an_edge_in_both_directions(fleet: Fleet):
    got = await answer(fleet, "scraping", "linkerd", Asked(("Deployment",), namespace="shop", name="api", edges=True))
    api = ResourceRef("Deployment", "shop", "api")
    assert {(api, api, "to"), (api, api, "from")} <= got.keys()
