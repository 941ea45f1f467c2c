"""Whom the cluster lets speak for others: ConfigMap ``kube-system/extension-apiserver-authentication``, as the server would read it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping

from cryptography import x509

from apiservice.checkup.bundle import SOON, authorities_in, day
from apiservice.checkup.sight import Document, Place, Seen, Unseen
from apiservice.checkup.verdicts import ok, problem, warning
from apiservice.identity.trust import CONFIG_MAP, Trust, TrustOverrides, combined
from metrics_api.diagnosis import Finding

__all__ = ["CONFIG_MAP_PLACE", "front_proxy_findings"]

CONFIG_MAP_PLACE = Place(
    CONFIG_MAP,
    "get on configmaps in kube-system",
    "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
)
_START = "start kube-apiserver with --requestheader-client-ca-file and --proxy-client-cert-file, or set requestheaderClientCaFile"
_NAMES = "start kube-apiserver with --requestheader-allowed-names=front-proxy-client, or what its --proxy-client-cert-file is named"


def front_proxy_findings(seen: Seen, overrides: TrustOverrides, now: dt.datetime) -> Iterator[Finding]:
    """What is to be said of whom the server believes, given the ConfigMap and what is configured in its place."""
    if isinstance(seen, Unseen) and not overrides.complete:
        return
    data = _data(seen)
    trust, problems = combined(None if overrides.skip_lookup else data, overrides, Trust())
    for told in problems:
        yield problem("frontproxy", told, "correct it: kubectl edit cm -n kube-system extension-apiserver-authentication")
    proxy = trust.front_proxy
    if proxy is None:
        if not problems:
            there = "does not exist" if seen is None and not overrides.complete else "names no authority of a front proxy"
            yield problem("frontproxy", f"{CONFIG_MAP} {there}: whoever comes through kube-apiserver is anonymous", _START)
        return
    authorities = authorities_in(proxy.pool.pem.encode())
    last = max(authority.not_valid_after_utc for authority in authorities)
    if last < now:
        yield problem("frontproxy", f"the authority of the front proxy ended on {day(last)}", _renewal(authorities))
    elif not proxy.username_headers:
        what = f"requestheader-username-headers in {CONFIG_MAP} is empty: nobody can be named"
        yield problem("frontproxy", what, "start kube-apiserver with --requestheader-username-headers=X-Remote-User")
    elif not proxy.allowed_names and trust.clients and set(authorities) & set(authorities_in(trust.clients.pem.encode())):
        what = (
            "front proxy and clients have one authority, and any common name is a front proxy's: every client may pose as anybody"
        )
        yield problem("frontproxy", what, _NAMES)
    elif last - now < SOON:
        yield warning("frontproxy", f"the authority of the front proxy ends on {day(last)}", _renewal(authorities))
    else:
        names = ", ".join(proxy.allowed_names) or "anything"
        yield ok("frontproxy", f"front proxies named {names} are believed, whose authority ends on {day(last)}")


def _data(seen: Seen) -> Mapping[str, str] | None:
    document: Document = seen if isinstance(seen, Mapping) else {}
    data = document.get("data")
    return data if isinstance(data, dict) else None


def _renewal(authorities: tuple[x509.Certificate, ...]) -> str:
    """The authority is where kube-apiserver is, if kubeadm made the cluster; elsewhere it is the provider's."""
    return f"renew {authorities[-1].subject.rfc4514_string()} (kubeadm: /etc/kubernetes/pki/front-proxy-ca.crt), and publish both meanwhile"
