"""``kubectl traffic …`` becomes the ``kubectl get …`` that answers it."""

from __future__ import annotations

import pytest

from kubectl_traffic.command import kubectl_arguments
from metrics_api import BadQuery


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "get trafficmetrics"),
        ("-n shop", "get trafficmetrics -n shop"),
        ("-A -o wide", "get trafficmetrics -A -o wide"),
        ("deploy", "get deployments.metrics.smi-spec.io"),
        ("cj/nightly -n shop", "get cronjobs.metrics.smi-spec.io nightly -n shop"),
        ("ts/canary -n shop", "get trafficsplits.metrics.smi-spec.io canary -n shop"),
        ("deploy/web -n shop -o yaml", "get deployments.metrics.smi-spec.io web -n shop -o yaml"),
        (
            "-n data sts/db --window 5m",
            "get statefulsets.metrics.smi-spec.io --field-selector metadata.name=db,window=5m0s -n data",
        ),
        ("--window=30s --context prod", "get trafficmetrics --field-selector window=30s --context prod"),
        ("namespaces/shop", "get namespaces.metrics.smi-spec.io shop"),
        ("edges", "get trafficmetrics --field-selector edge.resource.name!="),
        ("edges deploy/web -n shop", "get deployments.metrics.smi-spec.io web --subresource=edges -n shop"),
        ("edges ns/shop --v 6", "get namespaces.metrics.smi-spec.io shop --subresource=edges --v 6"),
        (
            "edges deployment/web --to -n shop",
            "get trafficmetrics --field-selector resource.kind=Deployment,resource.name=web,edge.direction=to -n shop",
        ),
        ("deploy/web@west -n shop", "get deployments.metrics.smi-spec.io web@west -n shop"),
        ("edges deploy/web@west -n shop", "get deployments.metrics.smi-spec.io web@west --subresource=edges -n shop"),
        (
            "edges deploy/web@west --to -n shop",
            "get trafficmetrics --field-selector resource.kind=Deployment,resource.name=web,cluster=west,edge.direction=to -n shop",
        ),
        (
            "edges --from --field-selector edge.side=client --field-selector=edge.resource.name=api",
            "get trafficmetrics --field-selector edge.direction=from,edge.side=client,edge.resource.name=api",
        ),
    ],
)
def test_a_line_becomes_a_kubectl_line(line: str, expected: str):
    assert kubectl_arguments(line.split()) == expected.split()


@pytest.mark.parametrize(
    "line",
    [
        "gizmo",
        "deploy web",
        "--to",
        "edges --to --from",
        "--window 1d",
        "--window",
        "-n",
        "edges deploy/web extra",
        "edges ns",
        "edges node/n1 --to",
    ],
)
def test_a_line_that_makes_no_sense_is_refused(line: str):
    with pytest.raises(BadQuery):
        kubectl_arguments(line.split())
