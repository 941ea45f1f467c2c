"""Bearer tokens are reviewed by kube-apiserver, and no more often than need be."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apiservice.identity import TokenReviews, Unauthorized, User
from apiservice.kube import KubeClient
from tests.doubles.clock import ManualClock
from tests.doubles.kube import TOKEN_REVIEWS, Failure, KubeDouble, running_kube

JANE = {"username": "jane", "uid": "u-1", "groups": ["dev", "system:authenticated"], "extra": {"scopes": ["a"]}}


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeDouble]:
    async with running_kube(tmp_path) as double:
        double.tokens["good"] = JANE
        yield double


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def tokens(kube: KubeDouble, clock: ManualClock) -> AsyncIterator[TokenReviews]:
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        yield TokenReviews(client, clock)


async def refused(tokens: TokenReviews, token: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        await tokens.user(token)
    return str(caught.value)


async def test_a_token_becomes_the_user_the_cluster_knows(tokens: TokenReviews, kube: KubeDouble) -> None:
    assert await tokens.user("good") == User("jane", "u-1", ("dev", "system:authenticated"), {"scopes": ("a",)})
    assert kube.asked == [{"token": "good"}]


async def test_a_user_with_nothing_but_a_name_is_one(tokens: TokenReviews, kube: KubeDouble) -> None:
    kube.tokens["bare"] = {"username": "bare"}
    assert await tokens.user("bare") == User("bare")


async def test_an_answer_is_believed_for_ten_seconds(tokens: TokenReviews, kube: KubeDouble, clock: ManualClock) -> None:
    await tokens.user("good")
    del kube.tokens["good"]
    clock.advance(9.9)
    assert (await tokens.user("good")).name == "jane"
    clock.advance(0.2)
    await refused(tokens, "good")
    assert kube.calls[TOKEN_REVIEWS] == 2


async def test_a_refusal_is_believed_for_ten_seconds(tokens: TokenReviews, kube: KubeDouble, clock: ManualClock) -> None:
    kube.token_error = ""
    await refused(tokens, "late")
    kube.tokens["late"] = JANE
    clock.advance(9.9)
    await refused(tokens, "late")
    clock.advance(0.2)
    assert (await tokens.user("late")).name == "jane"
    assert kube.calls[TOKEN_REVIEWS] == 2


async def test_a_refusal_with_an_error_is_not_remembered(tokens: TokenReviews, kube: KubeDouble) -> None:
    assert "invalid bearer token" in await refused(tokens, "late")
    kube.tokens["late"] = JANE
    assert (await tokens.user("late")).name == "jane"


async def test_a_token_is_asked_about_once_however_many_show_it(tokens: TokenReviews, kube: KubeDouble) -> None:
    kube.gate.clear()
    asking = [asyncio.ensure_future(tokens.user("good")) for _ in range(20)]
    await kube.until_waiting()
    kube.gate.set()
    assert {user.name for user in await asyncio.gather(*asking)} == {"jane"}
    assert kube.calls[TOKEN_REVIEWS] == 1


@pytest.mark.parametrize("failure", [Failure(500), Failure(504), Failure(429), Failure(0)], ids=["500", "504", "429", "reset"])
async def test_a_passing_failure_is_tried_again(
    tokens: TokenReviews, kube: KubeDouble, clock: ManualClock, failure: Failure
) -> None:
    kube.fail(TOKEN_REVIEWS, failure, failure)
    assert (await tokens.user("good")).name == "jane"
    assert kube.calls[TOKEN_REVIEWS] == 3
    assert len(clock.slept) == 2


async def test_five_tries_are_made_with_growing_pauses(tokens: TokenReviews, kube: KubeDouble, clock: ManualClock) -> None:
    kube.fail(TOKEN_REVIEWS, *[Failure(500, "etcd is away")] * 9)
    assert "etcd is away" in await refused(tokens, "good")
    assert kube.calls[TOKEN_REVIEWS] == 5
    for slept, least in itertools.zip_longest(clock.slept, [0.5, 0.75, 1.125, 1.6875]):
        assert least <= slept <= least * 1.2


async def test_the_pause_the_server_asks_for_is_kept(tokens: TokenReviews, kube: KubeDouble, clock: ManualClock) -> None:
    kube.fail(TOKEN_REVIEWS, Failure(503, headers={"Retry-After": "3"}))
    await tokens.user("good")
    assert clock.slept == [3.0]


@pytest.mark.parametrize("status", [400, 403, 404, 503])
async def test_another_failure_is_not_tried_again_and_not_remembered(tokens: TokenReviews, kube: KubeDouble, status: int) -> None:
    kube.fail(TOKEN_REVIEWS, Failure(status))
    await refused(tokens, "good")
    assert kube.calls[TOKEN_REVIEWS] == 1
    assert (await tokens.user("good")).name == "jane"


async def test_missing_rights_to_review_are_logged_with_the_remedy(
    tokens: TokenReviews, kube: KubeDouble, caplog: pytest.LogCaptureFixture
) -> None:
    kube.fail(TOKEN_REVIEWS, Failure(403))
    await refused(tokens, "good")
    assert "system:auth-delegator" in caplog.text


async def test_an_answer_that_is_no_review_is_refused(tokens: TokenReviews, kube: KubeDouble) -> None:
    kube.objects[TOKEN_REVIEWS] = {"kind": "TokenReview"}
    assert "no review" in await refused(tokens, "good")


async def test_tokens_are_kept_and_told_nowhere(tokens: TokenReviews, kube: KubeDouble, caplog: pytest.LogCaptureFixture) -> None:
    secret = "very-secret-token"
    kube.tokens[secret] = JANE
    await tokens.user(secret)
    kube.fail(TOKEN_REVIEWS, Failure(403))
    assert secret + "2" not in await refused(tokens, secret + "2")
    assert secret not in caplog.text
    kube.asked.clear()
    kube.tokens.clear()
    gc.collect()
    remembered = tokens._reviews._remembered
    assert len(remembered) == 1
    assert secret.encode() not in b"".join(remembered)
