"""Keeping a certificate of our own: every ten seconds all replicas look at the Secret and at their APIServices, and mend what is due.

The order makes the API available throughout: whom clients have to trust comes first, a new leaf is served when that was seen to be so for
a while, and what nobody can serve with any more is taken out last. Each step is one write that only the first replica succeeds with.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509

from apiservice.certificates import certificate_pem, key_pem, service_names
from apiservice.clock import SYSTEM_CLOCK, Clock
from apiservice.issuance.contents import Contents, Found, read_contents
from apiservice.issuance.memory import PairInMemory
from apiservice.issuance.registration import Bystanders, Registration
from apiservice.issuance.renewal import Rivals, renewal
from apiservice.issuance.store import IssuanceFailed, Overtaken, Store
from apiservice.kube import KubeClient, KubeError
from apiservice.settings import KubernetesSettings, ServerSettings

__all__ = ["PERIOD", "SETTLING", "Issuer", "issuing"]

PERIOD = 10.0
"""Seconds between two looks, give or take a tenth, so that replicas do not all look at once."""

SETTLING = 5.0
"""Seconds that an authority has to be in every ``caBundle`` before a leaf of it is served: kube-apiservers learn of it one by one."""

_ATTEMPTS = 5
"""Looks in a row when others write at the same time; each time one of them is done."""

_NOTABLE = 3
"""Failures in a row that are worth a line: a kube-apiserver that is restarted causes one or two, and is back."""

logger = logging.getLogger(__name__)


class Issuer:
    """One replica's part. ``names`` are those the leaf has to be for; ``changed`` is set when there is a new one to serve."""

    def __init__(self, store: Store, names: Sequence[str], clock: Clock) -> None:
        self._store = store
        self._names = names
        self._clock = clock
        self._memory = PairInMemory()
        self._bystanders = Bystanders()
        self._rivals = Rivals()
        self._trusted_since: dict[x509.Certificate, float] | None = {}
        self._told: dict[str, str] = {}
        self._seen = False
        self._failures = 0
        self._trouble: str | None = "the Secret and the APIServices have not been looked at yet"
        self.serving: Contents | None = None
        self.changed = asyncio.Event()

    def files(self) -> tuple[Path, Path]:
        """Certificate and key as files, for whoever can read nothing else; those of an older pair are taken away."""
        return self._memory.files()

    def close(self) -> None:
        """Take the files away."""
        self._memory.close()

    def trouble(self) -> str | None:
        """The health check: why clients may not trust the certificate, or may soon have none to trust; None when all is well."""
        return self._trouble

    async def start(self) -> None:
        """The first look, after which there is a pair to serve with; :class:`IssuanceFailed` when something cannot be read or written."""
        if failures := await self._look_in_turn():
            raise failures[0]

    async def keep(self) -> None:
        """Look again and again, for ever; what fails is told, leaves the pair in use, and is tried again."""
        while True:
            await self._clock.sleep(PERIOD * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load, guards nothing
            await self.look()

    async def look(self) -> None:
        """Look once, and mend what is due."""
        try:
            failures: Sequence[IssuanceFailed] = await self._look_in_turn()
        except IssuanceFailed as error:
            failures = [error]
        except Exception as error:  # noqa: BLE001 - the pair that is served is good, whatever somebody has written
            what = f"{self._store.title} and the APIServices of {', '.join(self._store.names)} cannot be looked after"
            failures = [IssuanceFailed(f"{what}, which is a mistake of this server: {type(error).__name__}: {error}")]
            failures[0].__cause__ = error
        if failures:
            self._trouble = failures[0].message
        elif self._failures >= _NOTABLE:
            logger.info("the serving certificate is looked after again")
        self._failures = self._failures + 1 if failures else 0
        if self._failures == _NOTABLE:
            told = "; ".join(failure.message for failure in failures)
            unforeseen = next((each.__cause__ for each in failures if not isinstance(each.__cause__, KubeError | None)), None)
            logger.warning("the serving certificate stays as it is: %s", told, exc_info=unforeseen)

    async def _look_in_turn(self) -> Sequence[IssuanceFailed]:
        """Look until nobody else has written meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                return await self._look_at_all()
            except Overtaken as error:
                logger.debug("looking again: %s", error)
        return [IssuanceFailed(f"{self._store.title} and the APIServices of {', '.join(self._store.names)} are never left alone")]

    async def _look_at_all(self) -> Sequence[IssuanceFailed]:
        """What could not be done for some of the APIServices. The Secret is read first: bundles may be ahead of it, not behind."""
        document = await self._store.secret()
        found = Found() if document is None else read_contents(document.get("data") or {})
        registrations, failures = await self._registrations()
        ours = [each for each in registrations if not each.left]
        now = self._clock.now()
        bundled = [authority for each in ours for authority in each.trusts]
        due = renewal(found, self._names, now, bundled=bundled, serving=self._still_served(now))
        contents = due.contents if due else found.contents
        assert contents is not None  # noqa: S101 renewal would have made it
        if failures and due and due.contents.authority is not found.authority:
            # It goes beside whom clients trust now, and that has to be known.
            raise failures[0]
        if due:
            if self._rivals.prevail(found, due, self._clock.monotonic()):
                raise IssuanceFailed(
                    f"{self._store.title} was renewed by somebody else each time that this server had done it, and is left alone for an"
                    f" hour: is a clock wrong, or is it the Secret of another server, too? Here it is {now:%Y-%m-%d %H:%M} UTC, and"
                    f" {'; '.join(due.reasons)}"
                )
            await self._store.write(document, due.contents)
            self._rivals.note(found, due, self._clock.monotonic())
            self._tell_written(document is None, due.reasons, due.contents)
        self._seen = True
        bundles: list[tuple[x509.Certificate, ...]] = []
        for registration in ours:
            try:
                bundles.append(await self._kept(registration, contents.trusted, mended=due is None))
            except IssuanceFailed as error:
                bundles.append(registration.trusts)
                failures.append(error)
        self._note_trusted(bundles, complete=not failures)
        self._take(contents)
        troubles = [failure.message for failure in failures] + [_untrusted(each, contents) for each in registrations if each.left]
        self._trouble = next(filter(None, troubles), None)
        return failures

    async def _registrations(self) -> tuple[list[Registration], list[IssuanceFailed]]:
        """The APIServices there are, and what could not be read of them."""
        read: list[Registration] = []
        failures: list[IssuanceFailed] = []
        for name in self._store.names:
            try:
                registration = await self._store.registration(name)
            except IssuanceFailed as error:
                failures.append(error)
                continue
            if registration is None:
                self._bystanders.forget(name)
                self._tell_once(logging.INFO, name, "it is not there yet, and gets its caBundle when it is")
                continue
            if registration.left:
                level = logging.WARNING if registration.here else logging.INFO
                self._tell_once(level, name, f"its caBundle is left alone: {registration.left}")
            else:
                self._told.pop(name, None)
            read.append(registration)
        return read, failures

    async def _kept(
        self, registration: Registration, trusted: Sequence[x509.Certificate], *, mended: bool
    ) -> tuple[x509.Certificate, ...]:
        """Whom clients trust by an APIService, once it says what it has to; ``mended`` is whether it should have said so before."""
        bundle = self._bystanders.bundle(registration, trusted, self._clock.now(), self._clock.monotonic())
        if bundle is None:
            return registration.trusts
        await self._store.register(registration, bundle)
        lacking = mended and registration.bundle and not set(trusted) <= set(registration.trusts)
        logger.log(
            logging.WARNING if lacking else logging.INFO,
            "APIService %s: its caBundle %s %s",
            registration.name,
            "lacked an authority and was mended: clients trust" if lacking else "was written: clients trust",
            _listed(trusted),
        )
        return tuple(trusted)

    def _note_trusted(self, bundles: Sequence[Iterable[x509.Certificate]], *, complete: bool) -> None:
        """Remember since when authorities are in all bundles; an APIService that could not be read or written says nothing new."""
        elapsed = self._clock.monotonic()
        if not bundles:
            self._trusted_since = self._trusted_since if not complete else None
            return
        common = set.intersection(*(set(bundle) for bundle in bundles))
        before = self._trusted_since or {}
        self._trusted_since = {each: before.get(each, elapsed) for each in common if complete or each in before}

    def _take(self, contents: Contents) -> None:
        """Serve with these, if they are new and clients trust them; at once when there is nothing valid to serve with.

        A server that has just been started may do so: requests come to it only when it was found ready.
        """
        if self.serving is not None and contents.leaf[0] == self.serving.leaf[0]:
            return
        since = self._trusted_since
        elapsed = self._clock.monotonic()
        trusted = since is None or elapsed - since.get(contents.authority[0], elapsed) >= SETTLING
        if trusted or self._still_served(self._clock.now()) is None:
            self._memory.put(certificate_pem(contents.leaf[0]), key_pem(contents.leaf))
            self.serving = contents
            self.changed.set()

    def _still_served(self, now: dt.datetime) -> x509.Certificate | None:
        """The authority of the leaf that is served, as long as anybody accepts that."""
        if self.serving is None or now > self.serving.leaf[0].not_valid_after_utc:
            return None
        return self.serving.authority[0]

    def _tell_written(self, new: bool, reasons: Sequence[str], contents: Contents) -> None:  # noqa: FBT001 told at one place
        gone = new and self._seen
        logger.log(
            logging.WARNING if gone else logging.INFO,
            "%s was %s: %s; the certificate is valid until %s, and clients have to trust %s",
            self._store.title,
            "gone, and was made anew" if gone else "made" if new else "renewed",
            "; ".join(reasons),
            f"{contents.leaf[0].not_valid_after_utc:%Y-%m-%d}",
            _listed(contents.trusted),
        )

    def _tell_once(self, level: int, name: str, text: str) -> None:
        if self._told.get(name) != text:
            self._told[name] = text
            logger.log(level, "APIService %s: %s", name, text)


def _untrusted(registration: Registration, contents: Contents) -> str:
    """What is wrong with an APIService whose bundle others fill in, or ""."""
    if not registration.here or contents.authority[0] in registration.trusts:
        return ""
    return f"APIService {registration.name} does not hold the authority of the serving certificate; {registration.left}"


def _listed(authorities: Iterable[x509.Certificate]) -> str:
    return ", ".join(authority.subject.rfc4514_string() for authority in authorities)


@asynccontextmanager
async def issuing(
    server: ServerSettings, kubernetes: KubernetesSettings, groups: Iterable[str], clock: Clock = SYSTEM_CLOCK
) -> AsyncIterator[Issuer]:
    """An issuer that has a pair; ``groups`` are the groups served, as ``group/version``. Raises :class:`IssuanceFailed`."""
    names = tuple(f"{version}.{group}" for group, _, version in (each.partition("/") for each in groups))
    async with KubeClient.connect(kubernetes.kubeconfig) as kube:
        store = Store(kube, server.service_namespace, server.cert_secret, server.service_name, names)
        issuer = Issuer(store, service_names(server.service_name, server.service_namespace), clock)
        try:
            await issuer.start()
            yield issuer
        finally:
            issuer.close()
