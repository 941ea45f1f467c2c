"""One scrape over HTTP: the text a target exposes, or one short reason why there is none."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Self

import aiohttp

from backends.rotation import contexts
from backends.scrape.settings import ScrapeSettings
from backends.scrape.targets import Target
from metrics_api import BackendRefused

__all__ = ["Fetcher", "ScrapeFailed", "Text"]

_LARGEST = 64 << 20
"""Bytes of text read from one target, unpacked. The largest proxies expose some tens of megabytes."""

_ACCEPT = "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1"
_LARGEST_DOCUMENT = 1 << 20
"""Bytes read of what a target says of itself."""

_UNRESOLVED = "its name cannot be resolved"
_OPEN_METRICS = "application/openmetrics-text"
_OTHER_KINDS = ("text/html", "application/json", "application/vnd.google.protobuf", "image/")


class ScrapeFailed(Exception):
    """A target gave nothing; the message says why, without naming it."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a target exposes."""

    body: bytes
    open_metrics: bool


class Fetcher:
    """HTTP to all targets of a source, over one pool of connections; open and close it as an async context manager."""

    def __init__(self, settings: ScrapeSettings) -> None:
        self._settings = settings
        self._contexts = contexts(settings.name, settings.tls)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.concurrency),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            headers={"Accept": _ACCEPT, "Accept-Encoding": "gzip", "User-Agent": "trafficmetrics"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
            await self._contexts.close()

    async def fetch(self, target: Target) -> Text:
        """The text of one target. :class:`ScrapeFailed` when there is none."""
        with self._failures():
            return await self._get(target)

    async def document(self, target: Target, path: str) -> bytes:
        """What a target has at another path than that of its metrics. :class:`ScrapeFailed` when it has nothing there."""
        with self._failures():
            async with self._got(f"{target.scheme}://{target.address}{path}") as response:
                if response.status != 200:
                    raise ScrapeFailed(f"it answered HTTP {response.status}")
                return await response.content.read(_LARGEST_DOCUMENT)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Every failure of the transport, as the reason it is for."""
        try:
            yield
        except TimeoutError:
            raise ScrapeFailed(f"no answer within {self._settings.timeout:g}s") from None
        except BackendRefused as error:
            raise ScrapeFailed(error.message.removeprefix(f'source "{self._settings.name}": ')) from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise ScrapeFailed("its certificate is not trusted; set tls.caFile to the CA that signed it") from error
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise ScrapeFailed("TLS failed; check scheme, tls.certFile, tls.keyFile and the port") from error
        except aiohttp.ClientConnectorError as error:
            raise ScrapeFailed(_unreached(error.os_error)) from error
        except UnicodeError as error:
            # That is how a host fails to become a name in DNS: a part of it is empty, or too long.
            raise ScrapeFailed(_UNRESOLVED) from error
        except aiohttp.ClientPayloadError as error:
            raise ScrapeFailed("it broke off in the middle of its answer") from error
        except aiohttp.ClientResponseError as error:
            raise ScrapeFailed("it answered something that is not HTTP") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ScrapeFailed(f"the connection failed ({type(error).__name__})") from error

    def _session_open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise ScrapeFailed("the source is closed")
        return self._session

    @asynccontextmanager
    async def _got(self, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """What is answered to who we are now, by whom we trust now."""
        headers = await self._credentials()
        trusting = self._contexts.using() if url.startswith("https") else nullcontext(True)
        async with (
            trusting as context,
            self._session_open().get(url, headers=headers, ssl=context, allow_redirects=False) as answer,
        ):
            yield answer

    async def _credentials(self) -> Mapping[str, str]:
        credentials = self._settings.credentials
        return await asyncio.to_thread(credentials.headers) if credentials.in_files else credentials.headers()

    async def _get(self, target: Target) -> Text:
        async with self._got(target.url) as response:
            if response.status in (401, 403):
                raise ScrapeFailed(f"it refused our credentials (HTTP {response.status})")
            if response.status != 200:
                raise ScrapeFailed(f"it answered HTTP {response.status}; is {target.path.partition('?')[0]} the right path?")
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind.startswith(_OTHER_KINDS):
                raise ScrapeFailed(f"it answered {kind}, which is not Prometheus' text format; is the path right?")
            pieces: list[bytes] = []
            size = 0
            async for piece in response.content.iter_any():
                pieces.append(piece)
                size += len(piece)
                if size > _LARGEST:
                    raise ScrapeFailed(f"it sent more than {_LARGEST >> 20} MiB; a path with a filter sends less")
            return Text(b"".join(pieces), kind == _OPEN_METRICS)


def _unreached(error: OSError) -> str:
    """Why no connection came about. What the event loop writes into the error repeats the address."""
    if isinstance(error, socket.gaierror):
        return _UNRESOLVED
    return os.strerror(error.errno) if error.errno else str(error)
