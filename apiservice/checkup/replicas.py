"""What stands behind the Service: does it lead to pods that are ready, and how many of them may fail before nobody answers.

An extension API that does not answer holds up the deletion of every namespace, so one replica is less than it seems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from apiservice.checkup.remedies import applied, upgraded
from apiservice.checkup.sight import Document, Seen, Unseen, items_of
from apiservice.checkup.subject import Subject
from apiservice.checkup.verdicts import ok, problem, warning
from metrics_api.diagnosis import Finding

__all__ = ["Behind", "Endpoint", "deployment_of", "endpoints_of", "replica_findings"]


class Endpoint(NamedTuple):
    """Where a pod that is ready is reached."""

    address: str
    port: int
    node: str


@dataclass(frozen=True, slots=True)
class Behind:
    """The Service, and what was found in its namespace.

    ``port`` is the one of the Service that the APIService names, None where that was not seen.
    """

    service: Seen
    slices: Seen
    deployments: Seen
    budgets: Seen
    port: int | None = None


def endpoints_of(behind: Behind) -> list[Endpoint]:
    """The ready endpoints of the port, each once; where the port is not known, those of the first."""
    named = next((port.get("name") or "" for port in _ports(behind.service) if behind.port in (None, port.get("port"))), None)
    found = [
        Endpoint(address, port["port"], endpoint.get("nodeName") or "")
        for piece in items_of(behind.slices)
        for port in piece.get("ports") or ()
        if (port.get("name") or "") == named
        for endpoint in piece.get("endpoints") or ()
        # Unknown is ready: kubernetes/kubernetes, staging/src/k8s.io/api/discovery/v1/types.go.
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in (endpoint.get("addresses") or ())[:1]
    ]
    return list(dict.fromkeys(found))


def deployment_of(behind: Behind) -> Document | None:
    """The Deployment whose pods the Service selects; None where there is none, or none was seen."""
    selector = _spec(behind.service).get("selector")
    if not selector:
        return None
    return next((each for each in items_of(behind.deployments) if selector.items() <= _labels(each).items()), None)


def replica_findings(behind: Behind, subject: Subject) -> Iterator[Finding]:
    """What is to be said of the Service and of what stands behind it; nothing of what nobody could look at."""
    service = behind.service
    if isinstance(service, Unseen):
        return
    if service is None:
        what = f"there is no Service {subject.place}, which the APIService leads to"
        yield problem("service", what, f"{applied(subject, 'service.yaml')}, or correct spec.service of the APIService")
        return
    spec = _spec(service)
    if spec.get("type") == "ExternalName":
        what = f"Service {subject.place} is another name for {spec.get('externalName')}: there are no endpoints to be looked at"
        yield ok("service", what)
        return
    if spec.get("clusterIP") == "None":
        what = f"Service {subject.place} has no address (clusterIP: None): kube-apiserver sends nothing there"
        yield problem("service", what, f"delete it, and {applied(subject, 'service.yaml')}")
        return
    ports = [port.get("port") for port in _ports(service)]
    if behind.port is not None and behind.port not in ports:
        what = f"the APIService leads to port {behind.port} of Service {subject.place}, which has {', '.join(map(str, ports))}"
        yield problem("service", what, f"spec.service.port of the APIService: {ports[0] if ports else 443}")
        return
    if not isinstance(behind.slices, Unseen):
        yield from _counted(behind, subject)


def _counted(behind: Behind, subject: Subject) -> Iterator[Finding]:
    endpoints, deployment = endpoints_of(behind), deployment_of(behind)
    name = ((deployment or {}).get("metadata") or {}).get("name") or subject.service
    wanted = _spec(deployment).get("replicas", 1) if deployment else len(endpoints)
    nodes = {endpoint.node for endpoint in endpoints}
    look = f"kubectl get pods -n {subject.namespace}; kubectl describe deploy -n {subject.namespace} {name}"
    if not endpoints:
        yield problem("replicas", f"no replica behind Service {subject.place} is ready", look)
    elif len(endpoints) < wanted:
        yield warning("replicas", f"{len(endpoints)} of {wanted} replicas {'is' if len(endpoints) == 1 else 'are'} ready", look)
    elif len(endpoints) == 1:
        what = "there is one replica: while it is away, no namespace of the cluster can be deleted"
        yield warning("replicas", what, f"kubectl scale -n {subject.namespace} deploy/{name} --replicas=2")
    elif len(nodes) == 1 and "" not in nodes:
        what = f"all {len(endpoints)} replicas are on node {min(nodes)}: they fail together"
        yield warning("replicas", what, f"kubectl rollout restart -n {subject.namespace} deploy/{name} once other nodes have room")
    elif not isinstance(behind.budgets, Unseen) and not _has_budget(behind, deployment):
        what = f"{len(endpoints)} replicas are ready, and no PodDisruptionBudget keeps one of them when nodes are drained"
        yield warning("replicas", what, _budgeted(behind, subject))
    else:
        yield ok("replicas", f"{len(endpoints)} of {wanted} replicas are ready{_spread(nodes)}")


def _budgeted(behind: Behind, subject: Subject) -> str:
    """How one replica is kept: ``applied`` where that is one command, else a budget for what the Service selects."""
    if subject.release:
        return f"{upgraded(subject)} --set podDisruptionBudget.enabled=true"
    advice = applied(subject, "poddisruptionbudget.yaml")
    if advice.startswith("kubectl"):
        return advice
    selected = ",".join(f"{key}={value}" for key, value in (_spec(behind.service).get("selector") or {}).items())
    command = f"kubectl create poddisruptionbudget {subject.service} -n {subject.namespace}"
    return f"{command} --max-unavailable=1 --selector={selected}" if selected else advice


def _spread(nodes: set[str]) -> str:
    return "" if "" in nodes else f", on {len(nodes)} nodes"


def _has_budget(behind: Behind, deployment: Document | None) -> bool:
    """Whether a budget selects the pods: those of the Deployment, or what the Service selects where that was not seen."""
    labels = _labels(deployment) if deployment else _spec(behind.service).get("selector") or {}
    selectors = [_spec(budget).get("selector") or {} for budget in items_of(behind.budgets)]
    # One with expressions is taken to select them: it is nobody's by accident.
    return any(
        selector.get("matchExpressions") or (selector.get("matchLabels") or {}).items() <= labels.items() for selector in selectors
    )


def _spec(seen: Seen) -> Mapping[str, Any]:
    return (seen.get("spec") or {}) if isinstance(seen, Mapping) else {}


def _ports(service: Seen) -> list[Mapping[str, Any]]:
    return _spec(service).get("ports") or []


def _labels(deployment: Document) -> Mapping[str, str]:
    return ((_spec(deployment).get("template") or {}).get("metadata") or {}).get("labels") or {}
