"""Whom the cluster trusts: the ConfigMap ``kube-system/extension-apiserver-authentication``, read again every minute.

kube-apiserver publishes there the authority of client certificates, the one of the front proxy, and how the front proxy says whom it
speaks for. Authorities are rotated by changing it, so what was read once is not true for ever; what cannot be read later leaves the
last good values in place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from apiservice.clock import Clock
from apiservice.identity.pool import Pool
from apiservice.identity.requestheader import FrontProxy
from apiservice.kube import KubeError
from metrics_api.errors import TrafficError

__all__ = ["Reader", "Trust", "TrustOverrides", "TrustSource", "TrustUnreadable"]

_PATH = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
_PERIOD = 60.0
_BIND_HINT = (
    "let this server read it: kubectl create rolebinding trafficmetrics-auth-reader -n kube-system"
    " --role=extension-apiserver-authentication-reader --serviceaccount=NAMESPACE:SERVICEACCOUNT"
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrustOverrides:
    """Values given by flags of the same names, for clusters whose ConfigMap is missing or wrong.

    A CA file replaces what the ConfigMap says about its side; with ``requestheader_client_ca_file`` the names and headers here replace
    those of the ConfigMap too. ``skip_lookup`` never reads the ConfigMap; ``tolerate_lookup_failure`` lets the server start when it
    cannot be read, which may turn every user into an anonymous one.
    """

    client_ca_file: str = ""
    requestheader_client_ca_file: str = ""
    requestheader_allowed_names: tuple[str, ...] = ()
    requestheader_username_headers: tuple[str, ...] = ("X-Remote-User",)
    requestheader_uid_headers: tuple[str, ...] = ()
    requestheader_group_headers: tuple[str, ...] = ("X-Remote-Group",)
    requestheader_extra_headers_prefix: tuple[str, ...] = ("X-Remote-Extra-",)
    skip_lookup: bool = False
    tolerate_lookup_failure: bool = False


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed at one moment; None where nobody is trusted."""

    clients: Pool | None = None
    front_proxy: FrontProxy | None = None

    @property
    def authorities(self) -> str:
        """Every authority, PEM: whom the TLS handshake accepts certificates from. "" when there is none."""
        pools = (self.clients, self.front_proxy.pool if self.front_proxy else None)
        return "".join(pool.pem for pool in pools if pool)


class TrustUnreadable(TrafficError):
    """What the cluster trusts cannot be found out; the message says why and what to do."""


class Reader(Protocol):
    """Whom the ConfigMap is read from."""

    async def get_json(self, path: str) -> dict[str, Any]:
        """The document at a path; raises :class:`apiservice.kube.KubeError`."""
        ...


class TrustSource:
    """The current :class:`Trust`, empty until :meth:`read` has succeeded."""

    def __init__(self, kube: Reader, overrides: TrustOverrides, clock: Clock) -> None:
        self._kube = kube
        self._overrides = overrides
        self._clock = clock
        self._current = Trust()

    @property
    def current(self) -> Trust:
        """What is believed now. The same object for as long as nothing changes."""
        return self._current

    async def read(self) -> None:
        """Read everything once; on failure the values stay and :class:`TrustUnreadable` is raised.

        A cluster without the ConfigMap is tolerated: it may appear later.
        """
        found = await self._lookup()
        try:
            trust = await asyncio.to_thread(_trust, found, self._overrides, self._current)
        except (OSError, ValueError) as error:
            raise TrustUnreadable(str(error)) from error
        if trust != self._current:
            logger.info("trusted authorities were read: %s", _summary(trust))
            self._current = trust

    async def start(self) -> None:
        """The first reading: fatal, unless it may be tolerated."""
        try:
            await self.read()
        except TrustUnreadable as error:
            if not self._overrides.tolerate_lookup_failure:
                raise
            logger.warning("going on without knowing whom the cluster trusts; users may count as anonymous: %s", error)
        if self._current.front_proxy is None:
            logger.warning("no front proxy is trusted: requests that come through kube-apiserver will count as anonymous")

    async def keep_reading(self) -> None:
        """Read again every minute, for ever; a failure is logged and changes nothing."""
        while True:
            await self._clock.sleep(_PERIOD)
            try:
                await self.read()
            except TrustUnreadable as error:
                logger.warning("the authorities read before stay in use: %s", error)

    async def _lookup(self) -> Mapping[str, str] | None:
        """The data of the ConfigMap; None when it does not exist or is not needed."""
        overrides = self._overrides
        if overrides.skip_lookup or (overrides.client_ca_file and overrides.requestheader_client_ca_file):
            return None
        try:
            data = (await self._kube.get_json(_PATH)).get("data")
        except KubeError as error:
            if error.status == 404:
                logger.warning("ConfigMap kube-system/extension-apiserver-authentication does not exist")
                return None
            hint = f"; {_BIND_HINT}" if error.status == 403 else ""
            raise TrustUnreadable(
                f"ConfigMap kube-system/extension-apiserver-authentication cannot be read: {error}{hint}"
            ) from error
        return data if isinstance(data, dict) else {}


def _trust(found: Mapping[str, str] | None, overrides: TrustOverrides, before: Trust) -> Trust:
    """What a ConfigMap and the overrides say together. An authority that is gone from the ConfigMap stays trusted, as in Kubernetes.

    Raises OSError or ValueError with a message that names the culprit.
    """
    clients: Pool | None
    if overrides.client_ca_file:
        clients = _pool_of_file(overrides.client_ca_file, "--client-ca-file", before.clients)
    else:
        clients = _pool_of_key(found, "client-ca-file", before.clients)

    known = before.front_proxy
    if overrides.requestheader_client_ca_file:
        return Trust(
            clients,
            FrontProxy(
                _pool_of_file(
                    overrides.requestheader_client_ca_file, "--requestheader-client-ca-file", known.pool if known else None
                ),
                overrides.requestheader_allowed_names,
                overrides.requestheader_username_headers,
                overrides.requestheader_uid_headers,
                overrides.requestheader_group_headers,
                overrides.requestheader_extra_headers_prefix,
            ),
        )
    if found is None:
        return Trust(clients, known)
    pool = _pool_of_key(found, "requestheader-client-ca-file", known.pool if known else None)
    if pool is None:
        return Trust(clients, None)
    return Trust(
        clients,
        FrontProxy(
            pool,
            _strings(found, "requestheader-allowed-names"),
            _strings(found, "requestheader-username-headers"),
            _strings(found, "requestheader-uid-headers"),
            _strings(found, "requestheader-group-headers"),
            _strings(found, "requestheader-extra-headers-prefix"),
        ),
    )


def _pool_of_key(found: Mapping[str, str] | None, key: str, before: Pool | None) -> Pool | None:
    pem = found.get(key, "") if found else ""
    return _pool(pem, f"{key} in ConfigMap kube-system/extension-apiserver-authentication", before) if pem else before


def _pool_of_file(file: str, flag: str, before: Pool | None) -> Pool:
    try:
        pem = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise OSError(f"{flag} {file} cannot be read: {error.strerror}") from error
    return _pool(pem, f"{flag} {file}", before)


def _pool(pem: str, place: str, before: Pool | None) -> Pool:
    try:
        pool = Pool.parse(pem)
    except ValueError as error:
        raise ValueError(f"{place} holds no usable PEM certificates: {error}") from error
    # The pool known already has verified certificates in it.
    return before if before is not None and before.pem == pool.pem else pool


def _strings(found: Mapping[str, str], key: str) -> tuple[str, ...]:
    text = found.get(key, "")
    if not text:
        return ()
    try:
        # Go reads null as an empty list.
        return tuple(msgspec.json.decode(text, type=list[str] | None) or ())
    except msgspec.DecodeError as error:
        raise ValueError(
            f"{key} in ConfigMap kube-system/extension-apiserver-authentication is no JSON list of strings: {error}"
        ) from error


def _summary(trust: Trust) -> str:
    proxy = trust.front_proxy
    clients = "client certificates" if trust.clients else "no client certificates"
    if proxy is None:
        return f"{clients}, no front proxy"
    return f"{clients}, front proxies named {', '.join(proxy.allowed_names) or 'anything'}"
