"""kube-apiserver itself: which version it is, and how far its clock is from ours."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from apiservice.checkup.sight import Document
from apiservice.checkup.verdicts import problem, warning
from metrics_api.diagnosis import Finding

__all__ = ["clock_findings", "skew_of", "version_findings"]

_OLDEST = (1, 27)
"""The oldest minor version that is supported (docs/compatibility.md, and ``kubeVersion`` of the chart)."""

_SKEW, _GRAVE = 2.0, 300.0
"""Seconds. Certificates are issued up to five minutes back in time, for clocks that are behind (kubeadm, our own)."""


def version_findings(version: Document) -> Iterator[Finding]:
    """What its version means for the server."""
    found = re.match(r"v?(\d+)\.(\d+)", str(version.get("gitVersion", "")))
    if found and (int(found[1]), int(found[2])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        what = f"Kubernetes {version['gitVersion']} is older than {oldest}, the oldest that this server is made for"
        yield warning("version", what, f"upgrade the cluster to {oldest} or newer")


def skew_of(date: str, before: dt.datetime, after: dt.datetime) -> float | None:
    """Seconds by which a clock is ahead that showed ``date``, whole seconds rounded down, at some time between two of ours.

    None where there is no such date.
    """
    try:
        shown = parsedate_to_datetime(date)
    except ValueError:
        return None
    if shown.tzinfo is None:
        return None
    if shown > after:
        return (shown - after).total_seconds()
    return min(0.0, (shown + dt.timedelta(seconds=1) - before).total_seconds())


def clock_findings(skew: float | None) -> Iterator[Finding]:
    """What it means that its clock is so many seconds ahead of ours."""
    if skew is None or abs(skew) <= _SKEW:
        return
    what = f"the clock of kube-apiserver is {abs(skew):.0f}s {'ahead of' if skew > 0 else 'behind'} ours"
    advice = "synchronise the clocks of all nodes (NTP), those of the control plane as well"
    if abs(skew) > _GRAVE:
        yield problem(
            "clock", f"{what}: certificates and tokens that are new here are not valid there, or the other way round", advice
        )
    else:
        yield warning("clock", f"{what}: a window ends elsewhere than people think", advice)
