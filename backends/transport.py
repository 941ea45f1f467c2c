"""How sources are reached: whom we trust, and who we are to them. Shared by every source that is asked over HTTP."""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from metrics_api import BackendError, BackendRefused
from metrics_api.document import Node
from metrics_api.forms import BOOLEAN, FILE, SECRET, TEXT, absent_secret, is_file, named
from metrics_api.keys import Form, key, keys_of, names_of, read_keys

__all__ = [
    "KEYS",
    "Credentials",
    "Signer",
    "TlsSettings",
    "read_credentials",
    "read_tls",
    "require_host",
    "require_no_user",
    "url_like",
]

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_AUTHORIZATION = "Authorization"
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
            headers[_AUTHORIZATION] = f"Bearer {self._secret(self.bearer_token_file)}"
        elif self.username:
            pair = f"{self.username}:{self._secret(self.password_file) if self.password_file else ''}"
            headers[_AUTHORIZATION] = f"Basic {b64encode(pair.encode()).decode()}"
        return headers

    def _secret(self, path: str) -> str:
        where = named(path, "the file that is configured")
        try:
            secret = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            # A ValueError is of text that is not UTF-8, or of a path that can be none.
            raise BackendRefused(self.source, f"the credentials in {where} cannot be read") from error
        if not secret:
            # Somebody may be let in without, as somebody else.
            raise BackendRefused(self.source, f"the credentials in {where} are empty")
        if any(ord(character) < 32 for character in secret):
            raise BackendRefused(self.source, f"the credentials in {where} are not one line of text")
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
    _require_each_once(entries)
    return Credentials(source=name, **told)


def _require_each_once(entries: Mapping[str, Node]) -> None:
    """Report headers that would be sent twice, of which a server takes whichever it likes. Their names are the same in any case."""
    givers = {_AUTHORIZATION.lower(): each for each in ("bearerTokenFile", "basicAuth") if each in entries}
    for mapping, header, node in _given(entries):
        giver = givers.setdefault(header.lower(), mapping)
        if giver != mapping:
            node.problem(f'header "{header}" is what "{giver}" gives: it would be sent twice')


def _given(entries: Mapping[str, Node]) -> Iterator[tuple[str, str, Node]]:
    """The headers of both mappings: the key of the mapping, the name of the header and where it is written."""
    for mapping in ("headers", "headerFiles"):
        given = entries[mapping].value if mapping in entries else None
        if isinstance(given, dict):
            yield from ((mapping, header, node) for header, node in given.items() if _HEADER_NAME.fullmatch(header))


def read_tls(entries: Mapping[str, Node]) -> TlsSettings:
    """TLS settings from the ``entries`` of a source; files that do not exist are problems."""
    tls = entries["tls"].mapping(names_of(keys_of(TlsSettings))) if "tls" in entries else {}
    if "keyFile" in tls and "certFile" not in tls:
        tls["keyFile"].problem('"certFile" is missing beside it')
    made = TlsSettings(**read_keys(TlsSettings, tls))
    if all(map(is_file, made.files)):
        try:
            made.context()
        except OSError as error:
            entries["tls"].problem(
                f"the files are no PEM certificates with the key that belongs to them: {error.strerror or error}"
            )
    return made


def require_no_user(text: str, advice: str, what: str = "an address") -> None:
    """ValueError when ``text`` has a user in it, and with that a password, which no message repeats; ``advice`` says what to do."""
    if "@" in text:
        raise ValueError(f"credentials do not belong into {what}, which is logged: {advice}")


def require_host(host: str, wrong: str) -> None:
    """ValueError, with the message ``wrong``, when nobody could ever look up a host: a part of its name is empty or too long."""
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{wrong}: a part of the name between its dots is empty, or longer than 63 characters") from error


def url_like(text: str, example: str, *, advice: str, query: str) -> str:
    """The URL of a source, without a slash at the end. ValueError when ``text`` is none; what may be a secret is not in its message.

    ``advice`` says where credentials go, and ``query`` where parameters do.
    """
    # An "@" in a path is refused as well: where a password has a slash in it, nobody knows where the path begins.
    require_no_user(text, f'{advice}; an "@" of a path is written %40', "a URL")
    if "?" in text or "#" in text:
        raise ValueError(f'a URL of a source ends before "?" or "#": {query}')
    wrong = f'"{text}" is not a URL such as {example}'
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(wrong) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(wrong)
    require_host(parts.hostname, wrong)
    return text.rstrip("/")


def _headers(node: Node) -> dict[str, str]:
    headers: dict[str, str] = {}
    seen: dict[str, str] = {}
    for name, value in node.mapping().items():
        begins = _HEADER_NAME.match(name)
        if begins is None or begins[0] != name:
            # "Authorization: Bearer ..." within quotes is a name, with the secret in it.
            told = f'what begins with "{begins[0]}"' if begins is not None else "what is written there"
            node.problem(f"{told} is not a header name: that has no blanks and no colon")
            continue
        if (other := seen.setdefault(name.lower(), name)) != name:
            value.problem(f'header "{name}" is "{other}": it would be sent twice')
        headers[name] = value.text()
        if any(ord(character) < 32 for character in headers[name]):
            node.problem(f'the value of header "{name}" holds control characters')
    return headers


def _header_files(node: Node) -> dict[str, str]:
    headers = _headers(node)
    for name, file in headers.items():
        if not is_file(file):
            absent_secret(node.mapping()[name], file)
    return headers
