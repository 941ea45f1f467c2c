"""What both metrics APIs answer in the same way: lists in JSON, whatever the Accept header says, and the errors of the reference library.

The controller asks for ``application/vnd.kubernetes.protobuf, */*``, and reads JSON; a 406 would leave it without numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web

from apiservice.encoding import encode
from apiservice.negotiate import Encoding, wants_pretty
from apiservice.requestinfo import RequestInfo
from apiservice.result import Result
from apiservice.status import StatusError, method_not_allowed, unknown_path
from apiservice.warning import warning_headers
from metrics_api.autoscaling import RATE

__all__ = ["list_response", "metric_not_found", "require_get", "require_whole"]


def require_get(info: RequestInfo, request: web.Request, versions: Sequence[str]) -> None:
    """404 for a version there is not, 405 for what is not a get."""
    if info.version not in versions:
        raise unknown_path()
    if info.verb not in ("get", "list") or info.verb_in_path or request.method not in ("GET", "HEAD"):
        raise method_not_allowed(info)


def require_whole(metric: str, result: Result) -> None:
    """503 for a count of requests that may be too low, because a source that may know of more did not answer.

    An autoscaler that gets no number leaves everything as it is; one that gets half the number takes half the pods away. The shares and
    percentiles of a part are not lower for being of a part. No Retry-After: the controller comes again by itself.
    """
    if metric == RATE and result.incomplete:
        why = "; ".join(result.warnings) or "a source did not answer"
        raise StatusError(503, f"{metric} is not known in full, and a part of it would scale down what is busy: {why}")


def metric_not_found(metric: str, resource: str, name: str = "", why: str = "") -> StatusError:
    """404 in the words of the reference library (kubernetes-sigs/custom-metrics-apiserver: pkg/provider/errors.go), and the reason."""
    message = f"the server could not find the metric {metric} for {' '.join(filter(None, (resource, name)))}"
    return StatusError(404, f"{message}: {why}" if why else message)


def list_response(
    kind: str, api_version: str, items: Sequence[dict[str, Any]], request: web.Request, warnings: Iterable[str] = ()
) -> web.Response:
    """The response with a whole list; ``warnings`` go into headers, which the clients of Kubernetes log."""
    document = {"kind": kind, "apiVersion": api_version, "metadata": {}, "items": items}
    pretty = wants_pretty(request.query, request.headers.get("User-Agent", ""))
    response = web.Response(body=encode(document, Encoding.JSON, pretty=pretty), headers={"Content-Type": Encoding.JSON.value})
    for warning in warning_headers(warnings):
        response.headers.add("Warning", warning)
    return response
