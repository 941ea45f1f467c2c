"""What is written to kube-apiserver: documents put in the place of others, and parts merged into them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from apiservice.kube import KubeClient, KubeError
from tests.doubles.kube import Failure, KubeDouble, running_kube

SECRET = "/api/v1/namespaces/mesh/secrets/issued"


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeDouble]:
    async with running_kube(tmp_path) as double:
        yield double


@pytest.fixture
async def client(kube: KubeDouble) -> AsyncIterator[KubeClient]:
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "content_type"),
    [("PUT", "application/json"), ("PATCH", "application/merge-patch+json"), ("POST", "application/json")],
)
async def test_what_is_written_arrives_as_what_it_is(client: KubeClient, kube: KubeDouble, method: str, content_type: str) -> None:
    seen: list[tuple[str, str, object]] = []

    async def answer(request: web.Request) -> web.Response:
        # The double has read it before.
        seen.append((request.method, request.headers["Content-Type"], json.loads(await request.read())))
        return web.json_response({"kind": "Secret"}, status=201 if request.method == "POST" else 200)

    kube.handlers[SECRET] = answer
    write = {"PUT": client.put_json, "PATCH": client.patch_json, "POST": client.post_json}[method]
    assert await write(SECRET, {"spec": {"caBundle": "eA==", "none": None}}) == {"kind": "Secret"}
    assert seen == [(method, content_type, {"spec": {"caBundle": "eA==", "none": None}})]


@pytest.mark.parametrize("status", [403, 409, 422, 500])
async def test_a_refusal_does_not_repeat_what_was_written(client: KubeClient, kube: KubeDouble, status: int) -> None:
    for write, method in ((client.put_json, "PUT"), (client.patch_json, "PATCH")):
        kube.fail(SECRET, *[Failure(status, "no")] * 2)
        with pytest.raises(KubeError) as caught:
            await write(SECRET, {"data": {"tls.key": "c2VjcmV0"}})
        assert caught.value.status == status
        assert caught.value.message == f"{method} {SECRET}: {status} {_reason(status)}: no"
        kube.failures.clear()


def _reason(status: int) -> str:
    return {403: "Forbidden", 409: "Conflict", 422: "Unprocessable Entity", 500: "Internal Server Error"}[status]
