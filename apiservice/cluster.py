"""The cluster of the server: whom to believe, whom to ask, and what has to be kept up to date; or none, for standalone use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from apiservice.authorization import Authorizer, SubjectAccessReviews
from apiservice.clock import SYSTEM_CLOCK
from apiservice.health import Check
from apiservice.identity.chain import DelegatedAuthenticator
from apiservice.identity.rotation import TrustSource
from apiservice.identity.token import TokenReviews
from apiservice.identity.trust import TrustOverrides
from apiservice.identity.user import Authenticator
from apiservice.inventory import WATCHED, ClusterObjects, Pool, Reflector, Store
from apiservice.kube import KubeClient
from apiservice.objects import Objects, StandaloneObjects
from apiservice.settings import KubernetesSettings
from apiservice.standalone import AllowAll, Everyone
from apiservice.telemetry import Telemetry

__all__ = ["Cluster", "cluster_of", "overrides_of"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Whom to believe, whom to ask, and what has to be kept up to date; ``ready_pods`` are those of a namespace, by name."""

    authenticator: Authenticator
    authorizer: Authorizer
    objects: Objects
    chores: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()
    authorities: Callable[[], str] = str
    trust_changed: asyncio.Event = field(default_factory=asyncio.Event)
    checks: tuple[Check, ...] = ()
    ready_pods: Callable[[str], Collection[str]] = lambda _: ()


def overrides_of(settings: KubernetesSettings) -> TrustOverrides:
    """What is configured instead of what the cluster says of whom it trusts."""
    return TrustOverrides(
        client_ca_file=settings.client_ca_file,
        requestheader_client_ca_file=settings.requestheader_client_ca_file,
        requestheader_allowed_names=settings.requestheader_allowed_names or (),
        skip_lookup=settings.authentication_skip_lookup,
        tolerate_lookup_failure=settings.authentication_tolerate_lookup_failure,
    )


@asynccontextmanager
async def cluster_of(settings: KubernetesSettings, workload_kind: str, telemetry: Telemetry) -> AsyncIterator[Cluster]:
    """The cluster that is configured, connected for as long as the context lasts; ``workload_kind`` is for when there is none."""
    if not settings.enabled:
        yield Cluster(Everyone(), AllowAll(), StandaloneObjects(workload_kind))
        return
    overrides = overrides_of(settings)
    # Reviews and objects have connections of their own: a slow list must not hold up who may ask.
    async with (
        # What Kubernetes promises of a list of a whole cluster (kubernetes/community, sig-scalability/slos).
        KubeClient.connect(settings.kubeconfig, call_timeout=30.0) as lookups,
        KubeClient.connect(settings.authentication_kubeconfig or settings.kubeconfig) as tokens,
        KubeClient.connect(settings.authorization_kubeconfig or settings.kubeconfig) as reviews,
    ):
        trust = TrustSource(tokens, overrides, SYSTEM_CLOCK)
        await trust.start()
        store, pool = Store(SYSTEM_CLOCK.monotonic), Pool()
        reflectors = [Reflector(lookups, watched, store, SYSTEM_CLOCK, pool=pool) for watched in WATCHED]
        telemetry.inventory.follow([watched.kind for watched in WATCHED], store.count, store.knows)
        objects = ClusterObjects(store)
        yield Cluster(
            DelegatedAuthenticator(
                trust,
                TokenReviews(tokens, SYSTEM_CLOCK, telemetry.token_reviews),
                SYSTEM_CLOCK,
                telemetry.callers.certificate_shown,
            ),
            SubjectAccessReviews(reviews, SYSTEM_CLOCK, observer=telemetry.access_reviews),
            objects,
            (trust.keep_reading, trust.keep_watching, *(reflector.run for reflector in reflectors)),
            lambda: trust.current.authorities,
            trust.changed,
            (
                # Whoever tolerates that it cannot be read wants to be served all the same.
                Check("configmap-synced", trust.unsynced, required=not settings.authentication_tolerate_lookup_failure),
                Check("inventory-synced", store.unsynced),
            ),
            objects.ready_pods,
        )
