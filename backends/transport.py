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
from metrics_api.forms import BOOLEAN, FILE, SECRET, TEXT
from metrics_api.keys import Form, key, keys_of, names_of, read_keys

__all__ = ["KEYS", "Credentials", "Signer", "TlsSettings", "read_credentials", "read_tls"]

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADERS: Form[Mapping[str, str]] = Form(
    "a mapping", {"type": "object", "additionalProperties": {"type": "string"}}, lambda node, _: _headers(node), dict
)
_HEADER_FILES: Form[Mapping[str, str]] = Form("a mapping to files", _HEADERS.schema, lambda node, _: _header_files(node), dict)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How a source is verified, and what we show it. Files are PEM; empty is not set.

    ``skip_verify`` turns verification off.
    """

    ca_file: str = field(
        default="", metadata=key("PEM file of the authorities that are trusted", FILE, otherwise="those of the system")
    )
    cert_file: str = field(default="", metadata=key("PEM file of the certificate we show, where one is asked for", FILE))
    key_file: str = field(default="", metadata=key("PEM file of its key, where `certFile` does not hold it, too", FILE))
    skip_verify: bool = field(
        default=False,
        metadata=key("`true`: believe whoever answers", BOOLEAN, "insecureSkipVerify"),
    )

    @property
    def files(self) -> tuple[str, ...]:
        """The files there are."""
        return tuple(filter(None, (self.ca_file, self.cert_file, self.key_file)))

    def context(self) -> ssl.SSLContext:
        """A client context; verification is on unless it was switched off. Raises OSError for files it cannot be made of."""
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file or None, password=_no_password)
        if self.skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _no_password() -> str:
    """The answer to OpenSSL, which would ask at the terminal for the password of an encrypted key."""
    raise ssl.SSLError("the key is encrypted, and there is nobody to ask for its password: give one that is not")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to a source. Files are read for each request, because tokens are rotated in place."""

    source: str = ""
    fixed: Mapping[str, str] = field(
        default_factory=dict,
        repr=False,
        metadata=key("sent with every question: `{X-Scope-OrgID: team-a}`", _HEADERS, "headers"),
    )
    header_files: Mapping[str, str] = field(
        default_factory=dict, metadata=key("the same, with values read from files", _HEADER_FILES)
    )
    bearer_token_file: str = field(default="", metadata=key("file of a bearer token", SECRET))
    username: str = field(
        default="",
        metadata=key("name of a user, instead of a bearer token", TEXT, "basicAuth.username", required=True),
    )
    password_file: str = field(default="", metadata=key("file of the user's password", SECRET, "basicAuth.passwordFile"))

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
        if not secret:
            # Somebody may be let in without, as somebody else.
            raise BackendRefused(self.source, f'the credentials in "{path}" are empty')
        if any(ord(character) < 32 for character in secret):
            raise BackendRefused(self.source, f'the credentials in "{path}" are not one line of text')
        return secret


KEYS = (*names_of(keys_of(Credentials)), "tls")
"""The keys of a source that are read here."""


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
    if "bearerTokenFile" in entries and "basicAuth" in entries:
        node.problem('give "bearerTokenFile" or "basicAuth", not both')
    told = read_keys(Credentials, entries)
    if told.get("username") == "":
        entries["basicAuth"].problem('"username" is empty: nothing would be sent')
    return Credentials(source=name, **told)


def read_tls(entries: Mapping[str, Node]) -> TlsSettings:
    """TLS settings from the ``entries`` of a source; files that do not exist are problems."""
    tls = entries["tls"].mapping(names_of(keys_of(TlsSettings))) if "tls" in entries else {}
    if "keyFile" in tls and "certFile" not in tls:
        tls["keyFile"].problem('"certFile" is missing beside it')
    made = TlsSettings(**read_keys(TlsSettings, tls))
    if all(Path(file).is_file() for file in made.files):
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


def _header_files(node: Node) -> dict[str, str]:
    headers = _headers(node)
    for name, file in headers.items():
        if not Path(file).is_file():
            node.mapping()[name].remark(f'there is no file "{file}" here; without it nothing is asked')
    return headers
