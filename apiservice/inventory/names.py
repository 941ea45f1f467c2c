"""Whose pod it is, told by its name: how Kubernetes makes up the names of pods.

Most controllers give the beginning of a name, and kube-apiserver cuts it to 58 characters and adds five random ones
(``k8s.io/apiserver``, pkg/storage/names/generate.go; ``k8s.io/apimachinery``, pkg/util/rand/rand.go has their alphabet). The beginning is
the name of the owner and a hyphen (``kubernetes/kubernetes``, pkg/controller/controller_utils.go), in an indexed Job with the index and
another (pkg/controller/job/indexed_job_utils.go). A StatefulSet numbers its pods. A Deployment names its ReplicaSets by a hash that is
written with the same alphabet (pkg/controller/deployment/sync.go), a CronJob its Jobs by the minute since 1970 for which they were due
(pkg/controller/cronjob/utils.go).
"""

from __future__ import annotations

import re

__all__ = ["CUT", "GENERATING", "LONGEST_WHOLE", "NUMBERING", "beginning", "cron_job_of", "deployment_of", "fits", "owners_of"]

GENERATING = ("ReplicaSet", "DaemonSet", "Job", "ReplicationController")
"""Kinds whose pods have random names."""

NUMBERING = "StatefulSet"
"""The kind whose pods are numbered."""

CUT = 63
"""The length of all names of which something has been cut off."""

LONGEST_WHOLE = 46
"""Names of owners up to this length are whole in the names of their pods, whatever the index."""

_LONGEST_BEGINNING = 58
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_GENERATED = re.compile(f"(.+){_RANDOM}{{5}}")
_INDEX = re.compile(r"-(?:0|[1-9][0-9]{0,9})-")
_INDEXED = re.compile(f"(.+)({_INDEX.pattern})")
_NUMBERED = re.compile(r"(.+)-(?:0|[1-9][0-9]*)")
_SCHEDULED = re.compile(r"(.+)-[0-9]{8}")
_HASHED = re.compile(f"(.+)-{_RANDOM}{{5,10}}")


def beginning(kind: str, owner: str) -> str:
    """How the names of all pods of an owner begin, up to a hyphen; "" when nothing as definite can be told.

    Of a name that is too long it is the part that is never cut off.
    """
    whole = f"{owner}-"
    longest = LONGEST_WHOLE if kind == "Job" else _LONGEST_BEGINNING - 1
    # The hyphen before an index comes where something has been cut off.
    sure = LONGEST_WHOLE if kind == "Job" else _LONGEST_BEGINNING
    return whole if len(owner) <= longest else whole[: whole.rfind("-", 0, sure) + 1]


def owners_of(pod: str) -> tuple[str, ...]:
    """The names that an owner of a pod of this name can have, unless they are too long to be whole in it."""
    found: list[str] = []
    if generated := _GENERATED.fullmatch(pod):
        start = generated[1]
        if start.endswith("-"):
            found.append(start[:-1])
        if indexed := _INDEXED.fullmatch(start):
            found.append(indexed[1])
    if numbered := _NUMBERED.fullmatch(pod):
        found.append(numbered[1])
    return tuple(dict.fromkeys(found))


def fits(kind: str, owner: str, pod: str) -> bool:
    """Whether an owner of this kind would give a pod this name. One of another kind than those above may do as any of them does."""
    generates = kind != NUMBERING
    numbers = kind not in GENERATING
    generated = _GENERATED.fullmatch(pod) if generates else None
    if generated is not None:
        start = generated[1]
        if start == f"{owner}-"[:_LONGEST_BEGINNING]:
            return True
        indexed = _INDEXED.fullmatch(start) if kind == "Job" else None
        if indexed is not None and indexed[1] == owner[: _LONGEST_BEGINNING - len(indexed[2])]:
            return True
    numbered = _NUMBERED.fullmatch(pod) if numbers else None
    return numbered is not None and numbered[1] == owner


def cron_job_of(job: str) -> str:
    """The name of the CronJob that would give a Job this name; "" when none would."""
    scheduled = _SCHEDULED.fullmatch(job)
    return scheduled[1] if scheduled is not None else ""


def deployment_of(replica_set: str) -> str:
    """The name of the Deployment, or of what does as Deployments do, that would give a ReplicaSet this name; "" when none would."""
    hashed = _HASHED.fullmatch(replica_set)
    return hashed[1] if hashed is not None else ""
