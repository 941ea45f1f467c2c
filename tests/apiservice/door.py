"""A real TLS server that tells its clients who they are: our serving context and our authenticator, nothing else."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from apiservice.clock import Clock
from apiservice.identity import Authenticator, Trust, Unauthorized, User
from apiservice.serving import SERVER_LIMITS, ServingTLS
from tests.doubles.authority import SERVER, Authority, Credential

__all__ = ["Asked", "Door", "NoTokens", "Trusting", "open_door", "pems"]


class Asked(NamedTuple):
    """What came back: the HTTP status, and the identity the server found."""

    status: int
    user: dict[str, Any]

    @property
    def name(self) -> str | None:
        """The user's name; None when nobody was found."""
        return self.user.get("name")


@dataclass(slots=True)
class Trusting:
    """A trust source a test writes to."""

    current: Trust


class NoTokens:
    """A server without token reviews."""

    async def user(self, token: str) -> User:
        """Refuse."""
        raise Unauthorized(f"no token is reviewed here, {len(token)} characters or not")


@dataclass(slots=True)
class Door:
    """The running server. ``tls`` is its serving context, ``authority`` the one that signed its certificate."""

    url: str
    tls: ServingTLS
    authority: Authority
    directory: Path

    def client_context(self, credential: Credential | None = None) -> ssl.SSLContext:
        """TLS of a client that trusts the server, and shows ``credential`` if it has one."""
        context = ssl.create_default_context(cadata=self.authority.pem)
        if credential is not None:
            context.load_cert_chain(*credential.save(self.directory, "client"))
        return context

    async def ask(
        self, credential: Credential | None = None, headers: Mapping[str, str] | Sequence[tuple[str, str]] = (), path: str = "/"
    ) -> Asked:
        """One request over one new connection."""
        connector = aiohttp.TCPConnector(ssl=self.client_context(credential))
        async with (
            aiohttp.ClientSession(connector=connector, trust_env=False) as session,
            session.get(self.url + path, headers=headers) as answer,
        ):
            return Asked(answer.status, await answer.json() if answer.status == 200 else {})


@asynccontextmanager
async def open_door(
    authenticator: Authenticator, trusting: Trusting, clock: Clock, directory: Path, authority: Authority | None = None
) -> AsyncIterator[Door]:
    """Serve on a free port of loopback."""
    authority = authority or Authority("serving-ca")
    files = authority.issue("localhost", usage=(SERVER,), names=("localhost", "127.0.0.1")).save(directory, "serving")
    tls = ServingTLS(lambda: files, lambda: trusting.current.authorities, clock)

    async def answer(request: web.Request) -> web.Response:
        try:
            user = await authenticator.authenticate(request)
        except Unauthorized as error:
            return web.Response(status=401, text=error.message)
        found = {"name": user.name, "uid": user.uid, "groups": user.groups, "extra": dict(user.extra)}
        return web.json_response(found)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, **SERVER_LIMITS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.context).start()
        yield Door(f"https://127.0.0.1:{runner.addresses[0][1]}", tls, authority, directory)
    finally:
        await runner.cleanup()


def pems(*authorities: Authority) -> str:
    """A trust bundle."""
    return "".join(authority.pem for authority in authorities)
