"""Trust: kube-apiserver reaches the server as the manifests register it, and only while it can verify whom it reaches."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from typing import Any

import pytest

from tests.controlplane.pki import Authority
from tests.controlplane.plane import API_SERVICE
from tests.controlplane.served.api import Api, Reply
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

TRAFFIC = f"{GV}/trafficmetrics"


async def api_service(api: Api) -> Any:
    return json.loads(await api.prints("get", "apiservice", API_SERVICE, "-o", "json"))


async def available(api: Api) -> Any:
    """The APIService's condition of that name."""
    (condition,) = [each for each in (await api_service(api))["status"]["conditions"] if each["type"] == "Available"]
    return condition


async def test_a_registered_server_is_soon_available(api: Api):
    await api.register()
    created = (await api_service(api))["metadata"]["creationTimestamp"]
    condition = await available(api)
    assert (condition["status"], condition["reason"]) == ("True", "Passed")
    assert moment(condition["lastTransitionTime"]) - moment(created) < dt.timedelta(seconds=30)


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


async def test_it_is_reached_with_its_certificate_verified(api: Api):
    spec = (await api_service(api))["spec"]
    assert "insecureSkipTLSVerify" not in spec
    assert base64.b64decode(spec["caBundle"]) == api.server.ca_bundle
    assert (await api.proxied(TRAFFIC)).status == 200


async def test_it_is_not_reached_while_its_certificate_cannot_be_verified(api: Api):
    try:
        await trust(api, Authority("trafficmetrics-ca").certificate)
        refused = await until_answered(api, 503)
        # Once kube-apiserver has looked for itself it says no more than "service unavailable", and the condition says why.
        said = refused.body.decode() + (await available(api))["message"]
        assert "x509: certificate signed by unknown authority" in said
        await trust(api, api.server.ca_bundle)
        assert (await until_answered(api, 200)).document["kind"] == "TrafficMetricsList"
    finally:
        await api.register()


async def trust(api: Api, authority: bytes) -> None:
    """Has kube-apiserver verify the server's certificate with this authority's (PEM)."""
    patch = {"spec": {"caBundle": base64.b64encode(authority).decode()}}
    await api.prints("patch", "apiservice", API_SERVICE, "--type=merge", f"--patch={json.dumps(patch)}")


async def until_answered(api: Api, status: int) -> Reply:
    """The first answer with this status; kube-apiserver takes a moment to take up a change."""
    for _ in range(300):
        reply = await api.proxied(TRAFFIC)
        if reply.status == status:
            return reply
        await asyncio.sleep(0.1)
    pytest.fail(f"the last answer was {reply.status}: {reply.body[:200]!r}")
