"""Examining the cluster: everything that can be looked at is looked at, at the same time, within a deadline, whatever hangs."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterable

from apiservice.checkup import places
from apiservice.checkup.account import account_of, as_deployed
from apiservice.checkup.bundle import Bundle, bundle_of, mending
from apiservice.checkup.certificate import certificate_findings, reach_findings
from apiservice.checkup.contact import clock_findings, skew_of, version_findings
from apiservice.checkup.doors import doors_of
from apiservice.checkup.frontproxy import CONFIG_MAP_PLACE, front_proxy_findings
from apiservice.checkup.handshake import shown_at
from apiservice.checkup.passage import DISCOVERY, LIST, Reply, passage_findings
from apiservice.checkup.plugin import failed, hanging, plugin_of
from apiservice.checkup.readers import ROLES_PLACE, reader_findings
from apiservice.checkup.registration import followed, port_of, registration_findings
from apiservice.checkup.replicas import Behind, deployment_of, replica_findings
from apiservice.checkup.rights import absent_resources, needed_rights, refused_rights, rights_findings, unmade_secret
from apiservice.checkup.sight import Document, Unseen, look, unseen
from apiservice.checkup.subject import OWN, Subject
from apiservice.checkup.verdicts import NAME, ok, problem, warning
from apiservice.clock import SYSTEM_CLOCK, Clock
from apiservice.kube import KubeClient, KubeError
from metrics_api.diagnosis import Diagnosis, Finding
from metrics_api.errors import BadConfiguration

__all__ = ["examine_cluster"]

logger = logging.getLogger(__name__)

_DEADLINE = 12.0
"""Seconds for everything."""

_PATIENCE = 4.0
"""Seconds for one call of kube-apiserver."""

_WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_CALL = re.compile(r"^(GET|POST) \S+: (\d{3}[^:]*: )?")
_CONNECT = re.compile(r"Cannot connect to host \S+ ssl:\S+ \[(.*)\]")
"""How aiohttp begins what the system says."""

_NO_WAY = "is the address right, and is there a way to it? NetworkPolicies and firewalls may be in between"


async def examine_cluster(subject: Subject, clock: Clock = SYSTEM_CLOCK) -> Diagnosis:
    """What is found in the cluster of a server. Whatever is wrong is a finding; nothing is raised."""
    examination = _Examination(subject, clock)
    try:
        async with asyncio.timeout(_DEADLINE):
            await examination.run()
    except TimeoutError:
        examination.say([examination.unfinished()])
    except BadConfiguration as error:
        examination.say([problem("reach", error.message, "correct kubernetes.kubeconfig, or give --kubeconfig FILE")])
    except Exception as error:
        # Somebody who looks for what is wrong is not helped by a traceback; the log has it, at -v 1.
        logger.warning("the cluster cannot be examined", exc_info=error)
        examination.say([problem("reach", f"the examination failed ({type(error).__name__})", "-v 1 tells more")])
    return examination.diagnosis


class _Examination:
    """What is known so far."""

    def __init__(self, subject: Subject, clock: Clock) -> None:
        self._subject = subject
        self._clock = clock
        self._summary = "cannot be looked at"
        self._facts: dict[str, str | float] = {}
        self._findings: list[Finding] = []
        self._plugin = plugin_of(subject.kubeconfig)
        self._host = ""
        self._reached = False

    @property
    def diagnosis(self) -> Diagnosis:
        return Diagnosis(NAME, self._summary, self._facts, tuple(self._findings))

    def say(self, findings: Iterable[Finding]) -> None:
        self._findings += findings

    def unfinished(self) -> Finding:
        """What it means that the time was over: nothing was looked at, or not all."""
        if self._reached:
            what = f"the examination was not over after {_DEADLINE:g}s, and what is said here is not all"
            return warning("time", what, "is kube-apiserver overloaded?")
        if self._plugin and not self._host:
            return hanging(self._plugin, self._subject.kubeconfig, _DEADLINE)
        if self._host:
            return problem("reach", f"kube-apiserver at {self._host} did not answer within {_DEADLINE:g}s", _NO_WAY)
        return problem("reach", f"the credentials could not be loaded within {_DEADLINE:g}s", "is this machine overloaded?")

    async def run(self) -> None:
        async with KubeClient.connect(self._subject.kubeconfig, call_timeout=_PATIENCE) as kube:
            self._host = kube.host
            if self._plugin and not kube.identified:
                self.say([failed(self._plugin, self._subject.kubeconfig)])
            elif await self._reach(kube):
                await self._look(kube)

    async def _reach(self, kube: KubeClient) -> bool:
        """Whether kube-apiserver answers at all; otherwise there is one thing to say."""
        self._summary, self._facts["url"] = f"kube-apiserver at {kube.host}", kube.host
        start, before = time.perf_counter(), self._clock.now()
        try:
            version, date = await kube.get_dated("/version")
        except KubeError as error:
            self.say([_unreachable(error, kube.host, self._subject)])
            return False
        self._reached = True
        milliseconds, after = round(1000 * (time.perf_counter() - start)), self._clock.now()
        name = str(version.get("gitVersion", ""))
        self._summary = f"Kubernetes {name} at {kube.host}, answered in {milliseconds} ms"
        self._facts |= {"version": name, "milliseconds": milliseconds}
        self.say(version_findings(version))
        if not kube.verifies:
            what = "the kubeconfig has insecure-skip-tls-verify: whoever poses as kube-apiserver decides who may read what"
            self.say([warning("reach", what, "take it out, and give certificate-authority-data")])
        skew = skew_of(date, before, after)
        if skew is not None:
            self._facts["clockSkewSeconds"] = round(skew, 1)
        self.say(clock_findings(skew))
        return True

    async def _look(self, kube: KubeClient) -> None:
        (me, refusal), own_seen = await asyncio.gather(_who_am_i(kube), look(kube, places.api_service(OWN)))
        if refusal:
            # Anybody may read /version; that nobody believes us shows only now, and would be said of every hop behind.
            self.say([_unreachable(refusal, kube.host, self._subject)])
            return
        subject, said = followed(self._subject, own_seen)
        self.say(said)
        wanted = [
            places.service(subject),
            places.slices(subject),
            places.deployments(subject),
            places.budgets(subject),
            CONFIG_MAP_PLACE,
            ROLES_PLACE,
            *(places.api_service(name) for name in subject.registered if name != OWN),
        ]
        (discovery, listed), seen = await asyncio.gather(
            asyncio.gather(_reply(kube, DISCOVERY), _reply(kube, LIST)),
            asyncio.gather(*(look(kube, place) for place in wanted)),
        )
        service, slices, deployments, budgets, config_map, roles, *others = seen
        registered = [own_seen, *others]
        own = own_seen if isinstance(own_seen, dict) else None
        behind = Behind(service, slices, deployments, budgets, port_of(own) if own else None)
        deployment = deployment_of(behind)
        subject, account = as_deployed(subject, deployment, own), account_of(deployment, me, subject)
        self._facts |= {"user": me, "account": account.user} if me else {"account": account.user}
        now, mend = self._clock.now(), mending(subject, own)
        for name, api_service in zip(subject.registered, registered, strict=True):
            self.say(registration_findings(name, api_service, subject, now))
        self.say(replica_findings(behind, subject))
        self.say(passage_findings(discovery, listed, me or "this user", subject, mend))
        self.say(front_proxy_findings(config_map, subject.overrides, now))
        self.say(reader_findings(roles, subject))
        refused, _ = await asyncio.gather(
            refused_rights(kube, needed_rights(subject), account, me),
            self._knock(subject, behind, own, mend, arrived=discovery.code == 200),
        )
        self.say(unseen([own_seen, *seen, *([refused] if isinstance(refused, Unseen) else [])], f'"{me}"' if me else "this user"))
        if not isinstance(refused, Unseen):
            absent, secret = await asyncio.gather(absent_resources(kube, refused), unmade_secret(kube, refused, subject))
            self.say(rights_findings(refused, account, subject, absent, secret))

    async def _knock(self, subject: Subject, behind: Behind, own: Document | None, mend: str, *, arrived: bool) -> None:
        """Look at the certificates that are served; ``arrived`` is whether kube-apiserver gets through."""
        bundle: Bundle | None = bundle_of(own) if own else None
        doors = doors_of(subject, behind)
        if not doors:
            what = "the certificate itself was not looked at: the pods cannot be reached from here"
            advice = (
                f"kubectl port-forward -n {subject.namespace} svc/{subject.service} 6443:443, and --server-address 127.0.0.1:6443;"
                " or run the doctor in the pod"
            )
            self.say([ok("certificate", what, advice)])
            return
        shown = await asyncio.gather(*(shown_at(*door, subject.host, bundle.pem if bundle else "") for door in doors))
        self.say(reach_findings(shown, arrived=arrived))
        self.say(certificate_findings(shown, subject.host, bundle, mend, self._clock.now()))


def _unreachable(error: KubeError, host: str, subject: Subject) -> Finding:
    told = _CONNECT.sub(r"\1", _CALL.sub("", error.message).replace(f"kube-apiserver at {host}", "it"))
    with_file = f" --kubeconfig {subject.kubeconfig}" if subject.kubeconfig else ""
    if error.status == 401:
        return problem("reach", f"it does not know who we are: {told}", "renew the credentials in the kubeconfig")
    if error.status:
        return problem("reach", f"it answers {error.status}: {told}", f"kubectl{with_file} get --raw /version")
    if "credentials" in told:
        return problem("reach", told, f"kubectl{with_file} get --raw /version asks in the same way, and says more")
    if "TLS connection" in told:
        advice = "give the authority of this cluster: certificate-authority-data in the kubeconfig"
        return problem("reach", told.replace("; check the certificate authority in the kubeconfig", ""), advice)
    return problem("reach", told, _NO_WAY)


async def _who_am_i(kube: KubeClient) -> tuple[str, KubeError | None]:
    """Our name, "" where kube-apiserver does not tell (before Kubernetes 1.28); and its word if it does not take our credentials."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await kube.post_json(_WHO_AM_I, body)
    except KubeError as error:
        return "", error if error.status == 401 else None
    return str(((answer.get("status") or {}).get("userInfo") or {}).get("username") or ""), None


async def _reply(kube: KubeClient, path: str) -> Reply:
    start = time.perf_counter()
    try:
        await kube.get_json(path, {"limit": "1"} if path == LIST else {})
    except KubeError as error:
        # An answer that cannot be read is none, whatever its code: a page to log in at is sent with 200.
        return Reply(0 if error.status == 200 else error.status, _CALL.sub("", error.message).strip())
    return Reply(200, milliseconds=round(1000 * (time.perf_counter() - start)))
