"""What changes while a window lasts: rolling updates, Jobs that end, and what was there before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from tests.controlplane.served.ownership.asking import Asking, numbers
from tests.controlplane.served.ownership.fleet import STEP, SWITCH, WINDOW
from tests.controlplane.served.ownership.lifting import KNOWN_TO

pytestmark = pytest.mark.real

everywhere = pytest.mark.parametrize("mesh", KNOWN_TO)
HALF_A_STEP = STEP / 2
"""For how long PromQL lets a counter go on when its samples stop."""


@everywhere
async def test_a_rolling_update_counts_old_pods_and_new_ones(meshes: Mapping[str, Asking], mesh: str):
    answer = await meshes[mesh].get("/namespaces/mall/deployments/web")
    before, after = SWITCH - (answer.instant - WINDOW) + HALF_A_STEP, answer.instant - SWITCH
    assert numbers(answer) == {"web": pytest.approx((30 * before + 33 * after, before + 2 * after), abs=0.001)}


@everywhere
async def test_each_replica_set_of_a_rolling_update_has_its_own(meshes: Mapping[str, Asking], mesh: str):
    answer = await meshes[mesh].get("/namespaces/mall/replicasets?fieldSelector=metadata.name=web-5d4f7c9b8d")
    before, after = SWITCH - (answer.instant - WINDOW) + HALF_A_STEP, answer.instant - SWITCH
    assert numbers(answer) == {"web-5d4f7c9b8d": pytest.approx((30 * before, before), abs=0.001)}
    answer = await meshes[mesh].get("/namespaces/mall/replicasets/web-7c9b8d5d4f")
    assert numbers(answer) == {"web-7c9b8d5d4f": pytest.approx((33 * after, 2 * after), abs=0.001)}


@everywhere
async def test_a_job_that_ran_counts_though_its_pod_is_deleted(meshes: Mapping[str, Asking], mesh: str):
    answer = await meshes[mesh].get("/namespaces/mall/jobs/reindex")
    lasted = 60 + HALF_A_STEP
    assert numbers(answer) == {"reindex": pytest.approx((2 * lasted, lasted), abs=0.001)}


@pytest.mark.parametrize("mesh", ["cilium", "hubble", "linkerd", "istio"])
async def test_a_cron_job_has_what_all_its_jobs_received(meshes: Mapping[str, Asking], mesh: str):
    answer = await meshes[mesh].get("/namespaces/mall/cronjobs/nightly")
    first = SWITCH - 100 - (answer.instant - WINDOW) + HALF_A_STEP
    second = answer.instant - SWITCH
    assert numbers(answer) == {"nightly": pytest.approx((2 * first + second, second), abs=0.001)}


@pytest.mark.parametrize("mesh", ["cilium", "envoy"])
async def test_the_past_is_counted_with_the_pods_of_then(meshes: Mapping[str, Asking], mesh: str):
    then = datetime.fromtimestamp(SWITCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = await meshes[mesh].get(f"/namespaces/mall/deployments/web?window=60s&time={then}")
    assert answer.instant == SWITCH
    assert numbers(answer) == {"web": pytest.approx((30 * 60, 60), abs=0.001)}
    pods = numbers(await meshes[mesh].get(f"/namespaces/mall/pods?window=60s&time={then}"))
    assert pods["web-5d4f7c9b8d-x2k4z"] == pytest.approx((20 * 60, 60), abs=0.001)
    assert not [name for name in pods if name.startswith("web-7c9b8d5d4f-")]
