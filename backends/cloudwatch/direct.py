"""HTTP to AWS, and to nobody else: the SDK would follow a redirect, with the tokens of our session, to wherever it leads."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession

__all__ = ["DirectSession"]


class DirectSession(AIOHTTPSession):
    """As that of the SDK (aio-libs/aiobotocore, aiobotocore/httpsession.py), but a redirect is an answer."""

    async def _get_session(self, proxy_url: str | None) -> _Direct:
        return _Direct(await super()._get_session(proxy_url))  # type: ignore[misc]  # types-aiobotocore leaves it out


class _Direct:
    """A session of aiohttp, as far as it is used there."""

    __slots__ = ("_session",)

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, **options: Any) -> aiohttp.ClientResponse:
        """The answer to a request, whatever it is."""
        return await self._session.request(method, allow_redirects=False, **options)
