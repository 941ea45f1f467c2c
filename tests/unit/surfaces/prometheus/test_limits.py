"""What a request may be at most: what would keep others waiting, or take more memory than there is, is refused before it is read."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from metrics_api import ResourceRef
from tests.apiservice.memory import INSTANT, total
from tests.unit.surfaces.prometheus.shop import BASE, Shop, client, data, failure

API = f"{BASE}/api/v1"
RPS = "trafficmetrics_requests_per_second"
KINDS = "(Deployment|StatefulSet|DaemonSet|Job|Pod|Service|ReplicaSet)"


@pytest.mark.parametrize(
    ("path", "form", "code", "message"),
    [
        ("query", {"query": "1" + "-1" * 16_384}, 422, "a query of 32,769 characters is not evaluated here: 32,768 are the most"),
        ("query", {"query": RPS + "{" + 'a="",' * 101 + "}"}, 422, "a selector of more than 100 matchers"),
        ("series", {"match[]": [RPS] * 51}, 422, "51 selectors are more than the 50 that are answered at once"),
        (
            "series",
            {"match[]": [f'{RPS}{{kind=~"{KINDS}",peer_kind=~"{KINDS}"}}'] * 6},
            422,
            "294 reads of the API are more than the 256 that are answered at once",
        ),
        ("query", {"query": "1", "other": "x" * 262_144}, 400, "the form in the body of the request has 262,158 bytes"),
    ],
    ids=["a long query", "many matchers", "many selectors", "many reads", "a large form"],
)
async def test_what_is_too_much_is_refused(path: str, form: dict[str, str], code: int, message: str):
    shop = Shop()
    async with client(shop) as session:
        given = [(name, text) for name, texts in form.items() for text in ([texts] if isinstance(texts, str) else texts)]
        status, _, told = await failure(await session.post(f"{API}/{path}", data=given))
    assert status == code
    assert message in told
    assert shop.questions == []


async def test_so_much_is_answered(shop: TestClient[Any, Any]):
    longest = "1" + "-1" * 16_383
    assert (await data(await shop.post(f"{API}/query", data={"query": longest})))["result"][1] == "-16382"
    most = RPS + "{" + 'a="",' * 100 + "}"
    assert await data(await shop.post(f"{API}/series", data=[("match[]", most)] * 50))


async def test_a_range_that_is_too_large_is_refused_before_its_history_is_read():
    many = tuple(total(ResourceRef("Deployment", "shop", f"web-{number}"), 1, 0) for number in range(11))
    shop = Shop(rows=many)
    async with client(shop) as session:
        form = {"query": RPS, "start": str(INSTANT - 10_000), "end": str(INSTANT), "step": "1"}
        status, word, told = await failure(await session.post(f"{API}/query_range", data=form))
        assert (status, word) == (422, "execution")
        assert "of 11 rows at 10,001 moments, which are more than 100,000 together; select fewer series" in told
        assert [question.span for question in shop.questions] == [None]
        assert await data(await session.post(f"{API}/query_range", data={**form, "step": "2"}))
