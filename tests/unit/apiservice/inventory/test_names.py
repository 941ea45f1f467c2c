"""Names of pods as Kubernetes makes them up, and what they tell of the owner."""

from __future__ import annotations

import pytest

from apiservice.inventory.names import beginning, deployment_of, fits, owners_of

LONG = "a" * 60
HYPHENED = "checkout-" * 7


@pytest.mark.parametrize(
    ("kind", "owner", "pod"),
    [
        ("ReplicaSet", "web-5d4f6c7b8", "web-5d4f6c7b8-x2x9z"),
        ("DaemonSet", "log", "log-bcdfg"),
        ("ReplicationController", "old-1", "old-1-vwxz2"),
        ("Job", "once", "once-hjklm"),
        ("Job", "many", "many-0-hjklm"),
        ("Job", "many", "many-1234-hjklm"),
        ("Job", LONG, "a" * 55 + "-7-hjklm"),
        ("Job", LONG, "a" * 58 + "hjklm"),
        ("ReplicaSet", LONG, "a" * 58 + "hjklm"),
        ("ReplicaSet", "a" * 57, "a" * 57 + "-hjklm"),
        ("ReplicaSet", "a" * 58, "a" * 58 + "hjklm"),
        ("StatefulSet", "db", "db-0"),
        ("StatefulSet", "db", "db-12"),
        ("StatefulSet", "db-24567", "db-24567-1"),
        ("CloneSet", "web", "web-hjklm"),
        ("AdvancedSet", "web", "web-3"),
    ],
)
def test_a_name_that_the_owner_would_give_fits(kind: str, owner: str, pod: str):
    assert fits(kind, owner, pod)
    assert owner in owners_of(pod) or len(pod) == 63
    assert pod.startswith(beginning(kind, owner))


@pytest.mark.parametrize(
    ("kind", "owner", "pod"),
    [
        ("ReplicaSet", "web", "web-x2x9"),
        ("ReplicaSet", "web", "web-x2x9za"),
        ("ReplicaSet", "web", "web-aeiou"),
        ("ReplicaSet", "web", "web-x2x01"),
        ("ReplicaSet", "web", "webx2x9z"),
        ("ReplicaSet", "web", "web-0"),
        ("ReplicaSet", "many", "many-0-hjklm"),
        ("ReplicaSet", LONG, "a" * 57 + "hjklm"),
        ("StatefulSet", "db", "db-01"),
        ("StatefulSet", "db", "db-x"),
        ("StatefulSet", "db", "db-bcdfg"),
        ("Job", "many", "many-01-hjklm"),
        ("Job", "ma", "many-1-hjklm"),
    ],
)
def test_any_other_name_does_not_fit(kind: str, owner: str, pod: str):
    assert not fits(kind, owner, pod)


@pytest.mark.parametrize(
    ("kind", "owner", "start"),
    [
        ("ReplicaSet", "web-5d4f", "web-5d4f-"),
        ("ReplicaSet", "a" * 57, "a" * 57 + "-"),
        ("ReplicaSet", "a" * 58, ""),
        ("ReplicaSet", HYPHENED, "checkout-" * 6),
        ("Job", "b" * 46, "b" * 46 + "-"),
        ("Job", "b" * 47, ""),
        ("Job", HYPHENED, "checkout-" * 5),
    ],
    ids=["short", "longest", "cut", "cut-at-a-hyphen", "longest-job", "cut-job", "job-cut-at-a-hyphen"],
)
def test_a_beginning_ends_with_a_hyphen_that_is_never_cut_off(kind: str, owner: str, start: str):
    assert beginning(kind, owner) == start


@pytest.mark.parametrize(
    ("replica_set", "deployment"),
    [
        ("web-5d4f6c7b8", "web"),
        ("web-api-bcdfg", "web-api"),
        ("web", ""),
        ("web-canary", ""),
        ("web-bcdf", ""),
        ("web-bcdfghjklmn", ""),
    ],
)
def test_a_replicaset_is_named_by_a_hash(replica_set: str, deployment: str):
    assert deployment_of(replica_set) == deployment
