"""Canary controllers as this server sees them: the requests they make, and how each gets its number out of the answer.

Read in argoproj/argo-rollouts (metricproviders/webmetric/webmetric.go, metricproviders/prometheus/prometheus.go,
utils/evaluate/evaluate.go), fluxcd/flagger (pkg/metrics/providers/prometheus.go and externalmetrics.go, pkg/controller/
scheduler_metrics.go) and iter8-tools/iter8 (base/custom_metrics.go). The JSONPath is client-go's own, which kubectl has.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit

__all__ = [
    "Answered",
    "Asking",
    "NoValue",
    "Phase",
    "argo_prometheus",
    "argo_web",
    "flagger_external",
    "flagger_prometheus",
    "iter8",
]

_GO_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:Inf|inf)|NaN")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([numkM]?)")
_SCALE = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6}


class Answered(NamedTuple):
    """A response."""

    status: int
    body: str


class Asking(Protocol):
    """Sends a request to ``url``, which has the host of the documentation."""

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Answered: ...


class Phase(StrEnum):
    """What a measurement of Argo Rollouts comes to."""

    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"
    ERROR = "Error"


class NoValue(Exception):
    """Flagger has no number to hold against the threshold, and halts."""


async def argo_web(metric: Mapping[str, Any], ask: Asking) -> Phase:
    """A measurement of the ``web`` provider."""
    provider = metric["provider"]["web"]
    headers = {header["key"]: header["value"] for header in provider.get("headers", ())}
    answer = await ask(provider["url"], method=provider.get("method", "GET"), headers=headers)
    if not 200 <= answer.status < 300:
        return Phase.ERROR
    found = await _jsonpath(json.loads(answer.body), provider.get("jsonPath", "{$}"))
    return _evaluated(metric, found)


async def argo_prometheus(metric: Mapping[str, Any], ask: Asking) -> Phase:
    """A measurement of the ``prometheus`` provider, which posts forms and gives conditions a list."""
    provider = metric["provider"]["prometheus"]
    headers = {header["key"]: header["value"] for header in provider.get("headers", ())}
    form = {"query": provider["query"]}
    answer = await ask(f"{provider['address']}/api/v1/query", method="POST", headers=headers, form=form)
    if answer.status != 200:
        return Phase.ERROR
    data = json.loads(answer.body)["data"]
    assert data["resultType"] == "vector"
    return _evaluated(metric, [_float(element["value"][1]) for element in data["result"]])


async def flagger_prometheus(template: Mapping[str, Any], ask: Asking, token: str) -> float:
    """The number of a MetricTemplate of type ``prometheus``, once it is known that the address answers."""
    address = template["spec"]["provider"]["address"]
    if await _flagger_query(address, "vector(1)", ask, token) != 1:
        raise NoValue("offline")
    return await _flagger_query(address, template["spec"]["query"], ask, token)


async def flagger_external(template: Mapping[str, Any], ask: Asking, token: str) -> float:
    """The number of a MetricTemplate of type ``externalmetrics``, once it is known that somebody answers."""
    host = template["spec"]["provider"].get("address", "https://kubernetes.default.svc")
    online = await _list_external(host, "kube-system", "dummy-metric", "", ask, token)
    assert online["kind"] == "ExternalMetricValueList"
    parsed = urlsplit(f"dummy:///{template['spec']['query']}")
    namespace, metric = parsed.path.strip("/").split("/")
    # Labels are sorted when the selector is written again.
    selector = ",".join(sorted(parse_qs(parsed.query)["labelSelector"][0].split(",")))
    items = (await _list_external(host, namespace, metric, selector, ask, token))["items"]
    if not items:
        raise NoValue("no external metrics found")
    return _quantity(items[0]["value"])


async def iter8(template: Mapping[str, Any], ask: Asking) -> dict[str, float]:
    """The metrics of a provider's template; one without a value is left out."""
    found = {}
    for metric in template["metrics"]:
        assert metric["description"]
        parameters = urlencode([(each["name"], each["value"]) for each in metric["params"]])
        headers = {**template["headers"], "Content-Type": "application/json;charset=utf-8"}
        answer = await ask(f"{template['url']}?{parameters}", method=template["method"], headers=headers)
        value = await _run("jq", "-c", metric["jqExpression"], stdin=answer.body)
        if value != "null":
            found[metric["name"]] = _float(value)
    return found


async def _flagger_query(address: str, query: str, ask: Asking, token: str) -> float:
    query = quote_plus(re.sub(r"\s+", " ", query))
    answer = await ask(f"{address}/api/v1/query?query={query}", headers={"Authorization": f"Bearer {token}"})
    if answer.status >= 400:
        raise NoValue(f"error response: {answer.body}")
    values = []
    for result in json.loads(answer.body)["data"]["result"]:
        assert "values" not in result
        if isinstance(result["value"][1], str):
            values.append(_float(result["value"][1]))
    if not values or math.isnan(values[-1]):
        raise NoValue("no values found")
    return values[-1]


async def _list_external(host: str, namespace: str, metric: str, selector: str, ask: Asking, token: str) -> Any:
    path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}"
    path += f"?labelSelector={quote(selector, safe='')}" if selector else ""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, */*"}
    answer = await ask(host + path, headers=headers)
    if answer.status != 200:
        raise NoValue(f"error querying external metrics API: {answer.body}")
    return json.loads(answer.body)


async def _jsonpath(document: Any, path: str) -> Any:
    """What client-go's JSONPath finds: kubectl prints it, of an object with the names that an object must have."""
    added = {"apiVersion": "example.com/v1", "kind": "Answer", "metadata": {"name": "answer"}}
    if path == "{$}":
        return document
    local = ("annotate", "--local", "-f", "-", "--dry-run=client", "asked=yes", "-o", f"jsonpath={path}")
    return json.loads(await _run("kubectl", *local, stdin=json.dumps({**added, **document})))


def _evaluated(metric: Mapping[str, Any], result: Any) -> Phase:
    try:
        success = _holds(metric["successCondition"], result) if "successCondition" in metric else None
        failure = _holds(metric["failureCondition"], result) if "failureCondition" in metric else None
    except (TypeError, IndexError, KeyError):
        return Phase.ERROR
    if success is None or failure is None:
        return Phase.SUCCESSFUL if success or failure is False else Phase.FAILED
    if failure:
        return Phase.FAILED
    return Phase.SUCCESSFUL if success else Phase.INCONCLUSIVE


def _holds(condition: str, result: Any) -> bool:
    """A condition in the language expr: what of it the examples use is the same in Python when it is spelt so."""
    python = condition.replace("&&", " and ").replace("||", " or ")
    python = re.sub(r"\bresult\.(\w+)", r'result["\1"]', python)
    names = {"result": result, "len": len, "true": True, "false": False, "nil": None}
    held = eval(python, {"__builtins__": {}}, names)  # noqa: S307 from the documentation in this tree
    if not isinstance(held, bool):
        raise TypeError(f"expected bool, but got {held!r}")
    return held


def _float(text: str) -> float:
    """A number as Go's ``strconv.ParseFloat`` takes it, to which ``10123m`` is none."""
    if not _GO_FLOAT.fullmatch(text):
        raise ValueError(f"strconv.ParseFloat: parsing {text!r}: invalid syntax")
    return float(text)


def _quantity(text: str) -> float:
    match = _QUANTITY.fullmatch(text)
    assert match is not None, text
    return float(Decimal(match[1]).scaleb(_SCALE[match[2]]))


async def _run(program: str, *arguments: str, stdin: str) -> str:
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate(stdin.encode())
    assert process.returncode == 0, err.decode()
    return out.decode().strip()
