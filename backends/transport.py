"""How sources are reached: whom we trust, and who we are to them. Shared by every source that is asked over HTTP."""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from metrics_api import BackendError, BackendRefused
from metrics_api.document import Node

__all__ = ["KEYS", "Credentials", "Signer", "TlsSettings", "read_credentials", "read_tls"]

KEYS = ("headers", "headerFiles", "bearerTokenFile", "basicAuth", "tls")
"""The keys of a source that are read here."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How a source is verified, and what we show it. Files are PEM; empty is not set.

    ``skip_verify`` turns verification off.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    skip_verify: bool = False

    def context(self) -> ssl.SSLContext:
        """A client context; verification is on unless it was switched off."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file or None)
        if self.skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to a source. Files are read for each request, because tokens are rotated in place."""

    source: str = ""
    fixed: Mapping[str, str] = field(default_factory=dict, repr=False)
    header_files: Mapping[str, str] = field(default_factory=dict)
    bearer_token_file: str = ""
    username: str = ""
    password_file: str = ""

    @property
    def in_files(self) -> bool:
        """Whether :meth:`headers` reads files, which blocks."""
        return bool(self.header_files or self.bearer_token_file or self.password_file)

    def headers(self) -> dict[str, str]:
        """The headers to send; :class:`BackendRefused` names a file that cannot be read."""
        headers = dict(self.fixed)
        headers |= {name: self._secret(path) for name, path in self.header_files.items()}
        if self.bearer_token_file:
            headers["Authorization"] = f"Bearer {self._secret(self.bearer_token_file)}"
        elif self.username:
            pair = f"{self.username}:{self._secret(self.password_file) if self.password_file else ''}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        return headers

    def _secret(self, path: str) -> str:
        try:
            secret = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BackendRefused(self.source, f'the credentials in "{path}" cannot be read') from error
        if any(ord(character) < 32 for character in secret):
            raise BackendRefused(self.source, f'the credentials in "{path}" are not one line of text')
        return secret


class Signer(Protocol):
    """Who we are to a service that wants each request signed, and knows itself best where it is and why it refuses."""

    async def open(self) -> str:
        """Find what to sign with, and return the URL of the service, without a slash at the end.

        Raises :class:`metrics_api.errors.BadConfiguration` with what to do when there is nothing to sign with.
        """
        ...

    async def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """The headers to send: those given, and those that sign them. ``url`` and ``body`` are to be sent just as they are given here.

        Raises :class:`metrics_api.errors.BackendError` when credentials cannot be renewed, or the URL is not one of the service.
        """
        ...

    def explain(self, status: int, body: bytes) -> BackendError | None:
        """The error that an answer of an HTTP status from 400 on stands for; None where it says nothing of its own."""
        ...


def read_credentials(node: Node, entries: Mapping[str, Node], name: str) -> Credentials:
    """Credentials from the ``entries`` of a source called ``name``; mistakes go to the problems of ``node`` and its entries."""
    basic = entries["basicAuth"].mapping(("username", "passwordFile"), required=("username",)) if "basicAuth" in entries else {}
    if "bearerTokenFile" in entries and basic:
        node.problem('give "bearerTokenFile" or "basicAuth", not both')
    return Credentials(
        source=name,
        fixed=_headers(entries["headers"]) if "headers" in entries else {},
        header_files=_headers(entries["headerFiles"]) if "headerFiles" in entries else {},
        bearer_token_file=entries["bearerTokenFile"].text() if "bearerTokenFile" in entries else "",
        username=basic["username"].text() if "username" in basic else "",
        password_file=basic["passwordFile"].text() if "passwordFile" in basic else "",
    )


def read_tls(entries: Mapping[str, Node]) -> TlsSettings:
    """TLS settings from the ``entries`` of a source; files that do not exist are problems."""
    tls = entries["tls"].mapping(("caFile", "certFile", "keyFile", "insecureSkipVerify")) if "tls" in entries else {}
    if "keyFile" in tls and "certFile" not in tls:
        tls["keyFile"].problem('"certFile" is missing beside it')
    for key in ("caFile", "certFile", "keyFile"):
        if key in tls and not Path(tls[key].text()).is_file():
            tls[key].problem(f'there is no file "{tls[key].text()}"')
    files = {key: tls[key].text() if key in tls else "" for key in ("caFile", "certFile", "keyFile")}
    made = TlsSettings(
        ca_file=files["caFile"],
        cert_file=files["certFile"],
        key_file=files["keyFile"],
        skip_verify=tls["insecureSkipVerify"].boolean(default=False) if "insecureSkipVerify" in tls else False,
    )
    if all(Path(file).is_file() for file in files.values() if file):
        try:
            made.context()
        except OSError as error:
            entries["tls"].problem(
                f"the files are no PEM certificates with the key that belongs to them: {error.strerror or error}"
            )
    return made


def _headers(node: Node) -> dict[str, str]:
    headers = node.text_mapping()
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            node.problem(f'"{name}" is not a header name')
        if any(ord(character) < 32 for character in value):
            node.problem(f'the value of header "{name}" holds control characters')
    return headers
