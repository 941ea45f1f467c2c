"""Which pods are ready, as the inventory reads it off what Kubernetes sends."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from apiservice.inventory import ClusterObjects, Pool
from apiservice.inventory.records import PodRecord, Reader
from tests.doubles.inventory import synced


def pod(name: str, conditions: list[dict[str, Any]] | None, namespace: str = "shop") -> PodRecord:
    document = {"metadata": {"name": name, "namespace": namespace}, "status": {"phase": "Running", "conditions": conditions}}
    record = Reader("Pod", Pool()).change("ADDED", msgspec.Raw(json.dumps(document).encode())).record
    assert isinstance(record, PodRecord)
    return record


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        pytest.param([{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": "True"}], True, id="ready"),
        pytest.param([{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": "False"}], False, id="not ready"),
        pytest.param([{"type": "Ready", "status": "Unknown"}], False, id="its node is silent"),
        pytest.param([], False, id="nothing yet"),
        pytest.param(None, False, id="null"),
    ],
)
def test_a_pod_is_ready_when_its_condition_says_so(conditions: list[dict[str, Any]] | None, *, ready: bool):
    assert pod("web-1", conditions).ready is ready


def test_the_ready_pods_are_those_of_one_namespace():
    ready = [{"type": "Ready", "status": "True"}]
    objects = ClusterObjects(synced(pod("web-1", ready), pod("web-2", []), pod("web-3", ready, "other")))
    assert objects.ready_pods("shop") == {"web-1"}
