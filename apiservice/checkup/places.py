"""Where the objects are that the server depends on.

What the server's account may read is read by lists, as it may list these kinds and get none.
"""

from __future__ import annotations

from apiservice.checkup.sight import Place
from apiservice.checkup.subject import Subject

__all__ = ["api_service", "budgets", "deployments", "secret", "service", "slices"]


def api_service(name: str) -> Place:
    """The APIService of this name."""
    path = f"/apis/apiregistration.k8s.io/v1/apiservices/{name}"
    return Place(f"APIService {name}", "get on apiservices.apiregistration.k8s.io", path)


def service(subject: Subject) -> Place:
    """The Service in front of the server."""
    return Place(
        f"Service {subject.place}",
        f"list on services in {subject.namespace}",
        f"/api/v1/namespaces/{subject.namespace}/services",
        {"fieldSelector": f"metadata.name={subject.service}"},
        single=True,
    )


def secret(subject: Subject) -> Place:
    """The Secret in which the server keeps its certificate."""
    name = subject.cert_secret
    return Place(
        f"Secret {subject.namespace}/{name}",
        f"get on secrets in {subject.namespace}",
        f"/api/v1/namespaces/{subject.namespace}/secrets/{name}",
    )


def slices(subject: Subject) -> Place:
    """The EndpointSlices of that Service."""
    return Place(
        f"the endpoints of Service {subject.place}",
        f"list on endpointslices.discovery.k8s.io in {subject.namespace}",
        f"/apis/discovery.k8s.io/v1/namespaces/{subject.namespace}/endpointslices",
        {"labelSelector": f"kubernetes.io/service-name={subject.service}"},
    )


def deployments(subject: Subject) -> Place:
    """The Deployments beside it, one of which is the server's."""
    return Place(
        "the Deployment of the server",
        f"list on deployments.apps in {subject.namespace}",
        f"/apis/apps/v1/namespaces/{subject.namespace}/deployments",
    )


def budgets(subject: Subject) -> Place:
    """The PodDisruptionBudgets beside it."""
    return Place(
        "the PodDisruptionBudgets",
        f"list on poddisruptionbudgets.policy in {subject.namespace}",
        f"/apis/policy/v1/namespaces/{subject.namespace}/poddisruptionbudgets",
    )
