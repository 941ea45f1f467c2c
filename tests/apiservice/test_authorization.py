"""Permissions are kube-apiserver's to give; without an answer there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from apiservice.authorization import AuthorizationError, Decision, SubjectAccessReviews
from apiservice.identity import User
from apiservice.kube import KubeClient
from apiservice.requestinfo import parse_request
from apiservice.standalone import AllowAll, Everyone
from tests.doubles.clock import ManualClock
from tests.doubles.kube import ACCESS_REVIEWS, Failure, KubeDouble, running_kube

GV = "/apis/metrics.smi-spec.io/v1alpha1"
PODS = f"{GV}/namespaces/shop/pods"
JANE = User("jane", "u-1", ("dev", "system:authenticated"), {"scopes": ("a", "b"), "example.com/team": ("x",)})
SUBJECT = {
    "user": "jane",
    "uid": "u-1",
    "groups": ["dev", "system:authenticated"],
    "extra": {"scopes": ["a", "b"], "example.com/team": ["x"]},
}


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeDouble]:
    async with running_kube(tmp_path) as double:
        double.allows = lambda _: True
        yield double


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def client(kube: KubeDouble) -> AsyncIterator[KubeClient]:
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        yield client


@pytest.fixture
def access(client: KubeClient, clock: ManualClock) -> SubjectAccessReviews:
    return SubjectAccessReviews(client, clock)


async def ask(
    access: SubjectAccessReviews, path: str = PODS, query: Mapping[str, str] | None = None, user: User = JANE, method: str = "GET"
) -> Decision:
    query = query or {}
    return await access.authorize(user, parse_request(method, path, query), query)


async def test_a_resource_request_is_described_in_full(access: SubjectAccessReviews, kube: KubeDouble) -> None:
    assert (await ask(access, f"{PODS}/p/edges")).allowed
    attributes = {
        "namespace": "shop",
        "verb": "get",
        "group": "metrics.smi-spec.io",
        "version": "v1alpha1",
        "resource": "pods",
        "subresource": "edges",
        "name": "p",
    }
    assert kube.asked == [SUBJECT | {"resourceAttributes": attributes}]


async def test_what_is_empty_is_left_out(access: SubjectAccessReviews, kube: KubeDouble) -> None:
    await ask(access, f"{GV}/pods", user=User("bare"))
    attributes = {"verb": "list", "group": "metrics.smi-spec.io", "version": "v1alpha1", "resource": "pods"}
    assert kube.asked == [{"user": "bare", "resourceAttributes": attributes}]


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [("GET", "/metrics", "get"), ("HEAD", "/apis", "head"), ("POST", GV, "post"), ("GET", "/readyz/ping", "get")],
)
async def test_another_path_is_asked_about_by_path_and_method(
    access: SubjectAccessReviews, kube: KubeDouble, method: str, path: str, verb: str
) -> None:
    await ask(access, path, method=method)
    assert kube.asked == [SUBJECT | {"nonResourceAttributes": {"path": path, "verb": verb}}]


async def test_a_refusal_has_the_reason_of_the_cluster(access: SubjectAccessReviews, kube: KubeDouble) -> None:
    kube.allows = lambda _: False
    assert await ask(access) == Decision(allowed=False, reason="RBAC: not bound")


@pytest.mark.parametrize("status", [{}, {"allowed": False, "denied": True}, {"allowed": "true"}, {"denied": True}])
async def test_only_a_clear_yes_is_a_yes(access: SubjectAccessReviews, kube: KubeDouble, status: dict[str, Any]) -> None:
    kube.access_status = status
    assert not (await ask(access)).allowed


async def test_yes_and_no_at_once_is_an_error(access: SubjectAccessReviews, kube: KubeDouble) -> None:
    kube.access_status = {"allowed": True, "denied": True}
    with pytest.raises(AuthorizationError, match="both allow and deny"):
        await ask(access)


@pytest.mark.parametrize(
    ("selector", "requirements"),
    [
        pytest.param("resource.kind=Deployment", [("resource.kind", "In", ["Deployment"])], id="equal"),
        pytest.param("a==b,c!=d", [("a", "In", ["b"]), ("c", "NotIn", ["d"])], id="both"),
        pytest.param("a", None, id="unreadable"),
        pytest.param("", None, id="empty"),
    ],
)
async def test_field_selectors_are_told(
    access: SubjectAccessReviews, kube: KubeDouble, selector: str, requirements: list[tuple[str, str, list[str]]] | None
) -> None:
    await ask(access, query={"fieldSelector": selector})
    told = [dict(zip(("key", "operator", "values"), requirement, strict=True)) for requirement in requirements or ()]
    assert kube.asked[0]["resourceAttributes"].get("fieldSelector") == ({"requirements": told} if told else None)


@pytest.mark.parametrize(
    ("selector", "requirements"),
    [
        pytest.param("app=web", [{"key": "app", "operator": "In", "values": ["web"]}], id="equal"),
        pytest.param("app notin (a,b)", [{"key": "app", "operator": "NotIn", "values": ["a", "b"]}], id="not-in"),
        pytest.param(
            "app,!old", [{"key": "app", "operator": "Exists"}, {"key": "old", "operator": "DoesNotExist"}], id="existence"
        ),
        pytest.param("app,size>5", [{"key": "app", "operator": "Exists"}], id="a-size-has-no-words"),
        pytest.param("size<5", None, id="a-size-alone"),
        pytest.param("app=web=x", None, id="unreadable"),
    ],
)
async def test_label_selectors_are_told(
    access: SubjectAccessReviews, kube: KubeDouble, selector: str, requirements: list[dict[str, Any]] | None
) -> None:
    await ask(access, query={"labelSelector": selector})
    assert kube.asked[0]["resourceAttributes"].get("labelSelector") == ({"requirements": requirements} if requirements else None)


@pytest.mark.parametrize("path", [f"{PODS}/p", f"{GV}/watch/pods"], ids=["get", "the-old-watch-path"])
async def test_selectors_of_requests_that_do_not_select_are_not_told(
    access: SubjectAccessReviews, kube: KubeDouble, path: str
) -> None:
    await ask(access, path, {"labelSelector": "app=web", "fieldSelector": "a=b"})
    assert not {"labelSelector", "fieldSelector"} & set(kube.asked[0]["resourceAttributes"])


async def test_administrators_are_not_asked_about(access: SubjectAccessReviews, kube: KubeDouble) -> None:
    assert await ask(access, user=User("root", groups=("a", "system:masters"))) == Decision(allowed=True)
    assert not kube.calls


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/healthz", False),
        ("/readyz", False),
        ("/livez", False),
        ("/livez/", True),
        ("/readyz/ping", True),
        ("/healthzz", True),
        ("//livez", True),
        ("/metrics", True),
        (f"{GV}/livez", True),
    ],
)
async def test_health_is_for_everybody_and_nothing_below_it(
    access: SubjectAccessReviews, kube: KubeDouble, path: str, *, asked: bool
) -> None:
    kube.allows = lambda _: False
    assert (await ask(access, path)).allowed is not asked
    assert bool(kube.calls) is asked


async def test_other_paths_may_be_opened(client: KubeClient, clock: ManualClock, kube: KubeDouble) -> None:
    access = SubjectAccessReviews(client, clock, ("/metrics", "/apis/*"))
    assert (await ask(access, "/metrics")).allowed
    assert (await ask(access, GV)).allowed
    assert not kube.calls
    await ask(access, "/livez")
    assert kube.calls[ACCESS_REVIEWS] == 1
    await ask(access, PODS)
    assert kube.calls[ACCESS_REVIEWS] == 2


@pytest.mark.parametrize("first", [True, False], ids=["yes", "no"])
async def test_a_decision_is_believed_for_ten_seconds(
    access: SubjectAccessReviews, kube: KubeDouble, clock: ManualClock, *, first: bool
) -> None:
    kube.allows = lambda _: first
    assert (await ask(access)).allowed is first
    kube.allows = lambda _: not first
    clock.advance(9.9)
    assert (await ask(access)).allowed is first
    clock.advance(0.2)
    assert (await ask(access)).allowed is not first
    assert kube.calls[ACCESS_REVIEWS] == 2


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"user": User("joe", "u-1", JANE.groups, JANE.extra)}, id="user"),
        pytest.param({"user": User("jane", "u-2", JANE.groups, JANE.extra)}, id="uid"),
        pytest.param({"user": User("jane", "u-1", ("dev",), JANE.extra)}, id="groups"),
        pytest.param({"user": User("jane", "u-1", JANE.groups, {})}, id="extra"),
        pytest.param({"path": f"{PODS}/p"}, id="path"),
        pytest.param({"method": "DELETE"}, id="verb"),
        pytest.param({"query": {"labelSelector": "app"}}, id="selector"),
    ],
)
async def test_no_decision_is_used_for_another_question(
    access: SubjectAccessReviews, kube: KubeDouble, other: dict[str, Any]
) -> None:
    await ask(access)
    await ask(access, **other)
    assert kube.calls[ACCESS_REVIEWS] == 2


@pytest.mark.parametrize(
    "request_of",
    [
        pytest.param({"path": f"{PODS}/{'p' * 10_000}"}, id="a-long-name"),
        pytest.param({"path": f"/{'p' * 10_000}"}, id="a-long-path"),
        pytest.param({"query": {"labelSelector": ",".join(f"label-{number}" for number in range(500))}}, id="a-long-selector"),
    ],
)
async def test_a_question_that_is_too_long_is_not_remembered(
    access: SubjectAccessReviews, kube: KubeDouble, request_of: dict[str, Any]
) -> None:
    await ask(access, **request_of)
    await ask(access, **request_of)
    assert kube.calls[ACCESS_REVIEWS] == 2


async def test_a_user_with_many_groups_is_remembered(access: SubjectAccessReviews, kube: KubeDouble) -> None:
    user = User("jane", groups=tuple(f"team-{number}" for number in range(2000)))
    assert (await ask(access, user=user)).allowed
    assert (await ask(access, user=user)).allowed
    assert kube.calls[ACCESS_REVIEWS] == 1
    assert len(kube.asked[0]["groups"]) == 2000


async def test_equal_questions_at_once_are_asked_once(access: SubjectAccessReviews, kube: KubeDouble) -> None:
    kube.gate.clear()
    asking = [asyncio.ensure_future(ask(access)) for _ in range(20)]
    await kube.until_waiting()
    kube.gate.set()
    assert {decision.allowed for decision in await asyncio.gather(*asking)} == {True}
    assert kube.calls[ACCESS_REVIEWS] == 1


async def test_a_cluster_that_does_not_answer_is_an_error_and_never_a_permission(
    access: SubjectAccessReviews, kube: KubeDouble
) -> None:
    kube.fail(ACCESS_REVIEWS, *[Failure(500, "etcd is away")] * 5)
    with pytest.raises(AuthorizationError, match="etcd is away"):
        await ask(access)
    assert kube.calls[ACCESS_REVIEWS] == 5
    assert (await ask(access)).allowed


async def test_health_needs_no_cluster(access: SubjectAccessReviews, kube: KubeDouble) -> None:
    kube.gate.clear()
    stuck = asyncio.ensure_future(ask(access))
    assert (await ask(access, "/livez")).allowed
    kube.gate.set()
    assert (await stuck).allowed


async def test_missing_rights_to_review_name_the_role_to_bind(access: SubjectAccessReviews, kube: KubeDouble) -> None:
    kube.fail(ACCESS_REVIEWS, Failure(403, "subjectaccessreviews is forbidden"))
    with pytest.raises(AuthorizationError, match="system:auth-delegator"):
        await ask(access)


async def test_no_answer_within_the_time_allowed_is_an_error(client: KubeClient, clock: ManualClock, kube: KubeDouble) -> None:
    access = SubjectAccessReviews(client, clock, deadline=0.1)
    kube.gate.clear()
    with pytest.raises(AuthorizationError, match=r"no answer within 0\.1 s"):
        await ask(access)


async def test_standalone_everybody_is_the_same_and_may_do_everything() -> None:
    user = await Everyone().authenticate(
        make_mocked_request("GET", "/", headers={"Authorization": "Bearer x", "X-Remote-User": "eve"})
    )
    assert user.name == "system:unsecured"
    assert await AllowAll().authorize(user, parse_request("DELETE", PODS, {}), {}) == Decision(allowed=True)
