"""The fleet as viz has it: its Kubernetes objects, and the series that viz reads beside those of requests.

To the workloads of ``tests/doubles/mesh_facts.py`` it adds the namespace ``odd``, where everything is on which viz and a Prometheus that is
asked directly differ, one workload for each difference, so that no other row has anything of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.doubles.backfill import INSTANT, STEP, Series, exposition, series
from tests.doubles.linkerd.cluster import Cluster, Object, Pod
from tests.doubles.mesh_facts import FLOWS, LOGS, PINNED, RELIC, WORKLOADS, Flow, Workload
from tests.doubles.meshes.linkerd import Linkerd

__all__ = ["BOUNDS", "ODD", "VERSION", "fleet_cluster", "fleet_samples", "identity_of", "replicaset_of"]

ODD = "odd"
"""The namespace of what is different."""

VERSION = "edge-26.8.3"
"""The version of all proxies."""

BOUNDS = Linkerd.bounds
"""Upper bounds of the latency buckets, seconds."""

_FAST, _SLOW = 0.0015, 0.25
"""Latencies in seconds, each in the middle of a bucket: from 1 to 2 ms, and from 200 to 300 ms."""

_PROBED = ("default", "8080", 10), ("probe", "8080", 3), ("probe", "4191", 3), ("default", "4191", 4)
"""Routes, ports and requests per second of the workload that is probed and scraped; the first are its traffic."""

_SPLIT = {"front-v1": 90, "front-v2": 10}
"""Requests per second to the leaves of the Service ``front``."""


def fleet_cluster() -> Cluster:
    """Every object of the fleet and of the namespace ``odd``."""
    objects: list[Object] = [Object("namespace", "", name, labels={"name": name}) for name in ("shop", "ledger", ODD)]
    for workload in WORKLOADS:
        owner = Object(workload.kind.lower(), workload.namespace, workload.name, labels={"app": workload.name})
        objects += _with_pods(owner, workload.template_hash, [pod.name for pod in workload.pods], meshed=len(workload.pods))
    for name in ("probed", "faster", "stopped", "fraction", "quiet", "caller", *_SPLIT):
        objects += _with_pods(Object("deployment", ODD, name, labels={"app": name}), "1", [_pod(name)], meshed=1)
    objects += _with_pods(Object("deployment", ODD, "bare"), "1", [_pod("bare")], meshed=0)
    objects += _with_pods(Object("deployment", ODD, "half"), "1", [_pod("half"), f"{_pod('half')}-2"], meshed=1)
    objects += _with_pods(Object("deployment", ODD, "scaled-down"), "1", [], meshed=0)
    weights = [(f"{leaf}.{ODD}.svc.cluster.local:80", f"{share}0m") for leaf, share in _SPLIT.items()]
    return Cluster(tuple(objects), {(ODD, "front"): weights})


def fleet_samples(end: int = INSTANT, count: int = 5) -> str:
    """The samples, in OpenMetrics: ``count`` of each series, one every ``STEP`` seconds, the last at ``end``."""
    instants = [end - STEP * back for back in reversed(range(count))]
    kept = {text: moves for text, moves in series(Linkerd()).items() if not _is_probe(text)}
    kept |= _connections() | _processes() | _split() | _probed()
    return exposition(kept, instants).removesuffix("# EOF\n") + "".join(_bent(instants)) + "# EOF\n"


def replicaset_of(workload: Workload) -> str:
    """The name of the ReplicaSet between a Deployment and its pods."""
    return f"{workload.name}-{workload.template_hash}"


def identity_of(namespace: str, account: str) -> str:
    """The name that a proxy has in mutual TLS."""
    return f"{account}.{namespace}.serviceaccount.identity.linkerd.cluster.local"


def _with_pods(owner: Object, template: str, names: Sequence[str], *, meshed: int) -> Iterator[Object]:
    """An object and its pods, of which the first ``meshed`` are in the mesh; Deployments have a ReplicaSet in between."""
    yield owner
    parent = owner
    if owner.kind == "deployment":
        parent = Object("replicaset", owner.namespace, f"{owner.name}-{template}", owner, owner.labels)
        yield parent
    for at, name in enumerate(names):
        inside = at < meshed
        proxy = {"identity": identity_of(owner.namespace, owner.name), "version": VERSION} if inside else {}
        yield Pod("pod", owner.namespace, name, parent, owner.labels, meshed=inside, **proxy)


def _pod(name: str) -> str:
    return f"{name}-1-abcde"


def _is_probe(text: str) -> bool:
    """What is counted of probes and of scraping: in all totals of viz, so it is left to one workload here."""
    return 'route_name="probe"' in text or 'target_port="4191"' in text


def _text(name: str, labels: dict[str, str]) -> str:
    matchers = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{matchers}}}"


def _own(name: str) -> dict[str, str]:
    """The labels of what a proxy of the namespace ``odd`` exposes."""
    return {"namespace": ODD, "pod": _pod(name), "deployment": name, "pod_template_hash": "1", "control_plane_ns": "linkerd"}


def _inbound(name: str, **more: str) -> dict[str, str]:
    return {"direction": "inbound", "tls": "true", "target_port": "8080", "route_name": "default", **more, **_own(name)}


def _buckets(labels: dict[str, str], seconds: float) -> Iterator[tuple[str, bool]]:
    """The buckets of a histogram, and which of them count a request that took so long."""
    for bound in BOUNDS:
        yield _text("response_latency_ms_bucket", {**labels, "le": f"{bound * 1000:g}"}), seconds <= bound
    yield _text("response_latency_ms_bucket", {**labels, "le": "+Inf"}), True


def _counted(labels: dict[str, str], rate: float, seconds: float) -> Series:
    """The series of successes, and of how long they took."""
    buckets = {text: (0.0, rate if inside else 0.0) for text, inside in _buckets(labels, seconds)}
    return {_text("response_total", {**labels, "classification": "success"}): (1e6, rate), **buckets}


def _probed() -> Series:
    found: Series = {}
    for route, port, rate in _PROBED:
        found |= _counted(_inbound("probed", route_name=route, target_port=port), rate, _SLOW if route == "default" else _FAST)
    return found


def _split() -> Series:
    """What ``caller`` saw of the Service ``front``, which a profile splits; and what the leaves saw."""
    found: Series = {}
    for leaf, rate in _SPLIT.items():
        to = {
            "dst_namespace": ODD,
            "dst_service": leaf,
            "dst_deployment": leaf,
            "dst_pod": _pod(leaf),
            "dst_pod_template_hash": "1",
        }
        called = {"direction": "outbound", "tls": "true", "authority": f"front.{ODD}.svc.cluster.local:80", **to, **_own("caller")}
        found |= _counted(called, rate, _SLOW if leaf == "front-v1" else _FAST)
        found |= _counted(_inbound(leaf), rate, _SLOW)
    return found


def _connections() -> Series:
    """Connections open at the end, one for each pair of pods: those of flows, but for one that has just ended; and one that is silent."""
    found: Series = {}
    for flow in FLOWS:
        if isinstance(flow.client, Workload) and isinstance(flow.server, Workload):
            found |= _between(flow.client, flow.server, 0.0 if _ended(flow) else 2.0, plain=flow.server is LOGS)
    return found | _between(RELIC, PINNED, 1.0, plain=False)


def _ended(flow: Flow) -> bool:
    return flow.client is PINNED


def _between(client: Workload, server: Workload, open_: float, *, plain: bool) -> Series:
    found: Series = {}
    for caller in client.pods:
        for callee in server.pods:
            labels = {
                "direction": "outbound",
                "peer": "dst",
                **({"tls": "no_identity", "no_tls_reason": "not_provided_by_service_discovery"} if plain else {"tls": "true"}),
                **({} if plain else {"server_id": identity_of(server.namespace, server.name)}),
                f"dst_{_label(server.kind)}": server.name,
                "dst_namespace": server.namespace,
                "dst_pod": callee.name,
                **Linkerd().scrape_labels(client, caller),
            }
            found[_text("tcp_open_connections", labels)] = (open_, 0.0)
    return found


def _label(kind: str) -> str:
    return "k8s_job" if kind == "Job" else kind.lower()


def _processes() -> Series:
    """By these it is known which pods are scraped."""
    return {
        _text("process_start_time_seconds", Linkerd().scrape_labels(workload, pod)): (1_599_000_000.0, 0.0)
        for workload in WORKLOADS
        for pod in workload.pods
    }


def _bent(instants: Sequence[int]) -> Iterator[str]:
    """Series that do not grow evenly: each value at each instant."""
    last, before, *_ = reversed(instants)
    first = instants[0]
    # A workload that was slow until a scrape ago.
    for (text, slow), (_, fast) in zip(_buckets(_inbound("faster"), _SLOW), _buckets(_inbound("faster"), _FAST), strict=True):
        for at in instants:
            yield f"{text} {1000 + 10 * ((min(at, before) - first) * slow + max(at - before, 0) * fast)} {at}\n"
    total = _text("response_total", {**_inbound("faster"), "classification": "success"})
    yield from (f"{total} {1000 + 10 * (at - first)} {at}\n" for at in instants)
    # One that stopped in the middle of the last minute.
    for text, slow in _buckets(_inbound("stopped"), _SLOW):
        yield from (f"{text} {1000 + 10 * (min(at, before) - first) * slow} {at}\n" for at in instants)
    total = _text("response_total", {**_inbound("stopped"), "classification": "success"})
    yield from (f"{total} {1000 + 10 * (min(at, before) - first)} {at}\n" for at in instants)
    # Two series of which the increase over a minute is half a request more than a whole one.
    for tls in ("true", "no_identity"):
        total = _text("response_total", {**_inbound("fraction"), "tls": tls, "classification": "success"})
        yield from (f"{total} {value} {at}\n" for at, value in ((last - 50, 1000), (last - 30, 1010), (last - 10, 1023)))
