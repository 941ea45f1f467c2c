"""Two clusters behind one server: whatever is seen of them, what is told of one is what it would be without the other."""

from __future__ import annotations

import asyncio
import string
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from apiservice.rownames import join_cluster, split_cluster
from apiservice.watching.changes import by_key
from metrics_api import ANY_WORKLOAD, EVERYTHING, Direction, Histogram, ResourceRef, Sample, Side, TrafficMetrics
from metrics_api.resources import host
from tests.apiservice.fleets import Mesh, alone, ask, clusters

CLUSTER = "metrics.smi-spec.io/cluster"

NAMES = st.sampled_from(["web", "api", "web.v2"])
WORKLOADS = st.builds(ResourceRef, st.sampled_from(["Deployment", "Pod", ANY_WORKLOAD]), st.sampled_from(["shop", "data"]), NAMES)
PEERS = st.one_of(WORKLOADS, st.builds(host, st.sampled_from(["example.com", "web", "web@west"])))
ENDS = st.tuples(PEERS, st.sampled_from(Direction)) | st.just((EVERYTHING, Direction.FROM))
SAMPLES = st.builds(
    lambda resource, ends, *rest: Sample(resource, *ends, *rest, source="mesh"),
    WORKLOADS,
    ENDS,
    st.sampled_from(Side),
    st.none() | st.integers(0, 99).map(float),
    st.none() | st.integers(0, 99).map(float),
    st.none() | st.just(Histogram((0.1, float("inf")), (3.0, 0.0))),
)
MESHES = st.builds(
    Mesh,
    st.lists(SAMPLES, max_size=8, unique_by=lambda sample: sample.about).map(tuple),
    warnings=st.sampled_from([(), ("half of it is missing",)]),
    late=st.sampled_from([0, 5]),
)
PATHS = st.sampled_from(
    [
        ("deployments", ""),
        ("trafficmetrics", "resource.name!=web"),
        ("trafficmetrics", ""),
        ("namespaces/shop/trafficmetrics", "edge.direction=to"),
        ("trafficmetrics", "edge.side=server"),
        ("namespaces/shop/trafficmetrics", "resource.kind=Pod"),
    ]
)


@given(MESHES, MESHES, PATHS)
def test_what_is_told_of_a_cluster_is_what_a_server_of_that_cluster_alone_tells(here: Mesh, there: Mesh, asked: tuple[str, str]):
    path, selector = asked

    async def told() -> None:
        both = await ask(clusters("east", {"east": here, "west": there}), path, selector=selector)
        assert len(by_key(both.rows)) == len(both.rows)
        assert {row.told_at for row in both.rows} <= {both.instant}
        assert both.incomplete is bool(here.warnings or there.warnings)
        for cluster, mesh in (("east", here), ("west", there)):
            single = await ask(alone(mesh), path, selector=selector)
            rows = [_as_alone(row, single.instant) for row in both.rows if row.cluster == cluster]
            assert sorted(rows, key=repr) == sorted(single.rows, key=repr)
            for row in single.rows:
                name = row.name if cluster == "east" else f"{row.name}@west"
                assert name in [each.name for each in both.rows]

    asyncio.run(told())


def _as_alone(row: TrafficMetrics, instant: int) -> TrafficMetrics:
    """The row as if there were one cluster without a name, whose answer is of ``instant``."""
    annotations = {key: value for key, value in row.annotations.items() if key != CLUSTER}
    version = None if row.instant == instant else instant
    name = row.name.removesuffix("@west") if row.cluster == "west" else row.name
    return replace(row, name=name, cluster="", annotations=annotations, version=version)


@given(st.text(string.ascii_letters + ".-@", min_size=1), st.text(string.ascii_letters + ".-", min_size=1))
def test_a_name_and_its_cluster_are_told_apart_whatever_a_host_is_called(peer: str, cluster: str):
    name = f"deployment.web.to.{peer.replace('@', '@@')}"
    assert split_cluster(join_cluster(name, cluster)) == (name, cluster)
    assert split_cluster(name) == (name, "")
