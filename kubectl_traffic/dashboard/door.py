"""The door the browser comes in by: a small server on loopback that knows who was sent, lets nobody but them read, and nobody write.

Other users and programs of the machine reach loopback as well, and so does every web page the browser shows. So the address has a secret
in it, names other than loopback's are refused (a foreign name may be made to point here), and what is not a plain question of this page
is not passed on. The page itself can load and ask nothing but what comes from here.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qsl

from kubectl_traffic.dashboard.proxy import ProxyGone, Reply
from metrics_api.resources import GROUP, RESOURCE_TYPES, VERSION

__all__ = ["Door"]

HOST = "127.0.0.1"
_NAME = r"(?!\.\.?(?:/|$))(?:[A-Za-z0-9._~-]|%40|%3A)+"
_KINDS = "|".join(["trafficmetrics", *(row.plural for row in RESOURCE_TYPES)])
_QUESTION = re.compile(rf"apis/{re.escape(GROUP)}/{VERSION}/(?:namespaces/{_NAME}/)?(?:{_KINDS})(?:/{_NAME}(?:/edges)?)?")
_PARAMETERS = frozenset({"window", "includeIdle", "fieldSelector"})
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types traffic",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TEXT = "text/plain; charset=utf-8"


class Door:
    """The server. ``files`` are those of the page by name: content type and content; ``session`` is what it is told of its beginning.

    ``ask`` puts a question to the API and may raise :class:`kubectl_traffic.dashboard.proxy.ProxyGone`. A context manager: it listens in
    between. Raises OSError for a ``port`` that is taken; 0 is any free one.
    """

    def __init__(
        self, port: int, files: Mapping[str, tuple[str, bytes]], session: Mapping[str, str], ask: Callable[[str], Reply]
    ) -> None:
        self._files = files
        self._session = json.dumps(session).encode()
        self._place = session.get("place", "")
        self._ask = ask
        self._secret = secrets.token_urlsafe(24)
        self._ticket = secrets.token_urlsafe(24)
        self._lock = Lock()
        self._server = _Server((HOST, port), self)
        self._own_names = frozenset(f"{name}:{self.port}" for name in (HOST, "localhost"))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address of the page, with its secret: for its user's eyes."""
        return f"http://{HOST}:{self.port}/{self._secret}/"

    @property
    def ticket(self) -> str:
        """An address that leads to the page once: command lines, such as that of a browser, can be read by other users."""
        return f"http://{HOST}:{self.port}/open/{self._ticket}"

    def respond(self, target: str, headers: Mapping[str, str]) -> Reply:
        """The response to a GET."""
        if headers.get("Host", "") not in self._own_names:
            return _refusal(HTTPStatus.FORBIDDEN, f"This is {HOST}:{self.port}, and answers to no other name.")
        path, _, query = target.partition("?")
        first, slash, rest = path.removeprefix("/").partition("/")
        if first == "open":
            return self._enter(rest)
        if not slash or not compare_digest(first.encode(), self._secret.encode()):
            return _refusal(HTTPStatus.NOT_FOUND, "Open the address that kubectl traffic dashboard has printed.")
        if (file := self._files.get(rest or "index.html")) is not None:
            return Reply(HTTPStatus.OK, (("Content-Type", file[0]),), file[1])
        # What browsers say of a request that another page made. Old ones say nothing, and have no answer to read either.
        if headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return _refusal(HTTPStatus.FORBIDDEN, "Only the page itself may ask.")
        if rest == "session":
            return Reply(HTTPStatus.OK, (("Content-Type", "application/json"),), self._session)
        return self._question(rest, query)

    def _enter(self, ticket: str) -> Reply:
        with self._lock:
            good = bool(self._ticket) and compare_digest(ticket.encode(), self._ticket.encode())
            if good:
                self._ticket = ""
        if not good:
            return _refusal(
                HTTPStatus.NOT_FOUND, "This address was good once. Open the one that kubectl traffic dashboard has printed."
            )
        return Reply(HTTPStatus.SEE_OTHER, (("Location", f"/{self._secret}/{self._place}"),), b"")

    def _question(self, path: str, query: str) -> Reply:
        names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        if not _QUESTION.fullmatch(path) or not names <= _PARAMETERS:
            return _refusal(HTTPStatus.FORBIDDEN, "This is no question of this page.")
        try:
            return self._ask(f"/{path}?{query}" if query else f"/{path}")
        except ProxyGone as gone:
            return _refusal(HTTPStatus.BAD_GATEWAY, str(gone))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], door: Door) -> None:
        self.door = door
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away needs no traceback on its user's terminal."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "kubectl-traffic"
    sys_version = ""
    timeout = 120

    def do_GET(self) -> None:
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        self._send(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 as the base class has it
        """The terminal is its user's; the paths hold the secret."""

    def _send(self, *, with_body: bool) -> None:
        # Twice the same header is what no browser sends: nothing of such a request is believed.
        headers = {
            name: value for name in ("Host", "Sec-Fetch-Site") if (value := _only(self.headers.get_all(name, []))) is not None
        }
        reply = self.server.door.respond(self.path, headers)
        self.send_response(reply.status)
        for name, value in (*reply.headers, *_SECURITY.items(), ("Content-Length", str(len(reply.body)))):
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(reply.body)


def _only(values: Iterable[str]) -> str | None:
    found = list(values)
    return None if not found else found[0] if len(found) == 1 else ""


def _refusal(status: HTTPStatus, sentence: str) -> Reply:
    return Reply(status, (("Content-Type", _TEXT),), f"{sentence}\n".encode())
