"""What kube-apiserver says to an object without keeping it: every field known, admitted, and of a kind that is served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp

from tests.controlplane.plane import ControlPlane

__all__ = ["Verdict", "submit"]


class Verdict(NamedTuple):
    """The status of the response, its warnings, and the object as it would be kept; where it is refused, the Status that says why."""

    status: int
    warnings: list[str]
    document: dict[str, Any]


async def submit(plane: ControlPlane, *objects: Mapping[str, Any]) -> list[Verdict]:
    """As ``kubectl apply --server-side --dry-run=server --validate=strict`` does it, without reading all schemas for it each time."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=plane.tls())) as session:
        return [await _submitted(session, plane.url, each) for each in objects]


async def _submitted(session: aiohttp.ClientSession, url: str, document: Mapping[str, Any]) -> Verdict:
    version = document["apiVersion"]
    root = f"{url}/apis/{version}" if "/" in version else f"{url}/api/{version}"
    async with session.get(root) as response:
        served = (await response.json())["resources"] if response.status == 200 else []
    found = next((each for each in served if each["kind"] == document["kind"] and "/" not in each["name"]), None)
    if found is None:
        return Verdict(404, [], {"message": f"{version} has no {document['kind']}"})
    metadata = document["metadata"]
    scope = f"/namespaces/{metadata['namespace']}" if found["namespaced"] else ""
    async with session.patch(
        f"{root}{scope}/{found['name']}/{metadata['name']}",
        params={"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "tests", "force": "true"},
        headers={"Content-Type": "application/apply-patch+yaml"},
        data=json.dumps(document),
    ) as response:
        return Verdict(response.status, response.headers.getall("Warning", []), await response.json())
