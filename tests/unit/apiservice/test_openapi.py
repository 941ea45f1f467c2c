"""The OpenAPI documents, and the addresses they have."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDict
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator

from apiservice.catalog import SERVED
from apiservice.negotiate import NotAcceptable
from apiservice.openapi import OpenAPI, document_v2, document_v3
from metrics_api import Edge, ResourceRef, SplitBackend, TrafficMetrics, Window, list_wire

KINDS = [row.kind for row in SERVED]
V3 = document_v3("0.1.0", KINDS)
V2 = document_v2("0.1.0", KINDS)
OBJECT = "io.smi-spec.metrics.v1alpha1.TrafficMetrics"
PATH = "/openapi/v3/apis/metrics.smi-spec.io/v1alpha1"
PAGES = OpenAPI("0.1.0")


def ask(path: str, query: dict[str, str] | None = None, **headers: str) -> web.Response:
    given = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    response = PAGES.respond(path, query or {}, given)
    assert response is not None
    return response


def body_of(response: web.Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def current_hash() -> str:
    (entry,) = json.loads(body_of(ask("/openapi/v3")))["paths"].values()
    address: str = entry["serverRelativeURL"]
    return address.partition("?hash=")[2]


def test_the_v3_document_is_valid() -> None:
    assert [error.message for error in OpenAPIV30SpecValidator(V3).iter_errors()] == []


def test_the_v2_document_is_valid() -> None:
    assert [error.message for error in OpenAPIV2SpecValidator(V2).iter_errors()] == []


def properties(schemas: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, schema in schemas.items():
        yield name, schema
        for field, about in schema.get("properties", {}).items():
            yield f"{name}.{field}", about


@pytest.mark.parametrize("schemas", [V3["components"]["schemas"], V2["definitions"]], ids=["v3", "v2"])
def test_every_field_is_described(schemas: dict[str, Any]) -> None:
    undescribed = [name for name, about in properties(schemas) if len(about.get("description", "")) < 10]
    assert undescribed == []


def keys(document: Any, path: str = "") -> Iterator[str]:
    """Paths of the fields of an object as sent; those of free maps are left out."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield f"{path}.{key}"
            if key not in ("labels", "annotations"):
                yield from keys(value, f"{path}.{key}")
    elif isinstance(document, list):
        for value in document:
            yield from keys(value, path)


def schema_keys(name: str, path: str = "") -> Iterator[str]:
    for field, about in V3["components"]["schemas"][name]["properties"].items():
        yield f"{path}.{field}"
        target = (about.get("allOf") or [about.get("items", {})])[0].get("$ref", "")
        if target:
            yield from schema_keys(target.rpartition("/")[2], f"{path}.{field}")


def test_the_schemas_have_exactly_the_fields_that_are_sent() -> None:
    web_deployment = ResourceRef("Deployment", "shop", "web")
    row = TrafficMetrics(
        name="web",
        namespace="shop",
        resource=web_deployment,
        edge=Edge(peer=ResourceRef("Deployment", "shop", "api")),
        instant=1,
        window=Window(30),
        labels={"app": "web"},
        annotations={"metrics.smi-spec.io/incomplete": "true"},
        backend=SplitBackend("web", "web-v2", 10),
    )
    sent = list_wire([row], {"continue": "x", "remainingItemCount": 1}, web_deployment)
    assert set(keys(sent)) == set(schema_keys(f"{OBJECT}List"))


def test_every_operation_says_its_action_and_a_kind_that_has_a_schema() -> None:
    known = [gvk for schema in V3["components"]["schemas"].values() for gvk in schema.get("x-kubernetes-group-version-kind", [])]
    operations = [item["get"] for item in V3["paths"].values()]
    assert all(operation["x-kubernetes-group-version-kind"] in known for operation in operations)
    assert {operation["x-kubernetes-action"] for operation in operations} == {"get", "list"}
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_the_schema_of_the_object_belongs_to_every_kind_of_discovery() -> None:
    kinds = {gvk["kind"] for gvk in V3["components"]["schemas"][OBJECT]["x-kubernetes-group-version-kind"]}
    assert kinds == {*KINDS}


def test_every_resource_has_the_paths_kubectl_explain_looks_for() -> None:
    base = "/apis/metrics.smi-spec.io/v1alpha1"
    for row in SERVED:
        assert f"{base}/{row.plural}" in V3["paths"]
        if row.namespaced:
            assert f"{base}/namespaces/{{namespace}}/{row.plural}" in V3["paths"]
    assert V3["paths"].keys() == V2["paths"].keys()


def test_only_reading_is_offered() -> None:
    assert {method for item in V3["paths"].values() for method in item if method != "parameters"} == {"get"}


def test_the_right_hash_may_be_kept_for_ever() -> None:
    response = ask(PATH, {"hash": current_hash()})
    assert response.status == 200
    assert response.headers["Cache-Control"] == "public, immutable"
    assert "Expires" in response.headers
    assert response.headers["ETag"] == f'"{current_hash()}"'


@pytest.mark.parametrize("query", [{}, {"hash": "0123"}], ids=["no hash", "the hash of another replica"])
def test_any_other_hash_brings_the_current_document_and_no_promise(query: dict[str, str]) -> None:
    response = ask(PATH, query)
    assert response.status == 200
    assert "Cache-Control" not in response.headers
    assert "Expires" not in response.headers
    assert json.loads(body_of(response))["openapi"] == "3.0.0"


def test_every_replica_of_a_version_has_the_same_hash() -> None:
    other = OpenAPI("0.1.0").respond("/openapi/v3", {}, CIMultiDict())
    assert other is not None
    assert body_of(other) == body_of(ask("/openapi/v3"))


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3", PATH])
def test_documents_have_an_etag_and_are_not_sent_twice(path: str) -> None:
    etag = ask(path).headers["ETag"]
    assert ask(path, If_None_Match=etag).status == 304
    assert "Accept" in ask(path).headers["Vary"]


def test_the_v2_document_is_compressed_when_asked() -> None:
    response = ask("/openapi/v2", Accept_Encoding="gzip, deflate")
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body_of(response)) == body_of(ask("/openapi/v2"))


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3", PATH])
def test_clients_that_take_protobuf_alone_are_refused(path: str) -> None:
    with pytest.raises(NotAcceptable):
        ask(path, Accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")


def test_other_paths_are_left_to_others() -> None:
    assert PAGES.respond("/openapi", {}, CIMultiDict()) is None
