"""The audit log of the control plane: it tells what an extension server asked about people, and none of their secrets."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.controlplane.plane import ControlPlane

pytestmark = pytest.mark.real

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def review(user: str, **attributes: str) -> dict[str, Any]:
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": {"verb": "list", "resource": "pods", **attributes}},
    }


async def ask(plane: ControlPlane, path: str, document: dict[str, Any] | None = None, **headers: str) -> str:
    """Sends a document there, or gets what is there; returns the audit ID of the response."""
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request("POST" if document else "GET", plane.url + path, json=document, ssl=plane.tls()) as response,
    ):
        return response.headers["Audit-Id"]


async def test_an_access_review_is_recorded_with_its_bodies(control_plane: ControlPlane):
    audit_id = await ask(control_plane, REVIEWS, review("somebody", namespace="shop"))
    (event,) = await control_plane.audited(audit_id=audit_id)
    assert event["requestObject"]["spec"]["user"] == "somebody"
    assert event["requestObject"]["spec"]["resourceAttributes"]["namespace"] == "shop"
    assert event["responseObject"]["status"]["allowed"] is False


async def test_a_token_is_not_recorded(control_plane: ControlPlane):
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "very-secret"}}
    mark = control_plane.audit.mark()
    await ask(control_plane, "/apis/authentication.k8s.io/v1/tokenreviews", asked)
    (event,) = await control_plane.audited(mark, resource="tokenreviews")
    assert "very-secret" not in json.dumps(event)


async def test_requests_to_the_extension_api_are_recorded(control_plane: ControlPlane):
    mark = control_plane.audit.mark()
    for path in ("namespaces/shop/pods", "namespaces/shop/pods/web/edges"):
        await ask(control_plane, f"/apis/metrics.smi-spec.io/v1alpha1/{path}")
    (event,) = await control_plane.audited(mark, resource="pods/edges")
    assert (event["verb"], event["objectRef"]["namespace"], event["objectRef"]["name"]) == ("get", "shop", "web")
    # A server that has just ended may still have asked something of its own.
    events = [event for event in await control_plane.audited(mark) if event["objectRef"].get("apiGroup") == "metrics.smi-spec.io"]
    assert len(events) == 2


async def test_nothing_else_is_recorded(control_plane: ControlPlane):
    mark = control_plane.audit.mark()
    await ask(control_plane, "/api/v1/namespaces")
    assert await control_plane.audited(mark, resource="namespaces", patience=0) == []


async def test_what_was_answered_is_recorded_at_once(control_plane: ControlPlane):
    mark = control_plane.audit.mark()
    asked = [await ask(control_plane, REVIEWS, review(f"user-{number}")) for number in range(20)]
    recorded = [event["auditID"] for event in await control_plane.audited(mark, resource="subjectaccessreviews", patience=0)]
    assert set(asked) <= set(recorded)


async def test_a_request_may_bring_its_id(control_plane: ControlPlane):
    assert await ask(control_plane, REVIEWS, review("somebody"), **{"Audit-ID": "of-my-own"}) == "of-my-own"
    assert len(await control_plane.audited(audit_id="of-my-own")) == 1
