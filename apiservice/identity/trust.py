"""Whom the cluster trusts, as ConfigMap ``kube-system/extension-apiserver-authentication`` and the flags that override it say.

kube-apiserver publishes there the authority of client certificates, the one of the front proxy, and how the front proxy says whom it
speaks for. The three are taken each on its own, as Kubernetes' delegating servers do: one that cannot be read keeps its last good
value, and does not hold up the rotation of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from apiservice.identity.pool import Pool
from apiservice.identity.requestheader import FrontProxy

__all__ = ["CONFIG_MAP", "Trust", "TrustOverrides", "combined"]

CONFIG_MAP = "ConfigMap kube-system/extension-apiserver-authentication"

T = TypeVar("T")


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

    @property
    def complete(self) -> bool:
        """Whether nothing of the ConfigMap is used."""
        return self.skip_lookup or bool(self.client_ca_file and self.requestheader_client_ca_file)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed at one moment; None where nobody is trusted."""

    clients: Pool | None = None
    front_proxy: FrontProxy | None = None

    def __str__(self) -> str:
        clients = "client certificates" if self.clients else "no client certificates"
        if self.front_proxy is None:
            return f"{clients}, no front proxy"
        return f"{clients}, front proxies named {', '.join(self.front_proxy.allowed_names) or 'anything'}"

    @property
    def authorities(self) -> str:
        """Every authority, PEM: whom the TLS handshake accepts certificates from. "" when there is none."""
        pools = (self.clients, self.front_proxy.pool if self.front_proxy else None)
        return "".join(pool.pem for pool in pools if pool)


class _Manner(NamedTuple):
    """How a front proxy says whom it speaks for: the fields of :class:`FrontProxy` after the first, in their order."""

    allowed_names: tuple[str, ...]
    username_headers: tuple[str, ...]
    uid_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]


def combined(found: Mapping[str, str] | None, overrides: TrustOverrides, before: Trust) -> tuple[Trust, list[str]]:
    """What the data of a ConfigMap (None: there is none) and the overrides say together, and what of it cannot be read.

    An authority that is gone from the ConfigMap stays trusted, as in Kubernetes.
    """
    problems: list[str] = []

    def part(read: Callable[[], T], kept: T) -> T:
        try:
            return read()
        except (OSError, ValueError) as error:
            problems.append(str(error))
            return kept

    clients, proxy = before.clients, before.front_proxy
    pool = proxy.pool if proxy else None
    manner = _manner_of(proxy) if proxy else None
    trust = Trust(
        part(lambda: _clients(found, overrides, clients), clients),
        _front_proxy(
            part(lambda: _proxies(found, overrides, pool), pool),
            part(lambda: _manner(found, overrides, manner), manner),
        ),
    )
    return trust, problems


def _front_proxy(pool: Pool | None, manner: _Manner | None) -> FrontProxy | None:
    """Nobody is believed on the word of a front proxy before both are known: which certificates it has, and how it speaks."""
    return None if pool is None or manner is None else FrontProxy(pool, *manner)


def _clients(found: Mapping[str, str] | None, overrides: TrustOverrides, before: Pool | None) -> Pool | None:
    if overrides.client_ca_file:
        return _pool_of_file(overrides.client_ca_file, "--client-ca-file", before)
    return _pool_of_key(found, "client-ca-file", before)


def _proxies(found: Mapping[str, str] | None, overrides: TrustOverrides, before: Pool | None) -> Pool | None:
    if overrides.requestheader_client_ca_file:
        return _pool_of_file(overrides.requestheader_client_ca_file, "--requestheader-client-ca-file", before)
    return _pool_of_key(found, "requestheader-client-ca-file", before)


def _manner(found: Mapping[str, str] | None, overrides: TrustOverrides, before: _Manner | None) -> _Manner | None:
    if overrides.requestheader_client_ca_file:
        return _Manner(
            overrides.requestheader_allowed_names,
            overrides.requestheader_username_headers,
            overrides.requestheader_uid_headers,
            overrides.requestheader_group_headers,
            overrides.requestheader_extra_headers_prefix,
        )
    if found is None:
        return before
    return _Manner(
        _strings(found, "requestheader-allowed-names"),
        _strings(found, "requestheader-username-headers"),
        _strings(found, "requestheader-uid-headers"),
        _strings(found, "requestheader-group-headers"),
        _strings(found, "requestheader-extra-headers-prefix"),
    )


def _manner_of(proxy: FrontProxy) -> _Manner:
    return _Manner(proxy.allowed_names, proxy.username_headers, proxy.uid_headers, proxy.group_headers, proxy.extra_prefixes)


def _pool_of_key(found: Mapping[str, str] | None, key: str, before: Pool | None) -> Pool | None:
    pem = found.get(key, "") if found else ""
    return _pool(pem, f"{key} in {CONFIG_MAP}", before) if pem else before


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
        raise ValueError(f"{key} in {CONFIG_MAP} is no JSON list of strings: {error}") from error
