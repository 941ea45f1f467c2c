"""Matchers evaluated here select what a real Prometheus, with its RE2, selects."""

from __future__ import annotations

import aiohttp
import pytest

from backends.dialects import Comparison, Matcher
from backends.dialects.expression import quote
from backends.prometheus.promql import selector
from tests.backends.prometheus.conftest import Known
from tests.backends.prometheus.pages import HOSTILE

pytestmark = pytest.mark.real

NAMES = [name for name in HOSTILE if "\n" not in name]
"""A dot matches a newline since Prometheus 3 only."""

EXPRESSIONS = (
    "web",
    "we.b",
    "web|api",
    "(web)",
    "we.*",
    ".*b",
    ".+",
    "",
    "[a-z]+",
    "[^a-z]*",
    r"[\[\]a-z-]+\+?",
    r"\w+",
    r"\W+",
    r".*\s.*",
    r"\^web|web\$",
    "(?i)WEB",
    "w(?:e|é)b",
    "we.?b",
    "we[\\\\\"'`]b",
    ".{3}",
    ".{1}",
    "^web$",
    r"\x77eb",
    "(?P<name>web)",
    "web|",
    r".*\|.*",
)


@pytest.mark.parametrize("comparison", Comparison)
@pytest.mark.parametrize("value", EXPRESSIONS)
async def test_a_matcher_selects_what_prometheus_selects(known: Known, comparison: Comparison, value: str):
    await same(known, Matcher("deployment", comparison, value))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_quoted_name_selects_just_itself_there_too(known: Known, name: str):
    assert await same(known, Matcher("deployment", Comparison.MATCHES, quote(name))) == {name}


async def same(known: Known, matcher: Matcher) -> set[str]:
    """Both selections, which must be one."""
    series = selector("response_total", (Matcher("namespace", Comparison.EQUAL, "hostile"), matcher))
    data = {"query": f"count by (deployment) ({series})", "time": str(known.instant)}
    async with aiohttp.ClientSession() as session, session.post(f"{known.url}/api/v1/query", data=data) as response:
        document = await response.json()
    assert document["status"] == "success", document
    theirs = {row["metric"]["deployment"] for row in document["data"]["result"]} & set(NAMES)
    ours = {name for name in NAMES if matcher.accepts({"deployment": name})}
    assert ours == theirs
    return ours
