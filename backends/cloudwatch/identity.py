"""Who is who: objects of Kubernetes by what Application Signals calls them, a service and the environment it is in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import ANY_WORKLOAD, CALLED_HOST, UNKNOWN, ResourceRef
from metrics_api.resources import host

__all__ = ["Identity", "cluster_of"]

_ENVIRONMENT = re.compile(r"(?:eks|k8s):(?P<cluster>[^/]+)/(?P<namespace>.+)")
"""The environment of what runs in Kubernetes, unless somebody names it otherwise (aws/amazon-cloudwatch-agent,
plugins/processors/awsapplicationsignals, internal/resolver/kubernetes.go)."""

_NO_NAMESPACE = "UnknownNamespace"
_NO_SERVICE = frozenset({"UnknownService", "UnknownRemoteService"})
"""What SDKs write for what they do not know (aws-observability/aws-otel-java-instrumentation, AwsMetricAttributeGenerator)."""

_AWS = "AWS::"
"""How services of AWS begin: they are no hosts."""

Learnt = Mapping[tuple[str, str], ResourceRef]
_NOTHING: Learnt = {}


def cluster_of(environment: str) -> str:
    """The cluster an environment is in, empty when it does not tell."""
    match = _ENVIRONMENT.fullmatch(environment)
    return match["cluster"] if match is not None else ""


class Identity:
    """Names of services, understood. What the configuration says comes first, then what AWS knows (``learnt``), then the names alone."""

    def __init__(self, settings: CloudWatchSettings, learnt: Callable[[], Learnt] = lambda: _NOTHING) -> None:
        self._settings = settings
        self._learnt = learnt

    @property
    def learnt(self) -> Learnt:
        """What AWS knows, as it is now: another mapping when it has changed."""
        return self._learnt()

    def namespace(self, environment: str) -> str:
        """The namespace that an environment is, empty when it is none of the cluster."""
        named = self._settings.environments.get(environment)
        if named is not None:
            return named
        match = _ENVIRONMENT.fullmatch(environment)
        if match is None or match["cluster"] != self._settings.cluster or match["namespace"] == _NO_NAMESPACE:
            return ""
        return match["namespace"]

    def workload(self, service: str, environment: str) -> ResourceRef | None:
        """The object that a service is; None when it is none of the cluster, or nobody knows."""
        if (named := self._named(service, environment)) is not None:
            return named
        found = self._of_name(service, environment)
        return found and (self._learnt().get((service, environment)) or found)

    def stranger(self, service: str, environment: str) -> ResourceRef:
        """A caller that is no object of the cluster: one of it whose namespace nobody knows, or something outside."""
        unknown = service in _NO_SERVICE or cluster_of(environment) == self._settings.cluster
        return UNKNOWN if unknown else host(service)

    def remote(self, service: str, environment: str, caller: ResourceRef) -> ResourceRef:
        """What a caller calls ``service``: a workload of the cluster, a host that may be a Service, or something outside."""
        if service in _NO_SERVICE:
            return UNKNOWN
        if environment:
            # The agent found the workload by its address: this is its name, and no service that is called so need be the same.
            return self._named(service, environment) or self._of_name(service, environment) or host(service)
        if (named := self._named(service, "")) is not None:
            return named
        return host(service) if service.startswith(_AWS) else ResourceRef(CALLED_HOST, caller.namespace, service)

    def _of_name(self, name: str, environment: str) -> ResourceRef | None:
        """The workload of this name; None when it is none of the cluster, or has no name."""
        namespace = self.namespace(environment)
        return ResourceRef(ANY_WORKLOAD, namespace, name) if namespace and name not in _NO_SERVICE else None

    def _named(self, service: str, environment: str) -> ResourceRef | None:
        services = self._settings.services
        found = services.get((service, environment))
        if found is None and (not environment or self.namespace(environment)):
            found = services.get((service, ""))
        return found
