"""What is examined: the server as its configuration describes it, and from where the cluster is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apiservice.cluster import overrides_of
from apiservice.identity.trust import TrustOverrides
from apiservice.settings import ServerSettings, Settings
from apiservice.surfaces.configured import groups_of
from metrics_api.resources import GROUP, VERSION

__all__ = ["OWN", "UNSEEN", "Subject", "reachable", "subject_of"]

UNSEEN = "no cluster was looked at: give --kubeconfig FILE, or run this in a pod of it"
"""What is said where :func:`reachable` is false, though there is a cluster to be served."""

OWN = f"{VERSION}.{GROUP}"
"""The APIService that every installation has."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A server, and how to look at its cluster.

    ``service`` in ``namespace`` stands in front of it, and ``registered`` are the APIServices that lead there. ``port`` is its own.
    ``cert_secret`` names the Secret in which it keeps a certificate that it issues itself, "" where it does not. ``own_reviews`` are the
    kinds of reviews that it asks for with its own credentials: others may be configured. ``assumed`` is whether nobody has said which
    Service is its own. ``kubeconfig`` is "" in a pod of the cluster.
    ``release`` names the Helm release that it is part of, "" where there is none, or none was seen.
    ``address`` is where to connect to it, ``host:port``; "" leaves that to be found out.
    """

    service: str = "trafficmetrics"
    namespace: str = "trafficmetrics"
    registered: tuple[str, ...] = (OWN,)
    port: int = 6443
    cert_secret: str = ""
    own_reviews: tuple[str, ...] = ("tokenreviews", "subjectaccessreviews")
    overrides: TrustOverrides = field(default_factory=TrustOverrides)
    kubeconfig: str = ""
    address: str = ""
    release: str = ""
    assumed: bool = False

    @property
    def host(self) -> str:
        """The name that kube-apiserver expects in the certificate, whatever address it dials."""
        return f"{self.service}.{self.namespace}.svc"

    @property
    def place(self) -> str:
        """The Service as people name it."""
        return f"{self.namespace}/{self.service}"

    @property
    def inside(self) -> bool:
        """Whether it is looked at from inside the cluster, where names and addresses of Services mean something."""
        return not self.kubeconfig


def subject_of(settings: Settings, address: str = "") -> Subject:
    """The server that these settings make."""
    kubernetes, server, default = settings.kubernetes, settings.server, ServerSettings()
    others = [f"{version.version}.{group.name}" for group in groups_of(settings.surfaces) for version in group.versions]
    reviews = {
        "tokenreviews": kubernetes.authentication_kubeconfig,
        "subjectaccessreviews": kubernetes.authorization_kubeconfig,
    }
    return Subject(
        service=server.service_name,
        namespace=server.service_namespace,
        registered=(OWN, *others),
        port=server.secure_port,
        cert_secret=server.cert_secret,
        own_reviews=tuple(kind for kind, elsewhere in reviews.items() if not elsewhere),
        overrides=overrides_of(kubernetes),
        kubeconfig=kubernetes.kubeconfig,
        address=address,
        assumed=(server.service_name, server.service_namespace) == (default.service_name, default.service_namespace),
    )


def reachable(settings: Settings, environment: Mapping[str, str]) -> bool:
    """Whether there is a cluster to be looked at: a kubeconfig is given, or this runs in a pod."""
    return settings.kubernetes.enabled and bool(settings.kubernetes.kubeconfig or environment.get("KUBERNETES_SERVICE_HOST"))
