"""Every failure as the Status a Kubernetes client expects."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from apiservice.authorization import AuthorizationError
from apiservice.identity import Unauthorized, User
from apiservice.negotiate import NotAcceptable
from apiservice.requestinfo import RequestInfo, parse_request
from apiservice.status import (
    StatusError,
    entity_too_large,
    forbidden,
    method_not_allowed,
    status_for,
    too_many_requests,
    unknown_path,
    watch_not_supported,
)
from metrics_api import (
    BackendForgot,
    BackendProtocolError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    BadConfiguration,
    BadQuery,
    Expired,
    Invalid,
    NotFound,
    TrafficError,
    Unsupported,
)

BASE = "/apis/metrics.smi-spec.io/v1alpha1"
POD = parse_request("GET", f"{BASE}/namespaces/ns/pods/x", {})
PODS = parse_request("GET", f"{BASE}/pods", {})
IN_PODS = {"group": "metrics.smi-spec.io", "kind": "pods"}


@pytest.mark.parametrize(
    ("error", "code", "reason", "message", "details"),
    [
        pytest.param(BadQuery("bad window"), 400, "BadRequest", "bad window", None, id="bad query"),
        pytest.param(Unauthorized("token expired"), 401, "Unauthorized", "Unauthorized", None, id="unauthorized"),
        pytest.param(
            NotFound("pods", "x"),
            404,
            "NotFound",
            'pods.metrics.smi-spec.io "x" not found',
            {"name": "x", **IN_PODS},
            id="absent object",
        ),
        pytest.param(
            NotFound("pods.metrics.smi-spec.io", "x"),
            404,
            "NotFound",
            'pods.metrics.smi-spec.io "x" not found',
            {"name": "x", **IN_PODS},
            id="absent object, named in full",
        ),
        pytest.param(Unsupported("no node is known"), 404, "NotFound", "no node is known", IN_PODS, id="unsupported"),
        pytest.param(
            NotAcceptable(["application/json"]),
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json",
            None,
            id="not acceptable",
        ),
        pytest.param(Expired("list again"), 410, "Expired", "list again", None, id="expired"),
        pytest.param(
            Invalid("contradiction", [("FieldValueForbidden", "no", "limit")]),
            422,
            "Invalid",
            "contradiction",
            {
                "group": "meta.k8s.io",
                "kind": "ListOptions",
                "causes": [{"reason": "FieldValueForbidden", "message": "no", "field": "limit"}],
            },
            id="invalid",
        ),
        pytest.param(
            BackendUnavailable("prom", "refused the connection", retry_after=7),
            503,
            "ServiceUnavailable",
            'source "prom": refused the connection',
            {**IN_PODS, "retryAfterSeconds": 7},
            id="source down",
        ),
        pytest.param(
            BackendRefused("prom", "401"),
            503,
            "ServiceUnavailable",
            'source "prom": 401',
            {**IN_PODS, "retryAfterSeconds": 1},
            id="source refuses",
        ),
        pytest.param(
            BackendForgot("prom", "keeps nothing of then"),
            410,
            "Expired",
            'source "prom": keeps nothing of then',
            IN_PODS,
            id="source forgot, and there is no use in coming back",
        ),
        pytest.param(
            BackendProtocolError("prom", "HTML"),
            503,
            "ServiceUnavailable",
            'source "prom": HTML',
            {**IN_PODS, "retryAfterSeconds": 1},
            id="source talks nonsense",
        ),
        pytest.param(
            BackendTimeout("prom", "took longer than 10s"),
            504,
            "Timeout",
            'Timeout: source "prom": took longer than 10s',
            IN_PODS,
            id="source slow",
        ),
        pytest.param(
            TimeoutError(),
            504,
            "Timeout",
            "Timeout: request did not complete within the allotted timeout",
            IN_PODS,
            id="deadline",
        ),
        pytest.param(
            BadConfiguration(["no source"]),
            500,
            "InternalError",
            "Internal error occurred: no source",
            {"causes": [{"message": "no source"}]},
            id="an error that should have stopped the start",
        ),
        pytest.param(web.HTTPExpectationFailed(), 417, None, "Expectation Failed", None, id="an error of the HTTP server"),
        pytest.param(
            web.HTTPRequestEntityTooLarge(10, 20),
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
            None,
            id="a body too large",
        ),
    ],
)
def test_each_error_has_its_status(
    error: Exception, code: int, reason: str | None, message: str, details: dict[str, Any] | None
) -> None:
    expected: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        expected["reason"] = reason
    if details is not None:
        expected["details"] = details
    assert status_for(error, PODS).document() == {**expected, "code": code}


def subclasses(kind: type) -> list[type]:
    return [kind, *(below for child in kind.__subclasses__() for below in subclasses(child))]


def test_no_error_of_the_domain_is_forgotten() -> None:
    named = [kind for kind in subclasses(TrafficError) if kind.__module__ == "metrics_api.errors"]
    assert len(named) >= 12
    for kind in named:
        error = kind.__new__(kind)
        error.args = ("why",)
        error.causes, error.problems, error.retry_after, error.resource, error.name = (), (), 5, "pods", "x"
        code = status_for(error).code
        assert (code == 500) == (kind in (TrafficError, BadConfiguration)), kind


def test_an_unforeseen_error_tells_the_audit_id_and_nothing_else() -> None:
    status = status_for(ValueError("password=hunter2"), PODS, "abc-123")
    assert status.code == 500
    assert "abc-123" in status.message
    assert "hunter2" not in str(status.document())


def test_when_to_come_back_stands_in_the_header_too() -> None:
    status = status_for(BackendUnavailable("prom", "down", retry_after=9))
    assert status.headers()["Retry-After"] == str(status.document()["details"]["retryAfterSeconds"]) == "9"


@pytest.mark.parametrize("error", [BackendTimeout("prom", "slow"), TimeoutError()])
def test_a_client_that_waited_for_the_deadline_is_not_told_to_wait_again(error: Exception) -> None:
    status = status_for(error, PODS)
    assert "Retry-After" not in status.headers()
    assert "retryAfterSeconds" not in status.document()["details"]


def test_no_status_is_sniffed_for_another_type() -> None:
    assert status_for(BadQuery("<b>")).headers()["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("info", "message", "details"),
    [
        pytest.param(
            POD,
            'pods.metrics.smi-spec.io "x" is forbidden: User "u" cannot get resource "pods" in API group "metrics.smi-spec.io" '
            'in the namespace "ns": RBAC: none',
            {"name": "x", **IN_PODS},
            id="an object",
        ),
        pytest.param(
            PODS,
            'pods.metrics.smi-spec.io is forbidden: User "u" cannot list resource "pods" in API group "metrics.smi-spec.io" '
            "at the cluster scope: RBAC: none",
            IN_PODS,
            id="everywhere",
        ),
        pytest.param(
            parse_request("GET", f"{BASE}/namespaces/ns/pods/x/edges", {}),
            'pods.metrics.smi-spec.io "x" is forbidden: User "u" cannot get resource "pods/edges" in API group '
            '"metrics.smi-spec.io" in the namespace "ns": RBAC: none',
            {"name": "x", **IN_PODS},
            id="a subresource",
        ),
        pytest.param(
            parse_request("GET", "/metrics", {}),
            'forbidden: User "u" cannot get path "/metrics": RBAC: none',
            None,
            id="a path",
        ),
    ],
)
def test_forbidden_speaks_the_words_of_kubernetes(info: RequestInfo, message: str, details: dict[str, str] | None) -> None:
    document = forbidden(User("u"), info, "RBAC: none").document()
    assert (document["code"], document["reason"], document["message"]) == (403, "Forbidden", message)
    assert document.get("details") == details


def test_names_in_a_forbidden_message_cannot_become_html() -> None:
    message = forbidden(User("<script>&"), POD, "<b>").message
    assert "<" not in message
    assert "&lt;script&gt;&amp;" in message


def test_bytes_that_are_not_utf8_do_not_break_the_answer() -> None:
    document = forbidden(User("caf\udce9"), POD).document()
    assert "caf?" in document["message"]


@pytest.mark.parametrize(
    ("status", "code", "reason", "message"),
    [
        pytest.param(
            unknown_path(), 404, "NotFound", "the server could not find the requested resource", id="a path that is nothing"
        ),
        pytest.param(
            method_not_allowed(POD),
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
            id="a method that writes",
        ),
        pytest.param(
            watch_not_supported(PODS),
            405,
            "MethodNotAllowed",
            'watch is not supported on resources of kind "pods.metrics.smi-spec.io"',
            id="a watch",
        ),
        pytest.param(entity_too_large(), 413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728", id="a body"),
    ],
)
def test_refusals_of_the_server_itself(status: StatusError, code: int, reason: str, message: str) -> None:
    document = status.document()
    assert (document["code"], document["reason"], document["message"]) == (code, reason, message)
    assert (status.headers().get("Allow") == "GET, HEAD") is (code == 405)


def test_overload_says_when_to_come_back() -> None:
    status = too_many_requests(400)
    assert (status.code, status.document()["reason"], status.headers()["Retry-After"]) == (429, "TooManyRequests", "1")


def test_a_permission_that_could_not_be_found_out_is_an_error_that_names_the_request() -> None:
    status = status_for(AuthorizationError("kube-apiserver is away"), PODS)
    assert status.code == 500
    assert status.message.startswith('Internal Server Error: "/')
    assert status.message.endswith(": kube-apiserver is away")
