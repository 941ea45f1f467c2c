"""What a surface must be: one protocol of other readers, on paths of its own, over the same answers."""

from __future__ import annotations

from typing import ClassVar, Protocol

from aiohttp import web

from apiservice.requestinfo import RequestInfo

__all__ = ["Surface"]


class Surface(Protocol):
    """One protocol. Whoever asks has been authenticated, and authorised for the request itself, before a surface sees it.

    What a request is *about* is another matter: a surface reads through :class:`apiservice.surfaces.reading.Reader`, which authorises the
    user for every part of the API that the answer is made of.
    """

    reads_timeout: ClassVar[bool]
    """Whether it understands the parameter ``timeout`` itself; for others the app does, as Kubernetes writes it."""

    def claims(self, info: RequestInfo) -> bool:
        """Whether a resource request is one for this surface, well-formed or not."""
        ...

    async def respond(self, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        """The response; raises what :mod:`apiservice.status` knows. The user is ``request[USER]``, the body has been read and is small."""
        ...
