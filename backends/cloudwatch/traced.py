"""Which objects of Kubernetes the services of a trace graph are: a graph knows them by name and type, and knows no namespaces.

Anybody may give segments any name (X-Ray Developer Guide, "Concepts", Service Names). Those that are understood:

* what ``services`` of the configuration says, for services of any type;
* ``MESH/NAME_NAMESPACE``, which proxies of App Mesh call themselves (aws/aws-app-mesh-agent, appendXRayTracing, and the names that its
  controller gives virtual nodes);
* ``orders.shop`` and ``orders.shop.svc.cluster.local``, which SDKs take from the request (ibid., "Dynamic naming") and Istio makes of the
  ``app`` label and the namespace: hosts, which are the Service of that name if there is one;
* the name of an object of Kubernetes, in the ``namespace`` of the configuration.
"""

from __future__ import annotations

import re

from backends.cloudwatch.graph import CLIENT, Node
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import ANY_WORKLOAD, CALLED_HOST, UNKNOWN, ResourceRef, called_service
from metrics_api.resources import host

__all__ = ["TracedServices", "is_proxy"]

_PROXY = "AWS::AppMesh::Proxy"

_IN_CLUSTER = frozenset({"", "AWS::EKS::Container", "AWS::EC2::Instance", _PROXY})
"""What pods say they are: the plug-in of an SDK for EKS or EC2 does, and nothing at all without one (open-telemetry/
opentelemetry-collector-contrib, exporter/awsxrayexporter, and the SDKs of X-Ray)."""

_ELSEWHERE = frozenset(
    {
        "AWS::AppRunner::Service",
        "AWS::ECS::Container",
        "AWS::ECS::EC2",
        "AWS::ECS::Fargate",
        "AWS::ElasticBeanstalk::Environment",
        "AWS::Lambda::Function",
    }
)
"""What else records requests itself (ibid.): outside the cluster, unless the configuration says that it is one of its objects."""

_INFERRED = frozenset({"remote"})
"""Types of what was called and recorded nothing itself (botocore data/xray/2016-04-12, Service), beside services of AWS and databases."""

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_OBJECT = re.compile(_LABEL)
_VIRTUAL_NODE = re.compile(rf"(?:[^/]+/)?(?P<name>{_LABEL})_(?P<namespace>{_LABEL})")


def is_proxy(node: Node) -> bool:
    """Whether it is the proxy of a workload, which records what it sends beside what it receives."""
    return node.type == _PROXY


class TracedServices:
    """The services of one graph source, by what the configuration says of them."""

    def __init__(self, settings: CloudWatchSettings) -> None:
        self._services = settings.services
        self._namespace = settings.namespace

    def resource(self, node: Node) -> ResourceRef | None:
        """The object that a service is; None when it is none of the cluster, or nobody knows."""
        if node.type == CLIENT:
            # It has the name of the service that is called.
            return None
        for name in dict.fromkeys((node.name, *node.names)):
            if (named := self._services.get((name, ""))) is not None:
                return named
        return self._understood(node) if node.type in _IN_CLUSTER else None

    def records(self, node: Node) -> bool:
        """Whether what a node received is what the service recorded itself, and not what X-Ray infers from its callers."""
        return node.type in _IN_CLUSTER or node.type in _ELSEWHERE

    def nameless(self, node: Node) -> bool:
        """Whether it may well be a workload of the cluster, of which nobody knows which."""
        return node.type in _IN_CLUSTER and self.resource(node) is None

    def peer(self, node: Node | None, caller: ResourceRef | None = None) -> ResourceRef:
        """What a service is to whoever exchanges traffic with it. ``caller`` is the object that called it, where that is known."""
        if node is None or node.type == CLIENT or not node.name:
            return UNKNOWN
        known = self.resource(node)
        if known is not None:
            return known
        if node.type in _INFERRED and caller is not None:
            called = ResourceRef(CALLED_HOST, caller.namespace, node.name)
            if called_service(called) is not None:
                return called
        return host(node.name)

    def _understood(self, node: Node) -> ResourceRef | None:
        name = node.name
        if (is_proxy(node) or "/" in name) and (match := _VIRTUAL_NODE.fullmatch(name)) is not None:
            return ResourceRef(ANY_WORKLOAD, match["namespace"], match["name"])
        name = name.rpartition("/")[2] if is_proxy(node) else name
        if _OBJECT.fullmatch(name):
            return ResourceRef(ANY_WORKLOAD, self._namespace, name) if self._namespace else None
        called = called_service(ResourceRef(CALLED_HOST, self._namespace, name)) if re.search(r"[.:]", name) else None
        return ResourceRef(CALLED_HOST, called[0].namespace, name) if called is not None and called[0].namespace else None
