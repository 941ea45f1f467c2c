"""How long the certificates of sources last: one that ends takes all numbers of its source with it, and is easily forgotten."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from cryptography import x509

from apiservice.checkup.bundle import SOON, day
from apiservice.checkup.handshake import shown_at
from apiservice.sources.examination import Examined
from metrics_api.diagnosis import Finding, Level

__all__ = ["with_lifetimes"]


async def with_lifetimes(examined: Sequence[Examined], now: dt.datetime) -> list[Examined]:
    """The same, with a warning for each source with a URL whose certificate ends soon.

    Whether it is to be trusted is looked at when the source is examined; one that has ended is a problem there.
    """
    return list(await asyncio.gather(*(_with_lifetime(each, now) for each in examined)))


async def _with_lifetime(examined: Examined, now: dt.datetime) -> Examined:
    end = await _end_of(str(examined.diagnosis.facts.get("url", "")))
    if end is None or not now < end < now + SOON:
        return examined
    what = f"its certificate ends on {day(end)}, in {(end - now).days} days"
    found = Finding(Level.WARNING, examined.source.name, "certificate", what, "renew it before that day")
    diagnosis = examined.diagnosis
    return replace(examined, diagnosis=replace(diagnosis, findings=(*diagnosis.findings, found)))


async def _end_of(url: str) -> dt.datetime | None:
    """When the certificate ends that is shown at a URL; None where none is shown, or none can be read."""
    try:
        place = urlsplit(url)
        host, port = place.hostname, place.port or 443
    except ValueError:
        return None
    if place.scheme != "https" or not host:
        return None
    shown = await shown_at(host, port, host, "")
    try:
        return x509.load_der_x509_certificate(shown.chain[0]).not_valid_after_utc if shown.chain else None
    except (ValueError, x509.InvalidVersion):
        return None
