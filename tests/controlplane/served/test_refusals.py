"""Refusals: whatever is asked, the answer is a Status that says what was wrong, through kube-apiserver as well as directly."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api, Reply
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

DEPLOYMENTS = f"{GV}/namespaces/shop/deployments"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PROXIED = pytest.mark.parametrize("proxied", [True, False], ids=["proxied", "direct"])


async def ask(api: Api, path: str, *, proxied: bool, method: str = "GET", headers: dict[str, str] | None = None) -> Reply:
    if proxied:
        return await api.proxied(path, method=method, headers=headers)
    return await api.direct(path, method=method, user=ADMIN, headers=headers)


def status_of(reply: Reply) -> tuple[int, str]:
    """The code and reason of a Status, whose code has to be that of the response."""
    document = reply.document
    assert document["kind"] == "Status"
    assert document["status"] == "Failure"
    assert document["code"] == reply.status
    assert document["message"]
    return reply.status, document.get("reason", "")


@PROXIED
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [DEPLOYMENTS, f"{DEPLOYMENTS}/web", f"{DEPLOYMENTS}/web/edges"], ids=["list", "object", "edges"])
async def test_nothing_can_be_written(api: Api, path: str, method: str, *, proxied: bool):
    reply = await ask(api, path, proxied=proxied, method=method)
    assert status_of(reply) == (405, "MethodNotAllowed")
    assert reply.headers["Allow"] == "GET, HEAD"
    assert reply.document["details"] == {"group": "metrics.smi-spec.io", "kind": "deployments"}


@pytest.mark.parametrize("command", [["delete", "web"], ["delete", "--all"], ["label", "web", "a=b"]], ids=" ".join)
async def test_kubectl_says_that_nothing_can_be_written(api: Api, command: list[str]):
    verb, *rest = command
    run = await api.kubectl(verb, "deployments.metrics.smi-spec.io", *rest, "-n", "shop")
    assert run.code == 1
    assert "(MethodNotAllowed): the server does not allow this method on the requested resource" in run.stderr


@pytest.mark.parametrize("verb", ["create", "apply", "replace"])
async def test_kubectl_says_that_nothing_can_be_made(api: Api, verb: str):
    name = {"apply": "deployment.never"}.get(verb, "deployment.web")
    document = {"apiVersion": "metrics.smi-spec.io/v1alpha1", "kind": "TrafficMetrics", "metadata": {"name": name}}
    run = await api.kubectl(verb, "-n", "shop", "--validate=false", "-f", "-", stdin=json.dumps(document))
    assert run.code == 1
    assert "(MethodNotAllowed)" in run.stderr


@PROXIED
async def test_head_is_get_without_a_body(api: Api, *, proxied: bool):
    reply = await ask(api, f"{DEPLOYMENTS}/web", proxied=proxied, method="HEAD")
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, "application/json", b"")


@PROXIED
@pytest.mark.parametrize(
    "accept",
    [
        "application/vnd.kubernetes.protobuf",
        "text/csv",
        "application/json;q=0",
        "application/json;as=Cat;g=meta.k8s.io;v=v1",
        ",;,",
    ],
)
async def test_a_form_that_is_not_offered_is_not_acceptable(api: Api, accept: str, *, proxied: bool):
    reply = await ask(api, DEPLOYMENTS, proxied=proxied, headers={"Accept": accept})
    assert status_of(reply) == (406, "NotAcceptable")
    assert "application/json, application/yaml" in reply.document["message"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        pytest.param("*/*", b'"TrafficMetricsList"', id="anything"),
        pytest.param("text/html, */*;q=0.1", b'"TrafficMetricsList"', id="a browser"),
        pytest.param("application/vnd.kubernetes.protobuf, application/json", b'"TrafficMetricsList"', id="protobuf, or else JSON"),
        pytest.param("application/yaml", b"kind: TrafficMetricsList", id="YAML"),
        pytest.param(TABLE, b'"Table"', id="a table"),
        pytest.param(f"{TABLE.replace('Table', 'PartialObjectMetadataList')}", b'"PartialObjectMetadataList"', id="metadata"),
    ],
)
async def test_a_form_that_is_offered_is_sent(api: Api, accept: str, kind: bytes):
    reply = await api.proxied(DEPLOYMENTS, headers={"Accept": accept})
    assert reply.status == 200
    assert kind in reply.body


@PROXIED
@pytest.mark.parametrize(
    ("query", "status", "reason", "said"),
    [
        ("window=soon", 400, "BadRequest", '"soon" is not a duration'),
        ("window=0s", 400, "BadRequest", "0s"),
        ("window=5s&t=6s", 400, "BadRequest", "different windows"),
        ("limit=many", 400, "BadRequest", 'limit "many"'),
        ("continue=forged", 400, "BadRequest", "continue key is not valid"),
        ("labelSelector=a%20b", 400, "BadRequest", "label selector"),
        ("fieldSelector=spec.x%3D1", 400, "BadRequest", "not a known field selector"),
        ("includeIdle=perhaps", 400, "BadRequest", "includeIdle"),
        ("edgeKind=cats", 400, "BadRequest", "cats"),
        ("resourceVersion=new", 400, "BadRequest", "resource version"),
        ("resourceVersionMatch=Exact", 422, "Invalid", "resourceVersionMatch is forbidden"),
        ("resourceVersionMatch=Exact&resourceVersion=0", 422, "Invalid", "forbidden"),
        ("sendInitialEvents=true", 422, "Invalid", "sendInitialEvents is forbidden"),
        ("resourceVersion=99999999999", 504, "Timeout", "Too large resource version"),
    ],
)
async def test_a_bad_parameter_is_named(api: Api, query: str, status: int, reason: str, said: str, *, proxied: bool):
    reply = await ask(api, f"{DEPLOYMENTS}?{query}", proxied=proxied)
    assert status_of(reply) == (status, reason)
    assert said in reply.document["message"]


async def test_a_bad_timeout_is_named(api: Api):
    reply = await api.direct(f"{DEPLOYMENTS}?timeout=soon", user=ADMIN)
    assert status_of(reply) == (400, "BadRequest")
    assert "invalid timeout" in reply.document["message"]


async def test_a_table_with_unknown_rows_is_refused(api: Api):
    reply = await api.proxied(f"{DEPLOYMENTS}?includeObject=Everything", headers={"Accept": TABLE})
    assert status_of(reply) == (400, "BadRequest")


@PROXIED
@pytest.mark.parametrize(
    "path",
    [
        f"{GV}/cats",
        f"{GV}/namespaces/shop/cats/web",
        f"{DEPLOYMENTS}/web/status",
        f"{DEPLOYMENTS}/web/edges/api",
        f"{GV}/deployments/web",
    ],
)
async def test_an_unknown_path_is_not_found(api: Api, path: str, *, proxied: bool):
    reply = await ask(api, path, proxied=proxied, headers={"Accept": "text/html, */*"})
    assert status_of(reply) == (404, "NotFound")
    # kube-apiserver reads HTML on its way through, and writes it anew.
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "path", ["/nope", "/apis/nope", "/apis/metrics.smi-spec.io/v2", "/openapi/v4", "/index.html", "/readyz/nope"]
)
async def test_an_unknown_path_of_the_server_is_not_found(api: Api, path: str):
    reply = await api.direct(path, user=ADMIN, headers={"Accept": "text/html, */*"})
    assert status_of(reply) == (404, "NotFound")
    assert reply.headers["Content-Type"] == "application/json"


async def test_kubectl_says_that_there_is_no_such_resource(api: Api):
    run = await api.kubectl("get", "--raw", f"{GV}/cats")
    assert (run.code, run.stdout) == (1, "")
    assert run.stderr == "Error from server (NotFound): the server could not find the requested resource\n"


HOSTILE = ['"} or vector(1) #', "x\ny", "..", "*", "a" * 4000, "ünïcode", "%", "a=b,c", "\\", "{{name}}", "\x00"]


@PROXIED
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_name_is_an_absent_object(api: Api, name: str, *, proxied: bool):
    reply = await ask(api, f"{DEPLOYMENTS}/{quote(name, safe='')}", proxied=proxied)
    assert status_of(reply)[0] == 404


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_namespace_is_empty(api: Api, name: str):
    reply = await api.direct(f"{GV}/namespaces/{quote(name, safe='')}/deployments", user=ADMIN)
    assert (reply.status, reply.document.get("items")) == (200, [])


@PROXIED
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-Long": "x" * 70_000}, id="a long header"),
        pytest.param({f"X-Many-{number}": "x" for number in range(4200)}, id="many headers"),
    ],
)
async def test_headers_beyond_the_limit_are_refused(api: Api, headers: dict[str, str], *, proxied: bool):
    reply = await ask(api, DEPLOYMENTS, proxied=proxied, headers=headers)
    assert status_of(reply)[0] == 431


async def test_a_long_address_is_refused(api: Api):
    reply = await api.direct(f"{DEPLOYMENTS}?labelSelector={'a' * 70_000}", user=ADMIN)
    assert status_of(reply)[0] == 431


@PROXIED
async def test_every_answer_has_one_audit_id(api: Api, *, proxied: bool):
    for path in (DEPLOYMENTS, f"{DEPLOYMENTS}/never", GV):
        reply = await ask(api, path, proxied=proxied)
        # kube-apiserver adds the id it gave the request to the headers of our answer.
        assert len(set(reply.headers.getall("Audit-Id"))) == 1
        assert set(reply.headers.getall("Cache-Control")) == {"no-cache, private"}


async def test_the_audit_id_of_a_caller_is_kept(api: Api):
    reply = await api.direct(DEPLOYMENTS, user=ADMIN, headers={"Audit-ID": "7d5ad0aa"})
    assert reply.headers["Audit-Id"] == "7d5ad0aa"
