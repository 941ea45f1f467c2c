"""The Accept header, read as Kubernetes reads it."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from apiservice.negotiate import (
    LIST_TRANSFORMS,
    OBJECT_TRANSFORMS,
    Encoding,
    NotAcceptable,
    Transform,
    accept_of,
    negotiate,
    wants_pretty,
)

KUBECTL_GET = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
METADATA_CLIENT = (
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)
TABLE = Transform("Table", "meta.k8s.io", "v1")


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        pytest.param("", Encoding.JSON, id="absent"),
        pytest.param("   ", Encoding.JSON, id="blank"),
        pytest.param("*/*", Encoding.JSON, id="anything"),
        pytest.param("*", Encoding.JSON, id="a lone star"),
        pytest.param("application/*", Encoding.JSON, id="any application type"),
        pytest.param("application/yaml", Encoding.YAML, id="yaml"),
        pytest.param("Application/YAML", Encoding.YAML, id="in capitals"),
        pytest.param("application/json;q=0.5,application/yaml", Encoding.YAML, id="yaml weighs more"),
        pytest.param("application/yaml;q=0.5,application/json;q=0.9", Encoding.JSON, id="json weighs more"),
        pytest.param("*/*,application/yaml", Encoding.YAML, id="an exact type before a wildcard"),
        pytest.param("application/*,application/yaml", Encoding.YAML, id="an exact type before half a wildcard"),
        pytest.param("application/vnd.kubernetes.protobuf,application/json", Encoding.JSON, id="protobuf with a fallback"),
        pytest.param("text/html,application/xhtml+xml,*/*;q=0.8", Encoding.JSON, id="a browser"),
        pytest.param(";;;,/,application,application/yaml", Encoding.YAML, id="broken clauses are left out"),
        pytest.param("application/yaml;q=loud", Encoding.YAML, id="a weight that is no number counts as 1"),
        pytest.param("application/json;q=0,application/yaml;q=0.1", Encoding.YAML, id="a weight of 0 refuses"),
        pytest.param("application/json;charset=utf-8", Encoding.JSON, id="foreign parameters are ignored"),
    ],
)
def test_the_best_encoding_offered_is_chosen(accept: str, encoding: Encoding) -> None:
    assert negotiate(accept).encoding is encoding


@pytest.mark.parametrize(
    "accept",
    [
        pytest.param("text/csv", id="another type"),
        pytest.param("application/vnd.kubernetes.protobuf", id="protobuf alone"),
        pytest.param("application/json;q=0", id="json refused"),
        pytest.param("application/json;as=Table;v=v1;g=meta.k8s.io", id="a transform not offered here"),
        pytest.param("application/json;as=Table", id="a transform without group and version"),
        pytest.param("application/json;v=v1", id="a version without a kind"),
        pytest.param(",;,", id="nothing but separators"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_types_that_can(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        negotiate(accept)
    assert str(refused.value) == "only the following media types are accepted: application/json, application/yaml"


def test_kubectl_get_receives_a_table() -> None:
    assert negotiate(KUBECTL_GET, LIST_TRANSFORMS).transform == TABLE


def test_an_impossible_transform_fails_its_clause_alone() -> None:
    accept = "application/json;as=Table;v=v2;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io"
    assert negotiate(accept, LIST_TRANSFORMS).transform == Transform("Table", "meta.k8s.io", "v1beta1")


def test_a_metadata_client_receives_metadata() -> None:
    chosen = negotiate(METADATA_CLIENT, LIST_TRANSFORMS)
    assert (chosen.encoding, chosen.transform) == (Encoding.JSON, Transform("PartialObjectMetadataList", "meta.k8s.io", "v1"))


@pytest.mark.parametrize(
    ("kind", "transforms"),
    [
        pytest.param("PartialObjectMetadata", LIST_TRANSFORMS, id="an object's metadata of a list"),
        pytest.param("PartialObjectMetadataList", OBJECT_TRANSFORMS, id="a list's metadata of an object"),
    ],
)
def test_metadata_of_the_wrong_number_is_refused(kind: str, transforms: tuple[Transform, ...]) -> None:
    with pytest.raises(NotAcceptable):
        negotiate(f"application/json;as={kind};v=v1;g=meta.k8s.io", transforms)


def test_a_table_can_be_yaml() -> None:
    chosen = negotiate("application/yaml;as=Table;v=v1;g=meta.k8s.io", LIST_TRANSFORMS)
    assert (chosen.encoding, chosen.transform) == (Encoding.YAML, TABLE)


def test_repeated_headers_are_one_header() -> None:
    headers = CIMultiDict([("accept", "text/csv"), ("Accept", "application/yaml")])
    assert negotiate(accept_of(headers)).encoding is Encoding.YAML


@pytest.mark.parametrize(
    ("query", "user_agent", "pretty"),
    [
        pytest.param({}, "kubectl/v1.32", False, id="a program"),
        pytest.param({}, "curl/8.5.0", True, id="curl"),
        pytest.param({}, "Mozilla/5.0 (X11)", True, id="a browser"),
        pytest.param({"pretty": "true"}, "kubectl/v1.32", True, id="asked for"),
        pytest.param({"pretty": "1"}, "", True, id="asked for in short"),
        pytest.param({"pretty": "0"}, "curl/8.5.0", False, id="curl that does not want it"),
        pytest.param({"pretty": ""}, "Wget/1.21", True, id="an empty wish is none"),
    ],
)
def test_people_get_indentation(query: dict[str, str], user_agent: str, pretty: bool) -> None:  # noqa: FBT001
    assert wants_pretty(query, user_agent) is pretty


def test_a_clause_can_ask_for_indentation() -> None:
    assert negotiate("application/json;pretty=1").pretty
