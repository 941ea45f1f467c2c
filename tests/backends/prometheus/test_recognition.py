"""Recognising dialects: a store of one mesh is recognised as that mesh and nothing else, at the cost of one small query."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends.dialects import builtin_dialects, load_dialect, parse_dialect, parse_matchers
from backends.dialects.overrides import Overrides, override
from backends.prometheus.client import PrometheusClient, Series, Vector
from backends.prometheus.recognition import candidates, recognise
from backends.prometheus.settings import PrometheusSettings
from tests.doubles.backfill import INSTANT, backfilled_prometheus, series
from tests.doubles.meshes.all import MESHES

pytestmark = pytest.mark.real

MARK = "kept_by"


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PrometheusClient]:
    """A store that keeps every mesh there is, told apart by a label of their stores."""
    kept = {}
    for name, mesh in MESHES.items():
        for text, moves in series(mesh).items():
            kept[f'{text.removesuffix("}")},{MARK}="{name}"}}'] = moves
    with backfilled_prometheus(tmp_path_factory.mktemp("every-mesh"), kept, (INSTANT,)) as url:
        async with PrometheusClient(PrometheusSettings("store", url, None)) as client:
            yield client


def of_stores(*names: str) -> list[object]:
    """Every candidate, as it looks at the stores of these meshes alone."""
    only = Overrides(match=parse_matchers(f'{MARK}=~"{"|".join(names)}"'))
    return [override(dialect, only) for dialect in candidates()]


@pytest.mark.parametrize("name", builtin_dialects())
async def test_a_store_of_one_mesh_is_recognised_as_that_mesh_alone(client: PrometheusClient, name: str):
    found = await recognise(client, INSTANT, of_stores(name))
    assert [dialect.name for dialect in found] == [name]


async def test_a_store_of_several_meshes_is_recognised_as_all_of_them_and_those_out_of_traces_come_last(client: PrometheusClient):
    found = await recognise(client, INSTANT, of_stores("otel-servicegraph", "otel-spanmetrics", "traefik-mesh", "istio", "linkerd"))
    assert [dialect.name for dialect in found] == ["istio", "linkerd", "traefik-mesh", "otel-servicegraph", "otel-spanmetrics"]


async def test_series_that_ended_are_not_kept_any_more(client: PrometheusClient):
    assert await recognise(client, INSTANT + 3600, of_stores("istio")) == ()


async def test_all_dialects_are_asked_for_in_one_query_that_answers_one_number_each():
    asked = []

    class Store:
        async def query(self, promql: str, instant: int) -> Vector:
            asked.append((promql, instant))
            return Vector([Series({"trafficmetrics_dialect": "1"}, (1.0, "7"))])

    first, second, third = (load_dialect(name) for name in ("istio", "linkerd", "consul"))
    assert await recognise(Store(), 7, (first, second, third)) == (second,)
    ((promql, instant),) = asked
    assert instant == 7
    assert promql.count("label_replace(count(") == 3


async def test_without_signs_nothing_is_asked():
    nothing = parse_dialect(
        "{name: own, views: [{name: v, side: server, requests: r_total, outcome: [{success: {}}], destination: [{Host: {name: h}}]}]}",
        "own",
    )

    class Store:
        async def query(self, promql: str, instant: int) -> Vector:
            raise AssertionError(promql, instant)

    assert await recognise(Store(), 7, (nothing,)) == ()
