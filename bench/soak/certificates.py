"""Where the serving certificate comes from, and how it changes: mounted files that somebody else renews, or a Secret the server keeps."""

from __future__ import annotations

import base64
import shutil
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from kube import Kube
from processes import LOOPBACK, UNVERIFIED

from tests.controlplane.pki import Authority
from tests.controlplane.plane import NAMESPACE, SERVICE_HOST

__all__ = ["Certificates", "Issued", "Mounted"]

_SECRET = "trafficmetrics-issued"
_EACH = 3
"""One renewal in so many is of the authority, too."""


class Certificates(Protocol):
    """A way to have a serving certificate; ``settings`` are the keys of section ``server`` that choose it."""

    settings: Mapping[str, str]

    def context(self) -> ssl.SSLContext:
        """For those who ask the server itself."""
        ...

    async def bundle(self) -> bytes:
        """Whom clients have to trust, PEM, once the server runs."""
        ...

    async def renew(self) -> None:
        """Let there be another certificate."""
        ...

    async def spoil(self) -> None:
        """Let there be a pair that is none."""
        ...


class Mounted:
    """Files, replaced as a kubelet replaces a mounted Secret: a link to a folder, in one step."""

    def __init__(self, directory: Path) -> None:
        self._authority = Authority("serving-ca")
        self._directory = directory
        self._number = 0
        self._replace(broken=False)
        mounted = directory / "mounted"
        self.settings: Mapping[str, str] = {"tlsCertFile": str(mounted / "tls.crt"), "tlsPrivateKeyFile": str(mounted / "tls.key")}

    def context(self) -> ssl.SSLContext:
        """Verifies."""
        return ssl.create_default_context(cadata=self._authority.certificate.decode())

    async def bundle(self) -> bytes:
        """The authority."""
        return self._authority.certificate

    async def renew(self) -> None:
        """Mount a new pair."""
        self._replace(broken=False)

    async def spoil(self) -> None:
        """Mount a certificate with the key of another one."""
        self._replace(broken=True)

    def _replace(self, *, broken: bool) -> None:
        self._number += 1
        names = (SERVICE_HOST, "localhost", LOOPBACK)
        pair, other = self._authority.server(*names), self._authority.server(*names)
        folder = self._directory / f"pair-{self._number}"
        folder.mkdir(parents=True)
        (folder / "tls.crt").write_bytes(pair.certificate)
        (folder / "tls.key").write_bytes(other.key if broken else pair.key)
        link = self._directory / "next"
        link.symlink_to(folder)
        link.replace(self._directory / "mounted")
        if self._number > 2:
            shutil.rmtree(self._directory / f"pair-{self._number - 2}", ignore_errors=True)


class Issued:
    """The Secret in which the server keeps what it has made. Those who ask it directly verify nothing; kube-apiserver does."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._number = 0
        self._path = f"/api/v1/namespaces/{NAMESPACE}/secrets/{_SECRET}"
        self.settings: Mapping[str, str] = {"certSecret": _SECRET, "serviceNamespace": NAMESPACE}

    def context(self) -> ssl.SSLContext:
        """Lets everybody be the server: whom to trust changes all the time."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = UNVERIFIED.check_hostname, UNVERIFIED.verify_mode
        return context

    async def bundle(self) -> bytes:
        """What the server has made."""
        found = await self._kube.send("GET", self._path)
        return base64.b64decode(found["data"]["ca.crt"])

    async def renew(self) -> None:
        """Take the certificate out, so that the server has to make one; each third time the authority, too."""
        self._number += 1
        authority = dict.fromkeys(("ca.crt", "ca.key")) if self._number % _EACH == 0 else {}
        # A Secret of this type has to have these two.
        await self._kube.merge(self._path, {"data": {"tls.crt": "", "tls.key": "", **authority}})

    async def spoil(self) -> None:
        """Put something in the place of the key."""
        await self._kube.merge(self._path, {"data": {"tls.key": base64.b64encode(b"no key").decode()}})
