"""The reading of a request is kube-apiserver's own, to the letter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from yarl import URL

from apiservice.requestinfo import RequestInfo, decode_path, parse_request

GV = "/apis/metrics.smi-spec.io/v1alpha1"
RECORDED = Path(__file__).with_name("requestinfo_recorded.json")


def read(method: str, url: str) -> RequestInfo:
    """As the server reads it: the path percent-decoded once, the query with every value."""
    path, _, query = url.partition("?")
    parsed = URL.build(path=path, query_string=query, encoded=True)
    return parse_request(method, decode_path(parsed.raw_path), parsed.query)


def resource(verb: str, name: str = "", /, **rest: str) -> dict[str, Any]:
    """What is expected of a resource request of this API group; everything not told is empty."""
    expected = {"namespace": "", "resource": "", "subresource": ""} | rest
    return {"is_resource": True, "verb": verb, "name": name, "group": "metrics.smi-spec.io", "version": "v1alpha1"} | expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(f"{GV}/namespaces", resource("list", resource="namespaces"), id="namespaces-are-listed"),
        pytest.param(f"{GV}/namespaces/shop", resource("get", "shop", resource="namespaces", namespace="shop"), id="a-namespace"),
        pytest.param(
            f"{GV}/namespaces/shop/edges", resource("list", resource="edges", namespace="shop"), id="namespace-edges-are-a-list"
        ),
        pytest.param(
            f"{GV}/namespaces/shop/status",
            resource("get", "shop", resource="namespaces", namespace="shop", subresource="status"),
            id="a-namespace-has-a-status",
        ),
        pytest.param(f"{GV}/namespaces/shop/pods", resource("list", resource="pods", namespace="shop"), id="a-list"),
        pytest.param(f"{GV}/namespaces/shop/pods/", resource("list", resource="pods", namespace="shop"), id="a-trailing-slash"),
        pytest.param(f"{GV}/namespaces/shop/pods/p", resource("get", "p", resource="pods", namespace="shop"), id="a-get"),
        pytest.param(
            f"{GV}/namespaces/shop/pods/p/edges",
            resource("get", "p", resource="pods", namespace="shop", subresource="edges"),
            id="edges-are-a-subresource",
        ),
        pytest.param(
            f"{GV}/namespaces/shop/pods/p%2Fedges",
            resource("get", "p", resource="pods", namespace="shop", subresource="edges"),
            id="an-encoded-slash-is-a-slash",
        ),
        pytest.param(
            f"{GV}/namespaces/shop/pods/p%252Fedges",
            resource("get", "p%2Fedges", resource="pods", namespace="shop"),
            id="but-is-decoded-once",
        ),
        pytest.param(f"{GV}/pods", resource("list", resource="pods"), id="all-namespaces"),
        pytest.param(f"{GV}/nodes/n1/edges", resource("get", "n1", resource="nodes", subresource="edges"), id="cluster-scoped"),
        pytest.param(f"{GV}/pods?watch=true", resource("watch", resource="pods"), id="watch"),
        pytest.param(f"{GV}/pods?watch", resource("watch", resource="pods"), id="watch-without-a-value"),
        pytest.param(f"{GV}/pods?watch=nonsense", resource("watch", resource="pods"), id="watch-nonsense"),
        pytest.param(f"{GV}/pods?watch=0", resource("list", resource="pods"), id="watch-0"),
        pytest.param(f"{GV}/pods?watch=False", resource("list", resource="pods"), id="watch-false"),
        pytest.param(f"{GV}/pods?watch=0&watch=1", resource("list", resource="pods"), id="the-first-value-counts"),
        pytest.param(f"{GV}/pods?watch=1&limit=x", resource("watch", resource="pods"), id="watch-beside-a-broken-option"),
        pytest.param(f"{GV}/watch/pods", resource("watch", resource="pods"), id="the-old-watch-path"),
        pytest.param(
            f"{GV}/watch/namespaces/shop/pods/p",
            resource("watch", "p", resource="pods", namespace="shop"),
            id="the-old-watch-path-of-one",
        ),
        pytest.param(
            f"{GV}/proxy/namespaces/shop/pods/p/edges",
            resource("proxy", "p", resource="pods", namespace="shop"),
            id="proxy-has-no-subresource",
        ),
        pytest.param(f"{GV}/watch", resource("get"), id="a-verb-without-a-resource"),
        pytest.param(f"{GV}/pods?fieldSelector=metadata.name%3Dp", resource("list", "p", resource="pods"), id="a-selected-name"),
        pytest.param(f"{GV}/pods?fieldSelector=metadata.name!%3Dp", resource("list", resource="pods"), id="an-excluded-name"),
        pytest.param(
            f"{GV}/pods?fieldSelector=metadata.name%3Da%2Fb", resource("list", resource="pods"), id="a-selected-name-with-a-slash"
        ),
        pytest.param(
            f"{GV}/pods?fieldSelector=metadata.name%3D..", resource("list", resource="pods"), id="a-selected-name-of-dots"
        ),
        pytest.param(
            f"{GV}/pods?fieldSelector=metadata.name%3Dp&labelSelector=%3D",
            resource("list", resource="pods"),
            id="a-name-beside-a-broken-selector",
        ),
        pytest.param(
            f"{GV}/pods?fieldSelector=metadata.name%3Dp&limit=1x",
            resource("list", resource="pods"),
            id="a-name-beside-a-broken-limit",
        ),
        pytest.param(
            f"{GV}/pods?fieldSelector=resource.kind%3DPod,metadata.name%3Dp",
            resource("list", "p", resource="pods"),
            id="any-field-is-known",
        ),
        pytest.param(f"{GV}//pods", resource("get", "pods", resource=""), id="an-empty-segment-is-a-segment"),
    ],
)
def test_a_get_is_read_as_kubernetes_reads_it(url: str, expected: dict[str, Any]) -> None:
    info = read("GET", url)
    assert {field: getattr(info, field) for field in expected} == expected


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        pytest.param("/a%2Fb", "/a/b", id="slash"),
        pytest.param("/a%252Fb", "/a%2Fb", id="once"),
        pytest.param("/a%C3%A9", "/aé", id="utf-8"),
        pytest.param("/aé", "/aé", id="not-encoded"),
        pytest.param("/a%C0%AFb", "/a\ufffd\ufffdb", id="overlong-slash"),
        pytest.param("/a%C0%2Fb", "/a\ufffd/b", id="half-a-character-and-a-slash"),
        pytest.param("/a\udcc0b", "/a\ufffdb", id="a-byte-as-aiohttp-passes-it-on"),
        pytest.param("/a%25C0", "/a%C0", id="an-encoded-percent-sign"),
        pytest.param("/a%zz", "/a%zz", id="no-escape"),
        pytest.param("/a+b;c%00", "/a+b;c\0", id="nothing-else-is-special"),
    ],
)
def test_a_path_is_decoded_once_and_whatever_it_holds_is_text(raw: str, decoded: str) -> None:
    assert decode_path(raw) == decoded
    decoded.encode()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "url", ["", "/", "/apis", "/apis/", "/api/v1", GV, f"{GV}/", "/apis/metrics.smi-spec.io", "/healthz/a/b/c", "/metrics"]
)
def test_other_paths_are_not_resources(method: str, url: str) -> None:
    assert parse_request(method, url, {}) == RequestInfo(is_resource=False, verb=method.lower(), path=url)


@pytest.mark.parametrize(
    ("method", "many", "one"),
    [
        ("GET", "list", "get"),
        ("HEAD", "list", "get"),
        ("POST", "create", "create"),
        ("PUT", "update", "update"),
        ("PATCH", "patch", "patch"),
        ("DELETE", "deletecollection", "delete"),
        ("OPTIONS", "", ""),
        ("get", "", ""),
    ],
)
def test_methods_become_verbs(method: str, many: str, one: str) -> None:
    assert read(method, f"{GV}/pods").verb == many
    assert read(method, f"{GV}/pods/p").verb == one


def test_the_core_group_has_no_name_in_the_path() -> None:
    info = read("GET", "/api/v1/namespaces/shop/pods/p")
    assert (info.group, info.version, info.namespace, info.resource, info.name) == ("", "v1", "shop", "pods", "p")
    assert info.parts == ("pods", "p")


def test_the_old_watch_path_is_marked() -> None:
    assert read("GET", f"{GV}/watch/pods").verb_in_path
    assert not read("GET", f"{GV}/pods?watch=1").verb_in_path


def recorded() -> list[Any]:
    """Requests, and what ``RequestInfoFactory`` of k8s.io/apiserver 0.36.3 makes of them."""
    rows = json.loads(RECORDED.read_text(encoding="utf-8"))
    return [pytest.param(method, url, answer, id=f"{method} {url}") for method, url, *answer in rows]


@pytest.mark.parametrize(("method", "url", "answer"), recorded())
def test_what_kubernetes_answered_is_answered_here(method: str, url: str, answer: list[Any]) -> None:
    info = read(method, url)
    ours = [
        info.is_resource,
        info.verb,
        info.group,
        info.version,
        info.namespace,
        info.resource,
        info.subresource,
        info.name,
        list(info.parts),
    ]
    assert ours == answer


segments = st.text(alphabet="ab./%\\é=&,\udcff ", max_size=4) | st.sampled_from(
    ["api", "apis", "v1", "namespaces", "watch", "proxy", "pods", "edges", "status", "finalize"]
)
options = st.sampled_from(["watch", "limit", "timeoutSeconds", "fieldSelector", "labelSelector", "other"])


@given(
    method=st.sampled_from(["GET", "HEAD", "DELETE", "POST", "BREW", ""]) | st.text(max_size=3),
    path=st.lists(segments, max_size=10).map(lambda parts: "/" + "/".join(parts)) | st.text(max_size=20),
    query=st.lists(
        st.tuples(options, st.text(max_size=12) | st.sampled_from(["metadata.name=x", "a in (b)", "-1", "9" * 5000])), max_size=4
    ),
)
def test_any_request_is_read_and_only_its_own_segments_are_used(method: str, path: str, query: list[tuple[str, str]]) -> None:
    info = parse_request(method, path, MultiDict(query))
    parts = path.strip("/").split("/")
    assert info.path == path
    if not info.is_resource:
        assert info == RequestInfo(is_resource=False, verb=method.lower(), path=path)
        return
    assert info.parts == tuple(parts[len(parts) - len(info.parts) :]) or not info.parts
    assert (*info.parts, "", "", "")[0] == info.resource
    assert info.subresource in ("", *info.parts[2:3])
    assert info.namespace in ("", *parts)
    # A name that is not in the path can only be one the field selector asks for, and then it is not a path of its own.
    assert info.name in (*info.parts[1:2], "") or (info.verb in ("list", "watch") and "/" not in info.name)


@given(parts=st.lists(st.text(alphabet="ab%/", min_size=1, max_size=4), min_size=1, max_size=5))
def test_an_encoded_path_means_what_the_decoded_one_means(parts: list[str]) -> None:
    decoded = f"{GV}/" + "/".join(parts)
    encoded = "".join(
        f"%{ord(character):02X}" if character in "%/" and index > len(GV) else character for index, character in enumerate(decoded)
    )
    assert read("GET", encoded) == parse_request("GET", decoded, {})
