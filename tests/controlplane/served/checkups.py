"""What the doctor says of a cluster that is changing: kube-apiserver takes a moment to notice what was done."""

from __future__ import annotations

import asyncio

from apiservice.checkup import Subject, examine_cluster
from metrics_api.diagnosis import Diagnosis, Finding, Level

__all__ = ["of", "until"]


def of(diagnosis: Diagnosis, check: str) -> list[Finding]:
    """The findings of a check. That the authorities of these tests end tomorrow is always said, and is none of a test's business."""
    return [each for each in diagnosis.findings if each.check == check and "ends on" not in each.what]


async def until(subject: Subject, check: str, level: Level, text: str, patience: float = 10) -> Finding:
    """The finding that comes when kube-apiserver has noticed what was done, which takes it a moment."""
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        found = of(await examine_cluster(subject), check)
        told = next((each for each in found if each.level is level and text in each.what), None)
        if told is not None:
            return told
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"nobody says {text!r}, but {found}")
        await asyncio.sleep(0.1)
