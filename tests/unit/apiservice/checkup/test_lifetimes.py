"""Certificates of sources: told of before they end."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from apiservice.checkup.lifetimes import with_lifetimes
from apiservice.sources.examination import Examined
from metrics_api.diagnosis import Diagnosis
from tests.unit.apiservice.checkup.documents import NOW, served
from tests.unit.apiservice.checkup.test_certificate import serving
from tests.unit.apiservice.sources import source


def examined(url: str) -> Examined:
    return Examined(source("mesh"), Diagnosis("mesh", facts={"url": url}))


def lasting(days: float) -> tuple[dt.timedelta, dt.timedelta]:
    return dt.timedelta(days=-2), dt.timedelta(days=days)


@pytest.mark.parametrize(("days", "told"), [(20.5, True), (22, False), (-1, False)], ids=["soon", "later", "ended"])
async def test_a_source_whose_certificate_ends_soon_is_told_of(tmp_path: Path, days: float, told: bool):  # noqa: FBT001
    credential = served("localhost", lifetime=lasting(days))
    async with serving(credential, tmp_path) as port:
        (found,) = await with_lifetimes([examined(f"https://localhost:{port}/prometheus")], NOW)
    what = f"its certificate ends on {credential.certificate.not_valid_after_utc:%Y-%m-%d}, in 20 days"
    assert [(each.level.value, each.source, each.check, each.what, each.advice) for each in found.diagnosis.findings] == (
        [("warning", "mesh", "certificate", what, "renew it before that day")] if told else []
    )


@pytest.mark.parametrize(
    "url", ["", "http://127.0.0.1:1", "https://127.0.0.1:1", "https://[", "https://host:port", "prometheus", "https://a..b"]
)
async def test_where_no_certificate_is_shown_nothing_is_said(url: str):
    whole = examined(url)
    assert await with_lifetimes([whole], NOW) == [whole]
