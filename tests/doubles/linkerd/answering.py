"""The methods of viz that the double has, and how each says that it cannot answer.

Source: linkerd/linkerd2, viz/metrics-api/stat_summary.go (StatSummary), edges.go, grpc_server.go (SelfCheck) and viz/pkg/util (GRPCError).
"""

from __future__ import annotations

import asyncio

import grpc

from tests.doubles.linkerd.cluster import Cluster, Unknown, Unlisted, root_of
from tests.doubles.linkerd.faults import Fault
from tests.doubles.linkerd.promql import edges, label_of, started
from tests.doubles.linkerd.schema import Message, message
from tests.doubles.linkerd.store import QueryFailed, Store
from tests.doubles.linkerd.tables import Tables

__all__ = ["Answering", "Refused"]

_ALL = ("daemonset", "statefulset", "job", "deployment", "replicationcontroller", "pod", "service", "cronjob", "replicaset")
"""What the kind ``all`` stands for."""

_POLICY = ("server", "serverauthorization", "authorizationpolicy", "httproute")
"""Kinds of policy: viz has tables of them, the double does not, and neither takes them with ``to`` and ``from``."""

_REASONS = {
    "disabled": "Disabled",
    "loopback": "Loopback",
    "no_authority_in_http_request": "No Authority In HTTP Request",
    "not_http": "Not HTTP",
    "not_provided_by_remote": "Not Provided By Remote",
    "not_provided_by_service_discovery": "Not Provided By Service Discovery",
}
"""Why a connection is without TLS, as viz words it; it says nothing of other reasons."""

_OWNERS = {
    "deployment": "deployment",
    "daemonset": "daemon_set",
    "job": "job",
    "replicaset": "replica_set",
    "replicationcontroller": "replication_controller",
    "statefulset": "stateful_set",
}
"""The field of a pod that has an owner of this kind."""

_OK, _ERROR = 0, 2


class Refused(Exception):
    """A call that ends with a status."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Answering:
    """Answers requests out of a cluster and a Prometheus."""

    def __init__(self, cluster: Cluster, store: Store, domain: str) -> None:
        self._cluster = cluster
        self._store = store
        self._tables = Tables(cluster, store, domain)

    async def stat_summary(self, request: Message) -> Message:
        """Totals, or with ``to`` and ``from`` the peers of one resource. Raises Refused."""
        answer = message("StatSummaryResponse")()
        complaint = await self._complaint(request)
        if complaint:
            answer.error.resource.CopyFrom(request.selector.resource)
            answer.error.error = complaint
            return answer
        kinds = _ALL if request.selector.resource.type == "all" else (request.selector.resource.type,)
        tables = await asyncio.gather(*(self._table(request, kind) for kind in kinds))
        answer.ok.SetInParent()
        answer.ok.stat_tables.extend(tables)
        return answer

    async def edges(self, request: Message) -> Message:
        """Who has a connection to whom at this moment, and by which identities."""
        answer = message("EdgesResponse")()
        own = request.selector.resource
        if not request.selector.HasField("resource"):
            answer.error.error = "Edges request missing Selector Resource"
            return answer
        try:
            rows = await self._store.query(edges(own.type))
        except QueryFailed as error:
            answer.error.resource.CopyFrom(own)
            answer.error.error = str(error)
            return answer
        kind = label_of(own.type)
        found: dict[tuple[str, str, str, str], Message] = {}
        for row in rows:
            names = [row.labels.get(label, "") for label in ("namespace", "dst_namespace", kind, f"dst_{kind}")]
            key = (names[0], names[1], names[2], names[3])
            if not row.value or key in found or (own.namespace and own.namespace not in key[:2]):
                continue
            caller = self._cluster.running(key[0], row.labels.get("pod", ""))
            if caller is None:
                continue
            edge = found[key] = message("Edge")(server_id=row.labels.get("server_id", ""), client_id=caller.identity)
            edge.src.namespace, edge.dst.namespace, edge.src.name, edge.dst.name = key
            edge.src.type = edge.dst.type = kind
            edge.no_identity_msg = _REASONS.get(row.labels.get("no_tls_reason", ""), "")
        answer.ok.SetInParent()
        answer.ok.edges.extend(edge for _, edge in sorted(found.items(), key=lambda item: "".join(item[0])))
        return answer

    async def self_check(self, request: Message) -> Message:  # noqa: ARG002 there is nothing in it
        """Whether Kubernetes and Prometheus are reached."""
        answer = message("SelfCheckResponse")()
        kubernetes = "linkerd viz can talk to Kubernetes"
        answer.results.add(SubsystemName="kubernetes", CheckDescription=kubernetes, Status=_OK)
        prometheus = answer.results.add(
            SubsystemName="prometheus", CheckDescription="linkerd viz can talk to Prometheus", Status=_OK
        )
        try:
            await self._store.query(started())
        except QueryFailed as error:
            prometheus.Status = _ERROR
            prometheus.FriendlyMessageToUser = f"Error calling Prometheus from the control plane: {error}"
        return answer

    async def list_pods(self, request: Message) -> Message:
        """The pods behind one owner, or all, and which of them have metrics. Raises Refused."""
        wanted = request.selector.resource
        namespace = wanted.namespace or (wanted.name if wanted.type == "namespace" else "")
        try:
            rows = await self._store.query(started(namespace))
            pods = self._cluster.every_pod(namespace, request.selector.label_selector)
        except (QueryFailed, ValueError) as error:
            raise Refused(Fault(grpc.StatusCode.UNKNOWN, str(error))) from error
        scraped = {row.labels.get("pod", "") for row in rows}
        answer = message("ListPodsResponse")()
        for pod in pods:
            owner = root_of(pod)
            if (wanted.type and wanted.type != owner.kind) or (wanted.name and wanted.name != owner.name):
                continue
            told = answer.pods.add(name=f"{pod.namespace}/{pod.name}", added=pod.name in scraped, proxyReady=bool(pod.identity))
            told.proxyVersion = pod.version
            told.status = "Terminating" if pod.terminating else pod.phase
            told.controllerNamespace = "linkerd" if pod.meshed else ""
            if owner.kind in _OWNERS:
                setattr(told, _OWNERS[owner.kind], f"{pod.namespace}/{owner.name}")
        return answer

    async def _complaint(self, request: Message) -> str:
        """What is said in the answer itself, the call being all right."""
        own, outbound = request.selector.resource, request.WhichOneof("outbound")
        if not request.selector.HasField("resource"):
            return "StatSummary request missing Selector Resource"
        if outbound in ("from_resource", "to_resource"):
            peer, word = getattr(request, outbound), outbound.removesuffix("_resource")
            if word == "from" and peer.type == "service":
                return "service is not supported as a target on 'from' queries, or as a target with 'to' queries"
            if own.type in _POLICY or peer.type in _POLICY:
                return f"'{word}' queries are not supported with policy resources, as they have inbound metrics only"
            if peer.type == "all":
                return "resource type 'all' is not supported as a filter"
        reason = await self._store.refusal(request.time_window)
        return f"invalid time window: {reason}" if reason else ""

    async def _table(self, request: Message, kind: str) -> Message:
        asked = message("StatSummaryRequest")()
        asked.CopyFrom(request)
        asked.selector.resource.type = kind
        try:
            if kind == "service":
                return await self._tables.of_services(asked)
            return await self._tables.of_objects(asked)
        except Unlisted as error:
            raise Refused(Fault(grpc.StatusCode.UNIMPLEMENTED, str(error.args[0]))) from error
        except Unknown as error:
            raise Refused(Fault(grpc.StatusCode.NOT_FOUND, str(error.args[0]))) from error
        except (QueryFailed, ValueError) as error:
            raise Refused(Fault(grpc.StatusCode.UNKNOWN, str(error))) from error
