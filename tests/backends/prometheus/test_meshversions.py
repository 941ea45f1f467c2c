"""Versions and namespaces of meshes, told by a real store: of an upgrade both versions, of what is not visible nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from backends.dialects import Dialect, builtin_dialects, load_dialect, parse_matchers
from backends.dialects.overrides import Overrides, override
from backends.prometheus import PrometheusSettings
from backends.prometheus.client import PrometheusClient, Vector
from backends.prometheus.diagnosis import diagnose
from backends.prometheus.meshversions import find_meshes, find_namespaces
from metrics_api import Window
from metrics_api.diagnosis import Diagnosis, Mesh
from tests.backends.prometheus.cases import CASES, NOW, OneSeries, history, mesh, store_of

pytestmark = pytest.mark.real

ISTIO = load_dialect("istio")

BUILDS: Mapping[str, list[OneSeries]] = {
    "istio": [
        OneSeries("istio_build", {"component": "pilot", "tag": "1.24.1", "instance": "a"}, 1, 0),
        OneSeries("istio_build", {"component": "proxy", "tag": "1.9.2", "instance": "b"}, 1, 0),
        OneSeries("istio_build", {"component": "proxy", "tag": "1.24.1", "instance": "c"}, 1, 0),
        OneSeries("istio_build", {"component": "proxy", "tag": "unknown", "instance": "d"}, 1, 0),
    ],
    "linkerd": [
        OneSeries("proxy_build_info", {"version": "2.366.0", "git_sha": "cafe", "profile": "release", "vendor": "linkerd"}, 1, 0)
    ],
    "kuma": [
        OneSeries("cp_info", {"product": "Kuma", "version": "2.9.1", "instance_id": "cp-1"}, 1, 0),
        OneSeries("cp_info", {"version": "of something else"}, 1, 0),
    ],
    "consul": [OneSeries("consul_version", {"version": "1.20.1", "pre_release": ""}, 1, 0)],
    "cilium": [OneSeries("cilium_version", {"version": "1.16.5", "revision": "cafe", "arch": "amd64"}, 1, 0)],
    "osm": [OneSeries("osm_version_info", {"version": "v1.2.4", "build_date": "x", "git_commit": "y"}, 1, 0)],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A mesh beside which every version is told, and one beside which none is."""
    upgraded = [*mesh(), *(series for some in BUILDS.values() for series in some)]
    with store_of(tmp_path_factory.mktemp("versions"), [history(upgraded, "told"), CASES["healthy"]]) as store:
        yield store


async def examine(url: str, case: str) -> Diagnosis:
    ours = Overrides(match=parse_matchers(f'case="{case}"'))
    return await diagnose(PrometheusSettings("mesh", url, override(ISTIO, ours), overrides=ours), Window(60), NOW)


async def test_an_upgrade_shows_both_versions_and_a_proxy_that_was_not_told_shows_none(url: str):
    diagnosis = await examine(url, "told")
    assert diagnosis.meshes == (Mesh("Istio", "istio", ("1.9.2", "1.24.1")),)
    assert diagnosis.findings == ()


async def test_a_mesh_whose_version_nobody_keeps_is_told_without(url: str):
    assert (await examine(url, "healthy")).meshes == (Mesh("Istio", "istio"),)


async def test_the_namespaces_of_both_ends_are_seen(url: str):
    assert (await examine(url, "healthy")).namespaces == frozenset({"shop"})


async def test_where_nothing_is_kept_there_is_no_mesh(url: str):
    diagnosis = await examine(url, "no-such-case")
    assert (diagnosis.meshes, diagnosis.namespaces) == ((), None)


async def test_one_query_asks_for_the_versions_of_all_meshes(url: str):
    asked: list[str] = []

    class Counting(PrometheusClient):
        async def query(self, promql: str, instant: int) -> Vector:
            asked.append(promql)
            return await super().query(promql, instant)

    async with Counting(PrometheusSettings("mesh", url, None)) as client:
        found = {mesh.dialect: mesh for mesh in await find_meshes(client, every_dialect(), NOW)}
    assert len(asked) == 1
    assert {name: made.versions for name, made in found.items() if made.versions} == {
        "cilium": ("1.16.5",),
        "consul": ("1.20.1",),
        "istio": ("1.9.2", "1.24.1"),
        "kuma": ("2.9.1",),
        "linkerd": ("2.366.0",),
        "linkerd-policy": ("2.366.0",),
        "osm": ("v1.2.4",),
    }
    assert (found["linkerd"].of, found["istio"].of) == ("proxy", "")
    assert set(found) == set(builtin_dialects())


async def test_a_dialect_whose_labels_hold_no_namespace_as_it_is_tells_none(url: str):
    async with PrometheusClient(PrometheusSettings("mesh", url, None)) as client:
        assert await find_namespaces(client, [load_dialect("osm")], NOW) is None
        assert await find_namespaces(client, [ISTIO], NOW) == frozenset({"shop"})


def every_dialect() -> list[Dialect]:
    return [load_dialect(name) for name in builtin_dialects()]
