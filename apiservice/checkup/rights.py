"""What the server's own account may do: everything it needs, asked of kube-apiserver one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apiservice.checkup import places
from apiservice.checkup.account import Account
from apiservice.checkup.remedies import inventory_granted, issuing_granted
from apiservice.checkup.sight import Kube, Place, Seen, Unseen, look
from apiservice.checkup.subject import Subject
from apiservice.checkup.verdicts import ok, problem, warning
from apiservice.inventory import WATCHED
from apiservice.inventory.kinds import Watched
from apiservice.kube import KubeError
from metrics_api.diagnosis import Finding

__all__ = ["Right", "absent_resources", "needed_rights", "refused_rights", "rights_findings", "unmade_secret"]

_AT_ONCE = 8
_AUTHENTICATION = "extension-apiserver-authentication"

_LOST = {
    "Namespace": "namespaces are shown unchecked; with peerVisibility: authorized, more peers are hidden than need be",
    "Pod": "what sources know by pods alone is not added up to their workloads",
    "Service": "host names that callers used are not known to be Services",
    "EndpointSlice": "which pods stand behind a Service is not known: totals of Services may be missing",
    "ReplicaSet": "whose pods they are is guessed from the names of pods",
    "Job": "whose pods they are is guessed from the names of pods",
    "TrafficSplit": "traffic is not told by TrafficSplit",
    "HTTPRoute": "traffic is not told by HTTPRoute",
    "GRPCRoute": "traffic is not told by GRPCRoute",
}


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource (``deployments.apps``), in a namespace or in all of them, on one name or on any."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """As reviews have it."""
        resource, _, group = self.resource.partition(".")
        told = {"verb": self.verb, "group": group, "resource": resource, "namespace": self.namespace, "name": self.name}
        return {key: value for key, value in told.items() if value}


def needed_rights(subject: Subject) -> list[Right]:
    """All that the server needs, as it is configured."""
    groups = {"tokenreviews": "authentication.k8s.io", "subjectaccessreviews": "authorization.k8s.io"}
    rights = [Right("create", f"{kind}.{groups[kind]}") for kind in subject.own_reviews]
    if "tokenreviews" in subject.own_reviews and not subject.overrides.complete:
        rights += [Right(verb, "configmaps", "kube-system", _AUTHENTICATION) for verb in ("get", "list", "watch")]
    if subject.cert_secret:
        rights.append(_making(subject))
        rights += [Right(verb, "secrets", subject.namespace, subject.cert_secret) for verb in ("get", "update")]
        rights += [
            Right(verb, "apiservices.apiregistration.k8s.io", "", name) for name in subject.registered for verb in ("get", "patch")
        ]
    return rights + [Right(verb, watched.resource) for watched in WATCHED for verb in ("list", "watch")]


def _making(subject: Subject) -> Right:
    """To make the Secret of the certificate, which takes the right to make any."""
    return Right("create", "secrets", subject.namespace)


async def refused_rights(kube: Kube, rights: Sequence[Right], account: Account, me: str) -> list[Right] | Unseen:
    """Those that the account has not, asked by ``me``, who may be the account itself; or why nobody knows."""
    several = asyncio.Semaphore(_AT_ONCE)

    async def refused(right: Right) -> bool:
        spec: dict[str, Any] = {"resourceAttributes": right.attributes}
        kind = "SelfSubjectAccessReview"
        if me != account.user:
            kind, spec = "SubjectAccessReview", {**spec, "user": account.user, "groups": account.groups}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        async with several:
            answer = await kube.post_json(f"/apis/authorization.k8s.io/v1/{kind.lower()}s", body)
        return not (answer.get("status") or {}).get("allowed")

    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(refused(right)) for right in rights]
    except* KubeError as errors:
        (error, *_) = _leaves(errors)
        place = Place(f"the rights of the {account}", "create on subjectaccessreviews.authorization.k8s.io", "")
        unknown = Unseen(place, "" if error.status == 403 else error.message)
    else:
        return [right for right, task in zip(rights, asked, strict=True) if task.result()]
    return unknown


def _leaves(errors: BaseExceptionGroup[KubeError]) -> Iterator[KubeError]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def unmade_secret(kube: Kube, refused: Sequence[Right], subject: Subject) -> Seen:
    """The Secret of the certificate where it may not be made: one that is there need not be. None elsewhere."""
    return await look(kube, places.secret(subject)) if _making(subject) in refused else None


async def absent_resources(kube: Kube, rights: Sequence[Right]) -> frozenset[str]:
    """Those of the watched resources, of which rights are refused, that the cluster does not have: nothing is lost by them."""
    wanted = {right.resource for right in rights}
    asked = [watched for watched in WATCHED if watched.resource in wanted]
    there = await asyncio.gather(*(_is_there(kube, watched) for watched in asked))
    return frozenset(watched.resource for watched, found in zip(asked, there, strict=True) if not found)


async def _is_there(kube: Kube, watched: Watched) -> bool:
    for path in watched.paths:
        version, _, resource = path.rpartition("/")
        seen = await look(kube, Place(f"the resources of {version}", f"get on {version}", version))
        if isinstance(seen, Unseen) or any(each.get("name") == resource for each in (seen or {}).get("resources") or ()):
            return True
    return False


def rights_findings(
    refused: Sequence[Right], account: Account, subject: Subject, absent: Collection[str] = (), secret: Seen = None
) -> Iterator[Finding]:
    """What it means that the account has not these rights.

    ``absent`` are the resources that the cluster does not have at all, ``secret`` is that of :func:`unmade_secret`.
    """
    mark = f"--serviceaccount={account.namespace}:{account.name}"
    by_resource: dict[str, list[str]] = {}
    for right in refused:
        if secret is None or right != _making(subject):
            by_resource.setdefault(right.resource, []).append(right.verb)
    found: list[Finding] = []
    if reviews := [resource for resource in by_resource if "reviews." in resource]:
        what = f"the {account} may not create {' and '.join(reviews)}: nobody can be answered"
        advice = (
            f"kubectl create clusterrolebinding trafficmetrics:system:auth-delegator --clusterrole=system:auth-delegator {mark}"
        )
        found.append(problem("rights", what, advice))
    if verbs := by_resource.get("configmaps"):
        found.append(_unread(verbs, account, subject, mark))
    if keeping := [resource for resource in ("secrets", "apiservices.apiregistration.k8s.io") if resource in by_resource]:
        verbs = [f"{' and '.join(by_resource[resource])} {resource}" for resource in keeping]
        what = f"the {account} may not {', nor '.join(verbs)}: it cannot keep its certificate and the caBundle (server.certSecret)"
        lacking: dict[str, list[str]] = {resource: by_resource[resource] for resource in keeping}
        found.append(problem("rights", what, issuing_granted(lacking, account, subject)))
    if isinstance(secret, Unseen):
        what = f"the {account} may not create secrets: it has to, if there is no {secret.place.what}"
        granted = issuing_granted({"secrets": ["create"]}, account, subject)
        found.append(
            warning("rights", what, f"kubectl get secret -n {subject.namespace} {subject.cert_secret}; without one: {granted}")
        )
    for watched in WATCHED:
        verbs = by_resource.get(watched.resource, [])
        if verbs and watched.resource not in absent:
            lost = _LOST.get(watched.kind, f"{watched.resource} are shown unchecked, and without their labels")
            what = f"the {account} may not {' and '.join(verbs)} {watched.resource}: {lost}"
            found.append(warning("rights", what, inventory_granted(watched.resource, account, subject)))
    yield from found or [ok("rights", f"the {account} may do all that the server needs")]


def _unread(verbs: Sequence[str], account: Account, subject: Subject, mark: str) -> Finding:
    name = f"ConfigMap kube-system/{_AUTHENTICATION}"
    advice = (
        "kubectl create rolebinding trafficmetrics-auth-reader -n kube-system"
        f" --role=extension-apiserver-authentication-reader {mark}"
    )
    if "get" not in verbs:
        what = f"the {account} may not {' and '.join(verbs)} {name}: that the front proxy has changed is noticed a minute late"
        return warning("rights", what, advice)
    what = f"the {account} may not read {name}"
    if subject.overrides.tolerate_lookup_failure:
        return problem("rights", f"{what}: whoever comes through kube-apiserver is anonymous", advice)
    return problem("rights", f"{what}: the server does not start", advice)
