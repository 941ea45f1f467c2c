"""The sections of the configuration: what each key holds, what it means, and what holds where nothing is said."""

from __future__ import annotations

from dataclasses import dataclass, field

from apiservice.logformat import LogFormat
from apiservice.logs import LARGEST_VERBOSITY
from apiservice.settings.values import ADDRESS, CLUSTER, NAMES, OBJECT_NAME, WINDOW
from apiservice.visibility import PeerVisibility
from metrics_api import WORKLOAD_KINDS, LatencyUnit, Window
from metrics_api.document import Node
from metrics_api.forms import BOOLEAN, FILE, TEXT, choice, member, seconds, whole
from metrics_api.keys import key

__all__ = ["KubernetesSettings", "LoggingSettings", "MetricsSettings", "ServerSettings", "Settings", "SurfaceSettings"]

_PORT = whole(0, 65535)
_LIMIT = whole(0, 1_000_000)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how the API is served. Times are seconds; what 0 and "" stand for, the keys say."""

    bind_address: str = field(  # an API server is there to be reached
        default="0.0.0.0",  # noqa: S104
        metadata=key("address to serve HTTPS on; `0.0.0.0` and `::` are both all addresses, of IPv4 and IPv6", ADDRESS),
    )
    secure_port: int = field(
        default=6443, metadata=key("port to serve HTTPS on; `0`, none, is for standalone servers alone", _PORT)
    )
    tls_cert_file: str = field(
        default="",
        metadata=key("PEM file of the serving certificate, with its chain; read again when it changes", FILE),
    )
    tls_private_key_file: str = field(
        default="", metadata=key("PEM file of the key of the serving certificate; the two go together", FILE)
    )
    cert_secret: str = field(
        default="",
        metadata=key(
            "name of a Secret in `serviceNamespace` in which the server keeps an authority and a serving certificate of its own, "
            "[instead of files](certificates.md); needs a cluster",
            OBJECT_NAME,
        ),
    )
    cert_dir: str = field(
        default="/var/run/trafficmetrics",
        metadata=key(
            "directory for a self-signed serving pair, made where no other certificate is configured; "
            "`ca.crt` there is the `caBundle` of the APIService",
            TEXT,
        ),
    )
    service_name: str = field(
        default="trafficmetrics",
        metadata=key("name of the Service in front of the server, for the names in certificates it makes", TEXT),
    )
    service_namespace: str = field(default="trafficmetrics", metadata=key("namespace of that Service", TEXT))
    insecure_port: int = field(
        default=0,
        metadata=key("port for plain HTTP on loopback without authentication, for standalone use only; `0` is off", _PORT),
    )
    spec_literal_discovery: bool = field(
        default=False,
        metadata=key(
            "`true`: every resource has kind `TrafficMetrics` in discovery, as the SMI text has it; "
            "`kubectl get` then asks for the wrong resource",
            BOOLEAN,
        ),
    )
    shutdown_delay_duration: int = field(
        default=0,
        metadata=key(
            "how long to go on serving, not ready any more, after SIGTERM: gives the Service time to send requests elsewhere",
            seconds("0s", "1h"),
        ),
    )
    max_requests_inflight: int = field(
        default=400,
        metadata=key(
            "resource requests worked on at once, until their last byte is sent; more are answered 429 with `Retry-After: 1`. "
            "`0` is no limit",
            _LIMIT,
        ),
    )
    max_watches: int = field(
        default=10_000,
        metadata=key("watches served at once, beside those; more are answered the same way. `0` is no limit", _LIMIT),
    )
    peer_visibility: PeerVisibility = field(
        default=PeerVisibility.ALL,
        metadata=key(
            "`all`: edges name every peer. `authorized`: peers in other namespaces only to "
            "[who may read their traffic](security.md#whom-edges-name); needs a cluster, and a `metrics.refresh` of `30s` at most",
            member(PeerVisibility),
        ),
    )


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """The cluster whose objects are shown and whose users ask."""

    enabled: bool = field(
        default=True,
        metadata=key(
            "`false` is standalone: no cluster, no users, the `server.insecurePort` only", BOOLEAN, flag="kubernetes-enabled"
        ),
    )
    kubeconfig: str = field(default="", metadata=key("kubeconfig file of the cluster; empty is in-cluster", FILE))
    authentication_kubeconfig: str = field(
        default="", metadata=key("kubeconfig file for TokenReview, when it is another one", FILE)
    )
    authorization_kubeconfig: str = field(
        default="", metadata=key("kubeconfig file for SubjectAccessReview, when it is another one", FILE)
    )
    client_ca_file: str = field(
        default="", metadata=key("PEM file of the CA of client certificates, instead of the cluster's", FILE)
    )
    requestheader_client_ca_file: str = field(
        default="", metadata=key("PEM file of the CA of the front proxy, instead of the cluster's", FILE)
    )
    requestheader_allowed_names: tuple[str, ...] | None = field(
        default=None,
        metadata=key(
            "common names the front proxy may have, with `requestheaderClientCaFile`; empty is any",
            NAMES,
        ),
    )
    authentication_skip_lookup: bool = field(
        default=False,
        metadata=key("`true`: do not read ConfigMap `kube-system/extension-apiserver-authentication`", BOOLEAN),
    )
    authentication_tolerate_lookup_failure: bool = field(
        default=False,
        metadata=key("`true`: start even if it cannot be read; users may then count as anonymous", BOOLEAN),
    )
    cluster_name: str = field(
        default="",
        metadata=key("what this cluster is called, where sources tell of [several](federation.md#several-clusters)", CLUSTER),
    )


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """What numbers look like; ``refresh`` and ``deadline`` are seconds."""

    window: Window = field(default=Window(30), metadata=key("window of an answer when the request names none", WINDOW))
    latency_unit: LatencyUnit = field(
        default=LatencyUnit.SECONDS,
        metadata=key("unit latencies are sent in; `ms` for clients written against older servers", member(LatencyUnit)),
    )
    default_workload_kind: str = field(
        default="Deployment",
        metadata=key("standalone: kind of a workload of which a source gives the name alone", choice(WORKLOAD_KINDS)),
    )
    # A version is an instant, and clients may go on from one for five minutes.
    refresh: int = field(
        default=5,
        metadata=key(
            "answers are as of multiples of this; identical questions within it are asked of the sources once, "
            "and what is watched is asked again after it",
            seconds("1s", "5m"),
        ),
    )
    # kube-apiserver gives up on an extension API server after a minute.
    deadline: int = field(
        default=20,
        metadata=key(
            "time that all sources together have for one answer; what is not there by then is missing from it, and that is said",
            seconds("1s", "55s"),
        ),
    )


@dataclass(frozen=True, slots=True)
class SurfaceSettings:
    """The other ways to read the numbers, each of which may be switched off.

    The two metrics APIs are off: a cluster has one provider of each, and this server must not be in the way of another one.
    """

    grafana: bool = field(
        default=True, metadata=key("speak to Grafana's [JSON data sources](grafana.md)", BOOLEAN, flag="surface-grafana")
    )
    prometheus: bool = field(
        default=True,
        metadata=key("a page to scrape and the queries of a [Prometheus](prometheus.md)", BOOLEAN, flag="surface-prometheus"),
    )
    numbers: bool = field(
        default=True,
        metadata=key(
            "[plain numbers](numbers.md) for scripts and canary controllers: `?format=numbers`", BOOLEAN, flag="surface-numbers"
        ),
    )
    custom_metrics: bool = field(
        default=False,
        metadata=key(
            "serve `custom.metrics.k8s.io` to [autoscalers](autoscaling.md); a cluster has one provider of it",
            BOOLEAN,
            flag="surface-custom-metrics",
        ),
    )
    external_metrics: bool = field(
        default=False,
        metadata=key(
            "serve `external.metrics.k8s.io` to autoscalers; a cluster has one provider of it",
            BOOLEAN,
            flag="surface-external-metrics",
        ),
    )


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """What is logged, and how: ``verbosity`` is that of Kubernetes' components (:mod:`apiservice.logs` says what each tells)."""

    format: LogFormat = field(
        default=LogFormat.TEXT,
        metadata=key("how lines are written, both as Kubernetes' components write them", member(LogFormat), flag="logging-format"),
    )
    verbosity: int = field(
        default=0,
        metadata=key(
            "how much is told: `0` is what an operator must know, `3` adds every request; [what each tells](observability.md#logs)",
            whole(0, LARGEST_VERBOSITY),
            flag="v",
        ),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything configured. ``backends`` are the entries as written: each source reads its own keys."""

    server: ServerSettings
    kubernetes: KubernetesSettings
    metrics: MetricsSettings
    backends: tuple[Node, ...]
    logging: LoggingSettings = LoggingSettings()
    surfaces: SurfaceSettings = SurfaceSettings()
