"""Configuration: one file, environment and flags, read once; every mistake is found before anything starts.

A flag beats the environment, which beats the file. Flags have the names the Kubernetes API servers use; the environment variable
of ``--secure-port`` is ``TRAFFICMETRICS_SECURE_PORT``.
"""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apiservice.logformat import LogFormat
from apiservice.logs import LARGEST_VERBOSITY
from apiservice.visibility import LARGEST_REFRESH, PeerVisibility
from metrics_api import WORKLOAD_KINDS, LatencyUnit, Window, parse_duration
from metrics_api.document import Node, Problems, parse_document
from metrics_api.source import parse_cluster

__all__ = [
    "OPTIONS",
    "KubernetesSettings",
    "LoggingSettings",
    "MetricsSettings",
    "Option",
    "ServerSettings",
    "Settings",
    "SurfaceSettings",
    "add_options",
    "read_settings",
]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how the API is served.

    ``secure_port`` serves HTTPS on ``bind_address`` to the aggregator and to direct clients. Without certificate files a
    self-signed pair is made in ``cert_dir``. ``insecure_port`` serves plain HTTP on loopback without authentication; it is for
    standalone use, 0 is off.
    ``spec_literal_discovery`` gives every resource the kind TrafficMetrics, as the SMI text has it, at the price of ``kubectl get``.
    ``shutdown_delay_duration`` is the seconds it goes on serving, not ready any more, once it is told to stop.
    ``max_requests_inflight`` resource requests are worked on at once, and ``max_watches`` watches beside them; 0 is no limit.
    ``peer_visibility`` says of which peers in other namespaces edges tell.
    """

    bind_address: str = "0.0.0.0"  # noqa: S104 an API server is there to be reached
    secure_port: int = 6443
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    cert_dir: str = "/var/run/trafficmetrics"
    service_name: str = "trafficmetrics"
    service_namespace: str = "trafficmetrics"
    insecure_port: int = 0
    spec_literal_discovery: bool = False
    shutdown_delay_duration: int = 0
    max_requests_inflight: int = 400
    max_watches: int = 10_000
    peer_visibility: PeerVisibility = PeerVisibility.ALL


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """The cluster whose objects are shown and whose users ask.

    ``cluster_name`` is what it is called where there are several; sources that name no cluster tell of this one.
    ``enabled`` false is standalone: no cluster. An empty ``kubeconfig`` is in-cluster; the two others default to it. The rest
    overrides what the cluster says in ConfigMap ``kube-system/extension-apiserver-authentication``.
    """

    enabled: bool = True
    kubeconfig: str = ""
    authentication_kubeconfig: str = ""
    authorization_kubeconfig: str = ""
    client_ca_file: str = ""
    requestheader_client_ca_file: str = ""
    requestheader_allowed_names: tuple[str, ...] | None = None
    authentication_skip_lookup: bool = False
    authentication_tolerate_lookup_failure: bool = False
    cluster_name: str = ""


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """What numbers look like.

    ``window`` is the default one. ``latency_unit`` is the unit latencies are sent in. ``default_workload_kind`` is, standalone,
    the kind of a workload of which a source gives the name alone. ``refresh`` is seconds: answers are as of multiples of it, and
    identical questions are asked once in it. ``deadline`` is the seconds that all sources have for one answer.
    """

    window: Window = Window(30)
    latency_unit: LatencyUnit = LatencyUnit.SECONDS
    default_workload_kind: str = "Deployment"
    refresh: int = 5
    deadline: int = 20


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """What is logged, and how: ``verbosity`` is that of Kubernetes' components, from 0 (:mod:`apiservice.logs` says what each tells)."""

    format: LogFormat = LogFormat.TEXT
    verbosity: int = 0


@dataclass(frozen=True, slots=True)
class SurfaceSettings:
    """The other ways to read the numbers, each of which may be switched off.

    The two metrics APIs are off: a cluster has one provider of each, and this server must not be in the way of another one.
    """

    grafana: bool = True
    prometheus: bool = True
    numbers: bool = True
    custom_metrics: bool = False
    external_metrics: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything configured. ``backends`` are the entries as written: each source reads its own keys."""

    server: ServerSettings
    kubernetes: KubernetesSettings
    metrics: MetricsSettings
    backends: tuple[Node, ...]
    logging: LoggingSettings = LoggingSettings()
    surfaces: SurfaceSettings = SurfaceSettings()


@dataclass(frozen=True, slots=True)
class Option:
    """One key of the file, and the flag that repeats it. A flag of one letter is written with one dash, too."""

    section: str
    key: str
    help: str
    flag: str = ""

    @property
    def name(self) -> str:
        """The flag without its dashes: the key in kebab case, unless Kubernetes calls it differently."""
        return self.flag or "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in self.key)


OPTIONS: tuple[Option, ...] = (
    Option("server", "bindAddress", "address to serve HTTPS on"),
    Option("server", "securePort", "port to serve HTTPS on"),
    Option("server", "tlsCertFile", "PEM file of the serving certificate, with its chain"),
    Option("server", "tlsPrivateKeyFile", "PEM file of the key of the serving certificate"),
    Option("server", "certDir", "directory for a self-signed serving pair, made when no certificate file is given"),
    Option("server", "serviceName", "name of the Service in front of the server, for the self-signed certificate"),
    Option("server", "serviceNamespace", "namespace of that Service"),
    Option("server", "insecurePort", "port for plain HTTP on loopback without authentication, standalone only; 0 is off"),
    Option("server", "specLiteralDiscovery", "true: every resource has kind TrafficMetrics, as the SMI text says"),
    Option("server", "shutdownDelayDuration", "time to go on serving, not ready any more, after being told to stop"),
    Option("server", "maxRequestsInflight", "resource requests worked on at once; more are told to come back; 0 is no limit"),
    Option("server", "maxWatches", "watches served at once; more are told to come back; 0 is no limit"),
    Option("server", "peerVisibility", "all: edges name every peer; authorized: only to who may read the peer's namespace, too"),
    Option("kubernetes", "enabled", "false: standalone, no cluster", flag="kubernetes-enabled"),
    Option("kubernetes", "kubeconfig", "kubeconfig of the cluster; empty is in-cluster"),
    Option("kubernetes", "authenticationKubeconfig", "kubeconfig for TokenReview, when it is another one"),
    Option("kubernetes", "authorizationKubeconfig", "kubeconfig for SubjectAccessReview, when it is another one"),
    Option("kubernetes", "clientCaFile", "PEM file of the CA of client certificates, instead of the cluster's"),
    Option("kubernetes", "requestheaderClientCaFile", "PEM file of the CA of the front proxy, instead of the cluster's"),
    Option("kubernetes", "requestheaderAllowedNames", "comma-separated common names the front proxy may have; empty is any"),
    Option("kubernetes", "authenticationSkipLookup", "true: do not read the cluster's authentication configuration"),
    Option("kubernetes", "authenticationTolerateLookupFailure", "true: start even if it cannot be read"),
    Option("kubernetes", "clusterName", "what this cluster is called, where sources tell of several"),
    Option("metrics", "window", "window of an answer when the request names none"),
    Option("metrics", "latencyUnit", "seconds, or ms for clients written against older servers"),
    Option("metrics", "defaultWorkloadKind", "standalone: kind of a workload known by name alone"),
    Option("metrics", "refresh", "answers are as of multiples of this"),
    Option("metrics", "deadline", "time that all sources together have for one answer"),
    Option("surfaces", "grafana", "false: do not speak to Grafana's JSON data sources", flag="surface-grafana"),
    Option("surfaces", "prometheus", "false: do not answer as a Prometheus does", flag="surface-prometheus"),
    Option("surfaces", "numbers", "false: do not tell plain numbers (format=numbers)", flag="surface-numbers"),
    Option("surfaces", "customMetrics", "true: serve custom.metrics.k8s.io to autoscalers", flag="surface-custom-metrics"),
    Option("surfaces", "externalMetrics", "true: serve external.metrics.k8s.io to autoscalers", flag="surface-external-metrics"),
    Option("logging", "format", "text, or json", flag="logging-format"),
    Option("logging", "verbosity", "0 for what an operator must know, 3 for every request, up to 10", flag="v"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add every flag to a command."""
    for option in OPTIONS:
        short = [f"-{option.name}"] if len(option.name) == 1 else []
        parser.add_argument(f"--{option.name}", *short, dest=option.name, metavar="VALUE", help=option.help)


def read_settings(text: str, file: str, flags: Mapping[str, str], environment: Mapping[str, str], problems: Problems) -> Settings:
    """Settings from the text of a configuration file and what overrides it.

    Mistakes are added to ``problems``, so that the caller can let the sources add theirs before giving up; only a text that is not
    YAML raises :class:`BadConfiguration` here. ``flags`` are by option name.
    """
    root = parse_document(text, file, problems)
    _override(root, flags, environment)
    entries = root.mapping(("server", "kubernetes", "metrics", "surfaces", "logging", "backends"))
    missing = Node({}, file, 0, "", problems)
    server = _server(entries.get("server", missing))
    kubernetes = _kubernetes(entries.get("kubernetes", missing))
    if not kubernetes.enabled and not server.insecure_port:
        problems.add(
            "kubernetes.enabled", "without a cluster nobody can be authenticated: set server.insecurePort to serve loopback only"
        )
    if kubernetes.enabled and server.insecure_port:
        problems.add("server.insecurePort", "an unauthenticated port is for standalone use: it needs kubernetes.enabled: false")
    if kubernetes.enabled and not server.secure_port:
        problems.add("server.securePort", "0 would serve nobody: only a standalone server can do without")
    metrics = _metrics(entries.get("metrics", missing))
    if server.peer_visibility is PeerVisibility.AUTHORIZED:
        if not kubernetes.enabled:
            problems.add(
                "server.peerVisibility", "authorized asks kube-apiserver who may read what: it needs kubernetes.enabled: true"
            )
        if metrics.refresh > LARGEST_REFRESH:
            told = f"authorized needs a metrics.refresh of {LARGEST_REFRESH}s at most: with it watchers learn of rights taken away"
            problems.add("server.peerVisibility", told)
    return Settings(
        server=server,
        kubernetes=kubernetes,
        metrics=metrics,
        logging=_logging(entries.get("logging", missing)),
        surfaces=_surfaces(entries.get("surfaces", missing)),
        backends=tuple(entries["backends"].items()) if "backends" in entries else (),
    )


def _override(root: Node, flags: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Put values of flags and environment in the place of what the file says; mistakes then name the flag."""
    if not isinstance(root.value, dict):
        return
    for option in OPTIONS:
        variable = f"TRAFFICMETRICS_{option.name.upper().replace('-', '_')}"
        for place, value in ((f"--{option.name}", flags.get(option.name)), (variable, environment.get(variable))):
            if value is None:
                continue
            section = root.value.setdefault(option.section, Node({}, root.file, 0, option.section, root.problems))
            section.value = section.value or {}
            if isinstance(section.value, dict):
                section.value[option.key] = Node(value, place, 0, "", root.problems)
            break


def _server(node: Node) -> ServerSettings:
    entries = node.mapping([option.key for option in OPTIONS if option.section == "server"])
    default = ServerSettings()
    if ("tlsCertFile" in entries) != ("tlsPrivateKeyFile" in entries):
        node.problem('"tlsCertFile" and "tlsPrivateKeyFile" go together')
    return ServerSettings(
        bind_address=entries["bindAddress"].read(_address, default.bind_address)
        if "bindAddress" in entries
        else default.bind_address,
        secure_port=_port(entries, "securePort", default.secure_port),
        tls_cert_file=_file(entries, "tlsCertFile"),
        tls_private_key_file=_file(entries, "tlsPrivateKeyFile"),
        cert_dir=_text(entries, "certDir", default.cert_dir),
        service_name=_text(entries, "serviceName", default.service_name),
        service_namespace=_text(entries, "serviceNamespace", default.service_namespace),
        insecure_port=_port(entries, "insecurePort", default.insecure_port),
        spec_literal_discovery=_boolean(entries, "specLiteralDiscovery", default=default.spec_literal_discovery),
        shutdown_delay_duration=entries["shutdownDelayDuration"].read(_delay, 0) if "shutdownDelayDuration" in entries else 0,
        max_requests_inflight=_limit(entries, "maxRequestsInflight", default.max_requests_inflight),
        max_watches=_limit(entries, "maxWatches", default.max_watches),
        peer_visibility=PeerVisibility(
            entries["peerVisibility"].choice([each.value for each in PeerVisibility], default.peer_visibility.value)
        )
        if "peerVisibility" in entries
        else default.peer_visibility,
    )


def _kubernetes(node: Node) -> KubernetesSettings:
    entries = node.mapping([option.key for option in OPTIONS if option.section == "kubernetes"])
    names = entries.get("requestheaderAllowedNames")
    return KubernetesSettings(
        enabled=_boolean(entries, "enabled", default=True),
        kubeconfig=_file(entries, "kubeconfig"),
        authentication_kubeconfig=_file(entries, "authenticationKubeconfig"),
        authorization_kubeconfig=_file(entries, "authorizationKubeconfig"),
        client_ca_file=_file(entries, "clientCaFile"),
        requestheader_client_ca_file=_file(entries, "requestheaderClientCaFile"),
        requestheader_allowed_names=None
        if names is None
        else tuple(filter(None, _text(entries, "requestheaderAllowedNames", "").split(","))),
        authentication_skip_lookup=_boolean(entries, "authenticationSkipLookup", default=False),
        authentication_tolerate_lookup_failure=_boolean(entries, "authenticationTolerateLookupFailure", default=False),
        cluster_name=entries["clusterName"].read(parse_cluster, "") if "clusterName" in entries else "",
    )


def _metrics(node: Node) -> MetricsSettings:
    entries = node.mapping([option.key for option in OPTIONS if option.section == "metrics"])
    default = MetricsSettings()
    kind = entries.get("defaultWorkloadKind")
    return MetricsSettings(
        window=entries["window"].read(Window.parse, default.window) if "window" in entries else default.window,
        latency_unit=LatencyUnit(entries["latencyUnit"].choice([unit.value for unit in LatencyUnit], "seconds"))
        if "latencyUnit" in entries
        else default.latency_unit,
        default_workload_kind=kind.choice(WORKLOAD_KINDS, "Deployment") if kind is not None else default.default_workload_kind,
        refresh=entries["refresh"].read(_seconds, default.refresh) if "refresh" in entries else default.refresh,
        deadline=entries["deadline"].read(_deadline, default.deadline) if "deadline" in entries else default.deadline,
    )


def _logging(node: Node) -> LoggingSettings:
    entries = node.mapping([option.key for option in OPTIONS if option.section == "logging"])
    default = LoggingSettings()
    return LoggingSettings(
        format=LogFormat(entries["format"].choice([form.value for form in LogFormat], default.format.value))
        if "format" in entries
        else default.format,
        verbosity=entries["verbosity"].integer(0, LARGEST_VERBOSITY, default.verbosity) if "verbosity" in entries else 0,
    )


def _surfaces(node: Node) -> SurfaceSettings:
    entries = node.mapping([option.key for option in OPTIONS if option.section == "surfaces"])
    return SurfaceSettings(
        grafana=_boolean(entries, "grafana", default=True),
        prometheus=_boolean(entries, "prometheus", default=True),
        numbers=_boolean(entries, "numbers", default=True),
        custom_metrics=_boolean(entries, "customMetrics", default=False),
        external_metrics=_boolean(entries, "externalMetrics", default=False),
    )


def _text(entries: Mapping[str, Node], key: str, default: str) -> str:
    return entries[key].text(default) if key in entries else default


def _boolean(entries: Mapping[str, Node], key: str, *, default: bool) -> bool:
    return entries[key].boolean(default=default) if key in entries else default


def _port(entries: Mapping[str, Node], key: str, default: int) -> int:
    return entries[key].integer(0, 65535, default) if key in entries else default


def _limit(entries: Mapping[str, Node], key: str, default: int) -> int:
    return entries[key].integer(0, 1_000_000, default) if key in entries else default


def _file(entries: Mapping[str, Node], key: str) -> str:
    path = _text(entries, key, "")
    if path and not Path(path).is_file():
        entries[key].problem(f'there is no file "{path}"')
    return path


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError(f'"{text}" is not an IP address') from error


def _delay(text: str) -> int:
    seconds = parse_duration(text)
    if seconds.denominator != 1 or not 0 <= seconds <= 3600:
        raise ValueError(f'"{text}" must be in whole seconds, from 0s to 1h')
    return int(seconds)


def _seconds(text: str) -> int:
    seconds = parse_duration(text)
    if seconds.denominator != 1 or not 1 <= seconds <= 300:
        # A version is an instant, and clients may go on from one for five minutes.
        raise ValueError(f'"{text}" must be in whole seconds, from 1s to 5m')
    return int(seconds)


def _deadline(text: str) -> int:
    seconds = parse_duration(text)
    if seconds.denominator != 1 or not 1 <= seconds <= 55:
        # kube-apiserver gives up on an extension API server after a minute.
        raise ValueError(f'"{text}" must be in whole seconds, from 1s to 55s')
    return int(seconds)
