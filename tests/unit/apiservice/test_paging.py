"""Pages of a list, and the tokens that lead from one to the next."""

from __future__ import annotations

import base64

import pytest

from apiservice.paging import Page, Pager, question_key
from apiservice.requestinfo import parse_request
from apiservice.result import Result
from metrics_api import BadQuery, Edge, Expired, ResourceRef, TrafficMetrics, Window

QUESTION = "every deployment"


def result(count: int, instant: int = 100) -> Result:
    rows = tuple(
        TrafficMetrics(f"d{index}", "shop", ResourceRef("Deployment", "shop", f"d{index}"), Edge(), instant, Window(30))
        for index in range(count)
    )
    return Result(rows, instant, Window(30), ("partial",), incomplete=True)


async def nobody(instant: int) -> Result:
    raise Expired(f"nobody knows {instant}")


async def resume(pager: Pager, token: str, limit: int, question: str = QUESTION) -> Page:
    return await pager.resume(question, token, limit, nobody)


def names(page: Page) -> list[str]:
    return [row.name for row in page.result.rows]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_pages_together_are_the_list_each_row_once() -> None:
    pager = Pager()
    page = pager.first(QUESTION, result(7), 3)
    pages = [page]
    while page.token:
        page = await resume(pager, page.token, 3)
        pages.append(page)
    assert [names(page) for page in pages] == [["d0", "d1", "d2"], ["d3", "d4", "d5"], ["d6"]]
    assert [page.remaining for page in pages] == [4, 1, 0]


async def test_every_page_says_when_it_was_observed_and_what_was_missing() -> None:
    pager = Pager()
    second = await resume(pager, pager.first(QUESTION, result(3), 2).token, 2)
    assert (second.result.instant, second.result.warnings, second.result.incomplete) == (100, ("partial",), True)


@pytest.mark.parametrize("limit", [0, 3, 4], ids=["no limit", "just fits", "more than fits"])
def test_a_list_that_fits_is_not_kept(limit: int) -> None:
    pager = Pager()
    page = pager.first(QUESTION, result(3), limit)
    assert (len(page.result.rows), page.token, pager.rows) == (3, "", 0)


async def test_a_page_can_be_asked_for_again() -> None:
    pager = Pager()
    token = pager.first(QUESTION, result(4), 2).token
    assert names(await resume(pager, token, 2)) == names(await resume(pager, token, 2)) == ["d2", "d3"]


async def test_the_limit_may_change_on_the_way() -> None:
    pager = Pager()
    token = pager.first(QUESTION, result(6), 1).token
    assert names(await resume(pager, token, 2)) == ["d1", "d2"]
    assert names(await resume(pager, token, 0)) == ["d1", "d2", "d3", "d4", "d5"]


async def test_a_token_is_good_for_its_own_question_only() -> None:
    pager = Pager()
    token = pager.first(QUESTION, result(4), 2).token
    with pytest.raises(BadQuery, match="continue key is not valid"):
        await resume(pager, token, 2, "every pod")


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("nonsense", id="nonsense"),
        pytest.param("!!!", id="not base64"),
        pytest.param("ünicode", id="not ASCII"),
        pytest.param("A" * 64, id="zeros, of another process"),
        pytest.param("A" * 400, id="too long"),
        pytest.param("=", id="padding alone"),
    ],
)
async def test_a_made_up_token_is_refused(token: str) -> None:
    with pytest.raises((BadQuery, Expired)):
        await resume(Pager(), token, 2)


async def test_every_changed_character_is_noticed() -> None:
    pager = Pager()
    token = pager.first(QUESTION, result(4), 2).token
    for position, character in enumerate(token):
        forged = token[:position] + ("A" if character != "A" else "B") + token[position + 1 :]
        with pytest.raises((BadQuery, Expired)):
            await resume(pager, forged, 2)


async def test_a_position_cannot_be_chosen() -> None:
    pager = Pager()
    raw = bytearray(base64.urlsafe_b64decode(pager.first(QUESTION, result(4), 2).token))
    raw[31] = 3
    with pytest.raises(BadQuery, match="continue key is not valid"):
        await resume(pager, base64.urlsafe_b64encode(raw).decode(), 2)


async def test_a_token_with_something_added_is_refused() -> None:
    pager = Pager()
    token = pager.first(QUESTION, result(4), 2).token
    with pytest.raises(BadQuery):
        await resume(pager, f"{token}!", 2)


async def test_a_token_of_another_cluster_has_expired() -> None:
    token = Pager().first(QUESTION, result(4), 2).token
    with pytest.raises(Expired):
        await resume(Pager(), token, 2)


def shared() -> Pager:
    return Pager(secret=lambda: b"the key of the serving certificate", now=lambda: 104)


async def test_another_replica_goes_on_with_the_same_answer() -> None:
    asked = []

    async def ask(instant: int) -> Result:
        asked.append(instant)
        return result(6, instant)

    token = shared().first(QUESTION, result(6), 2).token
    other = shared()
    page = await other.resume(QUESTION, token, 2, ask)
    assert (names(page), page.result.instant, page.remaining, asked) == (["d2", "d3"], 100, 2, [100])
    assert names(await other.resume(QUESTION, page.token, 2, ask)) == ["d4", "d5"]
    assert asked == [100]


@pytest.mark.parametrize("count", [5, 7], ids=["a row has gone", "a row has come"])
async def test_pages_of_two_answers_are_never_mixed(count: int) -> None:
    async def ask(instant: int) -> Result:
        return result(count, instant)

    token = shared().first(QUESTION, result(6), 2).token
    with pytest.raises(Expired):
        await shared().resume(QUESTION, token, 2, ask)


async def test_a_token_expires_on_every_replica() -> None:
    late = Pager(secret=lambda: b"the key of the serving certificate", now=lambda: 401)
    token = shared().first(QUESTION, result(6), 2).token
    with pytest.raises(Expired, match="too old"):
        await resume(late, token, 2)


async def test_a_token_of_a_question_about_the_past_does_not_grow_old() -> None:
    async def ask(instant: int) -> Result:
        return result(6, instant)

    late = Pager(secret=lambda: b"the key of the serving certificate", now=lambda: 1_000_000)
    token = shared().first(QUESTION, result(6), 2).token
    assert names(await late.resume(QUESTION, token, 2, ask, lasting=True)) == ["d2", "d3"]


async def test_a_new_secret_ends_the_tokens_of_the_old_one() -> None:
    secret = [b"old"]
    pager = Pager(secret=lambda: secret[0])
    token = pager.first(QUESTION, result(4), 2).token
    assert names(await resume(pager, token, 2)) == ["d2", "d3"]
    secret[0] = b"new"
    with pytest.raises(Expired):
        await resume(pager, token, 2)


async def test_an_old_answer_expires() -> None:
    clock = Clock()
    pager = Pager(ttl=10, clock=clock, now=lambda: 100 + clock.now)
    token = pager.first(QUESTION, result(4), 2).token
    clock.now = 9
    assert names(await resume(pager, token, 2)) == ["d2", "d3"]
    clock.now = 11
    with pytest.raises(Expired):
        await resume(pager, token, 2)
    assert pager.rows == 0


async def test_the_rows_kept_are_bounded_and_the_least_recently_read_go_first() -> None:
    pager = Pager(max_rows=10, now=lambda: 110)
    first = pager.first(QUESTION, result(4, 100), 2).token
    second = pager.first(QUESTION, result(4, 105), 2).token
    await resume(pager, first, 1)
    pager.first(QUESTION, result(4, 110), 2)
    assert pager.rows == 8
    assert names(await resume(pager, first, 2)) == ["d2", "d3"]
    with pytest.raises(Expired):
        await resume(pager, second, 2)


def test_an_answer_too_large_to_keep_is_sent_whole() -> None:
    page = Pager(max_rows=10).first(QUESTION, result(11), 2)
    assert (len(page.result.rows), page.token) == (11, "")


def key(path: str, **query: str) -> str:
    return question_key(parse_request("GET", f"/apis/metrics.smi-spec.io/v1alpha1/{path}", query), query)


def test_the_form_of_the_answer_is_not_part_of_the_question() -> None:
    assert key("pods", limit="5", pretty="true", timeout="3s") == key("pods/", limit="7", **{"continue": "x"})


@pytest.mark.parametrize(
    ("path", "query"),
    [
        pytest.param("namespaces/a/pods", {}, id="another namespace"),
        pytest.param("services", {}, id="another resource"),
        pytest.param("pods", {"window": "5m"}, id="another window"),
        pytest.param("pods", {"labelSelector": "app=web"}, id="a selector"),
        pytest.param("pods", {"time": "2026-11-21T22:25:55Z"}, id="another time"),
        pytest.param("pods", {"percentiles": "95"}, id="another percentile"),
    ],
)
def test_another_question_has_another_key(path: str, query: dict[str, str]) -> None:
    assert key(path, **query) != key("pods")
