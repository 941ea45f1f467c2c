"""The same rows as objects, lists, Tables and metadata, in JSON and YAML."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from apiservice.encoding import accepts_gzip
from apiservice.negotiate import Encoding, Transform
from apiservice.representation import Style, include_object, mark_incomplete, represent_list, represent_object
from metrics_api import BadQuery, Direction, Edge, LatencyUnit, ResourceRef, Side, TrafficMetrics, Window, list_wire
from metrics_api.provenance import INCOMPLETE

SHOP = ResourceRef("Deployment", "shop", "")
WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")


def row(name: str = "web", **more: Any) -> TrafficMetrics:
    values: dict[str, Any] = {
        "name": name,
        "namespace": "shop",
        "resource": WEB._replace(name=name),
        "edge": Edge(),
        "instant": 1_795_300_000,
        "window": Window(30),
        "p99": 12_000,
        "success": 54_000,
        "failure": 6_000,
        "labels": {"app": name, "yes": "no"},
        "source": "mesh",
    }
    return TrafficMetrics(**{**values, **more})


ROWS = [row("api"), row("web", p99=None, success=None, failure=None)]


def table(version: str = "v1") -> Transform:
    return Transform("Table", "meta.k8s.io", version)


def partial(kind: str, version: str = "v1") -> Transform:
    return Transform(kind, "meta.k8s.io", version)


def listed(style: Style, rows: list[TrafficMetrics] = ROWS, metadata: dict[str, Any] | None = None) -> Any:
    body = b"".join(represent_list(rows, metadata or {}, SHOP, style))
    return yaml.safe_load(body) if style.encoding is Encoding.YAML else json.loads(body)


def shown(style: Style, one: TrafficMetrics) -> Any:
    body = b"".join(represent_object(one, style))
    return yaml.safe_load(body) if style.encoding is Encoding.YAML else json.loads(body)


@pytest.mark.parametrize("count", [0, 1, 100, 101], ids=str)
@pytest.mark.parametrize("style", [Style(), Style(pretty=True), Style(Encoding.YAML)], ids=["json", "pretty", "yaml"])
def test_a_list_encoded_in_parts_is_the_whole_list(style: Style, count: int) -> None:
    rows = [row(f"d{index}") for index in range(count)]
    assert listed(style, rows) == list_wire(rows, {}, SHOP)


def test_a_list_has_neither_a_version_nor_a_self_link() -> None:
    assert listed(Style())["metadata"] == {}


def test_the_metadata_of_a_list_is_passed_on() -> None:
    metadata = {"continue": "token", "remainingItemCount": 3}
    assert listed(Style(), metadata=metadata)["metadata"] == metadata
    assert listed(Style(transform=table()), metadata=metadata)["metadata"] == metadata


def test_an_empty_list_has_no_items_and_not_null() -> None:
    assert listed(Style(), [])["items"] == []
    assert listed(Style(transform=table()), [])["rows"] == []


def test_an_object_is_sent_as_it_is() -> None:
    assert shown(Style(), row()) == row().wire()
    assert shown(Style(Encoding.YAML), row()) == row().wire()


def test_yaml_keeps_strings_strings() -> None:
    text = b"".join(represent_object(row(), Style(Encoding.YAML))).decode()
    assert "value: '54'" in text
    assert "'yes': 'no'" in text


def test_json_ends_in_a_newline_and_pretty_json_is_indented() -> None:
    assert b"".join(represent_object(row(), Style())).endswith(b"}\n")
    assert b'\n  "kind": "TrafficMetrics"' in b"".join(represent_object(row(), Style(pretty=True)))
    assert b'\n  "kind": "TrafficMetricsList"' in b"".join(represent_list(ROWS, {}, SHOP, Style(pretty=True)))


@pytest.mark.parametrize("count", [0, 1, 101], ids=str)
def test_a_pretty_list_is_indented_as_a_whole(count: int) -> None:
    rows = [row(f"d{index}", annotations={"note": "two\nlines"}) for index in range(count)]
    body = b"".join(represent_list(rows, {"continue": "x"}, SHOP, Style(pretty=True)))
    expected = json.dumps(list_wire(rows, {"continue": "x"}, SHOP), indent=2)
    assert body.decode() == expected + "\n"


def test_latencies_can_be_in_milliseconds() -> None:
    sent = listed(Style(unit=LatencyUnit.MILLISECONDS))["items"][0]["metrics"][0]
    assert sent == {"name": "p99_response_latency", "unit": "ms", "value": "12"}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_table_has_the_same_columns_whatever_it_holds(version: str) -> None:
    full, empty = listed(Style(transform=table(version))), listed(Style(transform=table(version)), [])
    assert full["columnDefinitions"] == empty["columnDefinitions"]
    assert (full["kind"], full["apiVersion"]) == ("Table", f"meta.k8s.io/{version}")
    for column in full["columnDefinitions"]:
        assert column.keys() == {"name", "type", "format", "description", "priority"}
    for each in full["rows"]:
        assert len(each["cells"]) == len(full["columnDefinitions"])


def test_a_table_of_edges_has_their_columns() -> None:
    edge = row(edge=Edge(Direction.TO, Side.CLIENT, API))
    document = listed(Style(transform=table(), edges=True), [edge])
    names = [column["name"] for column in document["columnDefinitions"]]
    assert names[:3] == ["Name", "Direction", "Peer"]
    assert document["rows"][0]["cells"][:3] == ["web", "to", "deployment/api"]


def test_rows_of_a_table_carry_what_was_asked() -> None:
    metadata = listed(Style(transform=table("v1beta1"), include="Metadata"))["rows"][0]["object"]
    assert metadata == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1beta1", "metadata": ROWS[0].metadata()}
    assert listed(Style(transform=table(), include="Object"))["rows"][0]["object"] == ROWS[0].wire()
    assert "object" not in listed(Style(transform=table(), include="None"))["rows"][0]


def test_one_object_is_a_table_of_one_row() -> None:
    document = shown(Style(transform=table()), row())
    assert (document["metadata"], len(document["rows"])) == ({"resourceVersion": str(row().instant)}, 1)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_metadata_can_be_asked_for_alone(version: str) -> None:
    style = Style(transform=partial("PartialObjectMetadataList", version))
    document = listed(style)
    assert (document["kind"], document["apiVersion"]) == ("PartialObjectMetadataList", f"meta.k8s.io/{version}")
    one = shown(Style(transform=partial("PartialObjectMetadata", version)), ROWS[0])
    assert document["items"][0] == one
    assert one == {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": ROWS[0].metadata()}


@pytest.mark.parametrize(
    ("query", "expected"), [({}, "Metadata"), ({"includeObject": ""}, "Metadata"), ({"includeObject": "None"}, "None")]
)
def test_rows_carry_metadata_unless_asked_otherwise(query: dict[str, str], expected: str) -> None:
    assert include_object(query) == expected


def test_an_unknown_wish_for_rows_is_refused() -> None:
    with pytest.raises(BadQuery, match='unrecognized includeObject value: "Everything"'):
        include_object({"includeObject": "Everything"})


def test_incomplete_rows_say_so_and_keep_their_annotations() -> None:
    (marked,) = mark_incomplete([row(annotations={"own": "1"})])
    assert marked.metadata()["annotations"] == {"own": "1", INCOMPLETE: "true"}


def test_incomplete_rows_share_what_they_are_annotated_with_where_they_did_before() -> None:
    mesh, aws = {"source": "mesh"}, {"source": "aws"}
    one, other, apart = mark_incomplete([row("a", annotations=mesh), row("b", annotations=mesh), row("c", annotations=aws)])
    assert one.annotations is other.annotations
    assert (apart.annotations, mesh) == ({"source": "aws", INCOMPLETE: "true"}, {"source": "mesh"})


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("*", False),
    ],
)
def test_gzip_is_used_when_it_is_named(header: str, accepted: bool) -> None:  # noqa: FBT001
    assert accepts_gzip({"Accept-Encoding": header}) is accepted
