"""Which Envoys the targets are: what their admin interface says of itself, beside the statistics that are scraped from it.

Source: envoyproxy/envoy, api/envoy/admin/v3/server_info.proto, and source/common/version/version.cc, by which a version is
``commit/1.31.2/Clean/RELEASE/BoringSSL``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec

from backends.scrape.fetch import Fetcher, ScrapeFailed
from backends.scrape.targets import Target

__all__ = ["envoy_versions"]

_STATISTICS = "/stats/prometheus"
"""Where the admin interface of Envoy has its statistics. A target at another path is no such interface, or another listener."""

_ABOUT = "/server_info"

_ASKED = 20
"""Targets that are asked. Most of one mesh are of one version, and those of several targets show whether all are."""

_TIME = 2.0
"""Seconds for all of them: without the answer nothing is missing."""


class _About(msgspec.Struct):
    version: str = ""


_decode = msgspec.json.Decoder(_About).decode


async def envoy_versions(fetcher: Fetcher, targets: Iterable[Target]) -> tuple[str, ...]:
    """The versions of Envoy that some of the targets say they are; none where none of them says, which is no mistake."""
    able = [target for target in targets if target.path.partition("?")[0] == _STATISTICS]

    async def ask(target: Target) -> str:
        try:
            async with asyncio.timeout(_TIME):
                told = _decode(await fetcher.document(target, _ABOUT)).version
        except (TimeoutError, ScrapeFailed, ValueError, RecursionError):
            return ""
        parts = told.split("/")
        return parts[1] if len(parts) > 1 else ""

    chosen = able[:: -(-len(able) // _ASKED) or 1]
    return tuple(dict.fromkeys(filter(None, await asyncio.gather(*map(ask, chosen)))))
