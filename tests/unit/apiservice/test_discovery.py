"""What discovery tells, to each generation of clients."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
import yaml
from aiohttp import web
from multidict import CIMultiDict

from apiservice.catalog import SERVED
from apiservice.discovery import AGGREGATED, Discovery, api_resource_list, group_discovery_list
from apiservice.negotiate import NotAcceptable
from metrics_api.resources import RESOURCE_TYPES

AGGREGATOR = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)
DISCOVERY = Discovery()
SPLITS = ("trafficsplits", "httproutes", "grpcroutes")


def ask(path: str, accept: str = "", **headers: str) -> web.Response:
    given = CIMultiDict({"Accept": accept, **{name.replace("_", "-"): value for name, value in headers.items()}})
    response = DISCOVERY.respond(path, {}, given)
    assert response is not None
    return response


def document(response: web.Response) -> Any:
    assert isinstance(response.body, bytes)
    body = gzip.decompress(response.body) if response.headers.get("Content-Encoding") == "gzip" else response.body
    return json.loads(body)


def resources(*, literal: bool = False) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in api_resource_list(SERVED, literal=literal)["resources"]}


def test_every_resource_of_the_specification_is_listed_with_its_edges() -> None:
    for row in RESOURCE_TYPES:
        entry = resources()[row.plural]
        assert (entry["namespaced"], entry["singularName"]) == (row.namespaced, row.singular)
        assert resources()[f"{row.plural}/edges"]["namespaced"] is row.namespaced


def test_no_two_resources_share_a_kind_so_that_kubectl_keeps_them_apart() -> None:
    kinds = [entry["kind"] for name, entry in resources().items() if "/" not in name]
    assert len(kinds) == len(set(kinds))


def test_trafficmetrics_comes_last_and_has_the_kind_the_objects_say() -> None:
    name, entry = list(resources().items())[-1]
    assert (name, entry["kind"], entry["shortNames"], entry["categories"]) == (
        "trafficmetrics",
        "TrafficMetrics",
        ["tm"],
        ["traffic"],
    )


def test_only_what_is_answered_is_offered() -> None:
    for name, entry in resources().items():
        watched = ["watch"] if name not in SPLITS else []
        expected = ["list"] if name == "edges" else ["get"] if "/" in name else ["get", "list", *watched]
        assert entry["verbs"] == expected, name


def test_the_edges_of_a_namespace_are_a_resource_of_that_namespace() -> None:
    entry = resources()["edges"]
    assert (entry["namespaced"], entry["verbs"]) == (True, ["list"])


def test_no_short_name_hides_one_of_kubernetes() -> None:
    short_names = [name for entry in resources().values() for name in entry.get("shortNames", [])]
    assert short_names == ["tm"]


def test_the_literal_form_has_one_kind_for_all() -> None:
    kinds = {entry["kind"] for name, entry in resources(literal=True).items() if "/" not in name}
    assert kinds == {"TrafficMetrics"}
    (item,) = group_discovery_list(AGGREGATED[0], SERVED, literal=True)["items"]
    assert {entry["responseKind"]["kind"] for entry in item["versions"][0]["resources"]} == {"TrafficMetrics"}


def test_the_aggregated_document_says_what_the_legacy_one_says() -> None:
    (item,) = group_discovery_list(AGGREGATED[0], SERVED)["items"]
    (version,) = item["versions"]
    found = {}
    for entry in version["resources"]:
        namespaced = entry["scope"] == "Namespaced"
        found[entry["resource"]] = (namespaced, entry["responseKind"]["kind"], entry["verbs"], entry["singularResource"])
        for sub in entry.get("subresources", []):
            found[f"{entry['resource']}/{sub['subresource']}"] = (namespaced, sub["responseKind"]["kind"], sub["verbs"], "")
    legacy = {
        name: (entry["namespaced"], entry["kind"], entry["verbs"], entry["singularName"]) for name, entry in resources().items()
    }
    assert found == legacy
    assert version["freshness"] == "Current"


def test_the_two_aggregated_versions_differ_in_their_api_version_alone() -> None:
    newer, older = (group_discovery_list(wanted, SERVED) for wanted in AGGREGATED)
    assert (newer.pop("apiVersion"), older.pop("apiVersion")) == ("apidiscovery.k8s.io/v2", "apidiscovery.k8s.io/v2beta1")
    assert newer == older


@pytest.mark.parametrize(
    ("accept", "content_type", "kind"),
    [
        pytest.param(
            AGGREGATOR, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "APIGroupDiscoveryList", id="v2"
        ),
        pytest.param(
            AGGREGATOR.partition(",")[2],
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
            "APIGroupDiscoveryList",
            id="v2beta1",
        ),
        pytest.param("application/json", "application/json", "APIGroupList", id="legacy"),
        pytest.param("", "application/json", "APIGroupList", id="no wish"),
    ],
)
def test_apis_answers_each_generation(accept: str, content_type: str, kind: str) -> None:
    response = ask("/apis", accept)
    assert response.headers["Content-Type"] == content_type
    assert document(response)["kind"] == kind


def test_the_aggregated_document_may_be_cached_by_everybody_and_has_a_quoted_etag() -> None:
    response = ask("/apis", AGGREGATOR)
    assert response.headers["Cache-Control"] == "public"
    assert "Accept" in response.headers["Vary"]
    etag = response.headers["ETag"]
    assert etag.startswith('"')
    assert etag.endswith('"')


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_who_holds_the_document_is_not_sent_it_again(form: str) -> None:
    etag = ask("/apis", AGGREGATOR).headers["ETag"]
    response = ask("/apis", AGGREGATOR, If_None_Match=form.format(etag))
    assert (response.status, response.body) == (304, None)
    assert response.headers["ETag"] == etag


def test_another_etag_brings_the_document() -> None:
    assert ask("/apis", AGGREGATOR, If_None_Match='"other"').status == 200


def test_the_etag_is_the_same_in_every_replica() -> None:
    other = Discovery().respond("/apis", {}, CIMultiDict({"Accept": AGGREGATOR}))
    assert other is not None
    assert other.headers["ETag"] == ask("/apis", AGGREGATOR).headers["ETag"]


def test_a_plain_kubectl_finds_no_core_group_and_no_error() -> None:
    assert document(ask("/api"))["versions"] == []
    assert document(ask("/api", AGGREGATOR))["items"] == []


def test_the_group_names_its_preferred_version() -> None:
    group = document(ask("/apis/metrics.smi-spec.io"))
    assert (group["kind"], group["preferredVersion"]["version"]) == ("APIGroup", "v1alpha1")


def test_documents_come_as_yaml_indented_or_compressed_when_asked() -> None:
    path = "/apis/metrics.smi-spec.io/v1alpha1"
    plain = document(ask(path))
    body = ask(path, "application/yaml").body
    assert isinstance(body, bytes)
    assert yaml.safe_load(body) == plain
    indented = ask(path, User_Agent="curl/8.5").body
    assert isinstance(indented, bytes)
    assert b'\n  "kind"' in indented
    compressed = ask(path, Accept_Encoding="gzip")
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert document(compressed) == plain


def test_other_forms_are_refused_and_other_paths_left_to_others() -> None:
    with pytest.raises(NotAcceptable):
        ask("/apis", "text/csv")
    assert DISCOVERY.respond("/apis/apps", {}, CIMultiDict()) is None
