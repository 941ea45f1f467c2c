"""The HTTP API of Prometheus and of the stores that speak it: one POST per query, typed answers, every failure named.

Source of the protocol: prometheus/prometheus, docs/querying/api.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from backends.prometheus.settings import PrometheusSettings
from backends.rotation import contexts
from metrics_api import BackendProtocolError, BackendRefused, BackendTimeout, BackendUnavailable, Span

__all__ = ["UNREADABLE", "Elements", "NativeHistogram", "PrometheusClient", "Series", "Vector"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_INFO = "PromQL info:"
_VICTORIA_METRICS = "X-Server-Hostname"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_LARGEST_ANSWER = 1 << 30
_LARGEST_REMARK = 1 << 20
"""Bytes read of what a store says of itself."""

_UNRESOLVED = "its name cannot be resolved"

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises when a store sends something that is not the protocol."""


class NativeHistogram(msgspec.Struct):
    """A native histogram as the API writes it: ``buckets`` are ``[boundary rule, left, right, count]``."""

    count: str = "0"
    sum: str = "0"
    buckets: list[tuple[int, str, str, str]] = []


class Series(msgspec.Struct):
    """One element of a vector: a float or a native histogram."""

    metric: dict[str, str]
    value: tuple[float, str] | None = None
    histogram: tuple[float, NativeHistogram] | None = None


class _Data(msgspec.Struct):
    resultType: str = ""  # noqa: N815 the protocol's spelling
    result: list[msgspec.Raw] = []


class _Envelope(msgspec.Struct):
    status: str
    data: _Data | None = None
    errorType: str = ""  # noqa: N815 the protocol's spelling
    error: str = ""
    warnings: list[str] | None = None
    infos: list[str] | None = None


class _Samples(msgspec.Struct):
    values: list[tuple[float, str]] = []
    histograms: list[tuple[float, NativeHistogram]] = []

    @property
    def counts(self) -> list[tuple[float, str]]:
        """When each sample was taken, and its value, or how much a histogram held."""
        return [*self.values, *((moment, histogram.count) for moment, histogram in self.histograms)]


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_series = msgspec.json.Decoder(Series).decode
_decode_samples = msgspec.json.Decoder(_Samples).decode


@dataclass(frozen=True, slots=True)
class Vector:
    """The result of an instant query. ``warnings`` mean that data may be missing; remarks about the query (infos) are not among them."""

    series: list[Series]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Elements:
    """The result of a query as JSON, one text for each of its series: there may be millions, too many to decode at once."""

    texts: list[msgspec.Raw]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Call:
    """One query on its way: the part of the API it is for, what goes with it, the shape of its result, and what could make it lighter."""

    promql: str
    path: str
    parameters: Mapping[str, str]
    shape: str
    lighter: str = "fewer namespaces or a shorter window"

    @classmethod
    def at(cls, promql: str, instant: int, shape: str = "vector") -> _Call:
        return cls(promql, "/api/v1/query", {"time": str(instant)}, shape)

    @classmethod
    def over(cls, promql: str, span: Span) -> _Call:
        moments = {"start": str(span.start), "end": str(span.end), "step": str(span.step)}
        return cls(promql, "/api/v1/query_range", moments, "matrix", "fewer namespaces, a shorter time or a longer step")


class PrometheusClient:
    """Queries to one store, over one pool of connections; open and close it as an async context manager."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._signer = settings.signer() if settings.signer is not None else None
        self._url = settings.url
        self._contexts = contexts(settings.name, settings.tls)
        self._is_victoria_metrics = False

    @property
    def url(self) -> str:
        """Where the API is; of a service that knows it itself, once it is open."""
        return self._url

    @property
    def is_victoria_metrics(self) -> bool:
        """Whether the store has said that it is a VictoriaMetrics, as every answer of one does (lib/httpserver/httpserver.go there)."""
        return self._is_victoria_metrics

    async def __aenter__(self) -> Self:
        """Raises :class:`metrics_api.errors.BadConfiguration` when requests have to be signed, and there is nothing to sign with."""
        if self._signer is not None:
            self._url = await self._signer.open()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.concurrency, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=None),
            # Compressing costs a store more than sending: a quarter of the time of a large answer. Whoever pays for the network
            # configures the header.
            headers={"Accept-Encoding": "identity"},
            auto_decompress=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
            await self._contexts.close()

    async def query(self, promql: str, instant: int) -> Vector:
        """The vector of ``promql`` at ``instant`` (Unix seconds). Raises :class:`metrics_api.errors.BackendError`."""
        elements = await self.elements(promql, instant)
        return Vector(self._decoded(_decode_series, elements.texts), elements.warnings)

    async def elements(self, promql: str, instant: int) -> Elements:
        """As :meth:`query`; the caller decodes the series, and must expect :data:`UNREADABLE` from that."""
        return await self._elements(_Call.at(promql, instant))

    async def elements_over(self, promql: str, span: Span) -> Elements:
        """The matrix of ``promql`` at the instants of ``span``. Errors are those of :meth:`query`, and :data:`UNREADABLE` as above."""
        return await self._elements(_Call.over(promql, span))

    async def _elements(self, call: _Call) -> Elements:
        envelope, result = await self._result(call)
        return Elements(result, tuple(text for text in envelope.warnings or () if not text.startswith(_INFO)))

    async def sample_times(self, promql: str, instant: int) -> list[float]:
        """When the samples of the one series that ``promql``, a range selector, selects were taken; Unix seconds."""
        _, result = await self._result(_Call.at(promql, instant, "matrix"))
        series = self._decoded(_decode_samples, result)
        return [moment for moment, _ in series[0].counts] if series else []

    async def samples(self, promql: str, instant: int) -> list[list[tuple[float, str]]]:
        """The samples of each series that ``promql``, a range selector, selects: when, in Unix seconds, and what."""
        _, result = await self._result(_Call.at(promql, instant, "matrix"))
        return [series.counts for series in self._decoded(_decode_samples, result)]

    async def get(self, path: str) -> tuple[int, Mapping[str, str], bytes | bytearray]:
        """Status, headers and body of another part of the API, as in ``/api/v1/status/buildinfo``; not every store has every part.

        Raises :class:`metrics_api.errors.BackendError` when there is no answer at all.
        """
        if self._session is None:
            raise BackendUnavailable(self._settings.name, "is closed")
        asked = f"?{urlencode(self._settings.params, quote_via=quote)}" if self._settings.params else ""
        url = f"{self._url}{path}{asked}"
        async with (
            self._slots,
            self._failures(),
            self._trusting() as context,
            self._session.get(
                URL(url, encoded=True),
                ssl=context,
                headers=await self._signed("GET", url, {}, b""),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            ) as response,
        ):
            return response.status, response.headers, await response.content.read(_LARGEST_REMARK)

    def _trusting(self) -> AbstractAsyncContextManager[ssl.SSLContext | bool]:
        """Whom to trust now, and who we are to them."""
        return self._contexts.using() if self._url.startswith("https") else nullcontext(True)

    async def _signed(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """``headers`` and those that say who we are."""
        credentials = self._settings.credentials
        ours = await asyncio.to_thread(credentials.headers) if credentials.in_files else credentials.headers()
        everything = {**headers, **ours}
        return everything if self._signer is None else await self._signer.sign(method, url, everything, body)

    async def _result(self, call: _Call) -> tuple[_Envelope, list[msgspec.Raw]]:
        # Waiting for others is part of the time there is: a store that hangs is given up as soon by whoever comes second.
        async with self._failures(), asyncio.timeout(self._settings.timeout), self._slots:
            status, headers, body = await self._post(call)
        self._is_victoria_metrics = self._is_victoria_metrics or _VICTORIA_METRICS in headers
        envelope = self._envelope(call, status, headers, body)
        if envelope.status != "success":
            raise self._refused(status, envelope, call)
        if envelope.infos:
            logger.debug("source %s remarks: %s", self._settings.name, "; ".join(envelope.infos))
        data = envelope.data or _Data()
        if data.resultType != call.shape:
            what = f"a {data.resultType}" if data.resultType else "nothing"
            raise BackendProtocolError(self._settings.name, f"answered {what} where a {call.shape} was asked for")
        return envelope, data.result

    def _decoded(self, decode: Callable[[msgspec.Raw], T], texts: list[msgspec.Raw]) -> list[T]:
        try:
            return [decode(text) for text in texts]
        except UNREADABLE as error:
            raise BackendProtocolError(self._settings.name, f"answered a result that cannot be read: {error}") from error

    async def _post(self, call: _Call) -> tuple[int, Mapping[str, str], bytes | bytearray]:
        if self._session is None:
            raise BackendUnavailable(self._settings.name, "is closed")
        # VictoriaMetrics moves instant queries near now back by its latency offset, 30 s, and the instants of ranges to multiples of the
        # step, unless told not to cache. Stores that do not know the parameter ignore it.
        told = {"query": call.promql, **call.parameters}
        if self._signer is None:
            told["timeout"] = f"{self._settings.timeout}s"
        # A service that is no store of this kind need not ignore what it does not know.
        extra = {"nocache": "1"} if self._signer is None else {}
        # What is signed has to be sent as it was, byte by byte.
        form = urlencode({**extra, **self._settings.params, **told}).encode()
        url = f"{self._url}{call.path}"
        async with (
            self._trusting() as context,
            self._session.post(
                URL(url, encoded=True),
                ssl=context,
                data=form,
                headers=await self._signed("POST", url, _FORM, form),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
            ) as response,
        ):
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _LARGEST_ANSWER:
                    raise BackendProtocolError(self._settings.name, f"sent more than 1 GiB for one query; ask for {call.lighter}")
            return response.status, response.headers, body

    @asynccontextmanager
    async def _failures(self) -> AsyncIterator[None]:
        """Every failure of the transport, as the error that says what to do about it."""
        name, url = self._settings.name, self._url
        try:
            yield
        except TimeoutError as error:
            raise BackendTimeout(name, f"did not answer within {self._settings.timeout}s") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise BackendRefused(
                name, f"the certificate of {url} is not trusted; set tls.caFile to the CA that signed it"
            ) from error
        except aiohttp.ClientSSLError as error:
            raise BackendRefused(name, f"TLS with {url} failed; check tls.certFile, tls.keyFile and the port") from error
        except aiohttp.ClientConnectorError as error:
            raise BackendUnavailable(name, f"cannot be reached at {url}: {_unreached(error.os_error)}") from error
        except UnicodeError as error:
            # That is how a host fails to become a name in DNS: a part of it is empty, or too long.
            raise BackendUnavailable(name, f"cannot be reached at {url}: {_UNRESOLVED}") from error
        except aiohttp.ClientPayloadError as error:
            raise BackendProtocolError(name, "broke off in the middle of its answer") from error
        except aiohttp.ClientResponseError as error:
            raise BackendProtocolError(name, "answered something that is not HTTP") from error
        except (aiohttp.ClientError, OSError) as error:
            # In TLS 1.3 a server looks at our certificate when the handshake is over for us, and hangs up if it does not like it.
            hint = "; if it asks for a certificate of ours, check tls.certFile" if url.startswith("https") else ""
            raise BackendUnavailable(name, f"the connection to {url} failed: {type(error).__name__}{hint}") from error

    def _envelope(self, call: _Call, status: int, headers: Mapping[str, str], body: bytes | bytearray) -> _Envelope:
        name, url = self._settings.name, self._url
        if status >= 400 and self._signer is not None and (error := self._signer.explain(status, bytes(body))) is not None:
            raise error
        if status in (401, 403):
            raise BackendRefused(
                name, f"refused our credentials (HTTP {status}); check bearerTokenFile, basicAuth, headers and the tenant"
            )
        if status == 429:
            raise BackendUnavailable(name, "says we ask too much (HTTP 429)", retry_after=_retry_after(headers))
        if 300 <= status < 400:
            raise BackendRefused(name, f"redirects {url} elsewhere (HTTP {status}); set url to where the API really is")
        try:
            return _decode_envelope(body)
        except UNREADABLE as error:
            if status == 404:
                raise BackendRefused(name, f"has no query API at {url}{call.path} (HTTP 404); does url lack a prefix?") from error
            if status >= 500:
                raise BackendUnavailable(name, f"failed (HTTP {status})", retry_after=_retry_after(headers)) from error
            kind = headers.get("Content-Type", "no content type").partition(";")[0]
            truncated = body.lstrip()[:1] == b"{" and "truncated" in str(error)
            what = "half a document" if truncated else f"{kind} that is not the query API's JSON"
            raise BackendProtocolError(name, f"answered {what} (HTTP {status}); does url point to a Prometheus?") from error

    def _refused(self, status: int, envelope: _Envelope, call: _Call) -> Exception:
        name, reason = self._settings.name, envelope.errorType or f"HTTP {status}"
        # The text of an error quotes the query: it is for the log, not for whoever asked.
        logger.warning("source %s failed a query: %s: %s; query=%s", name, reason, envelope.error, call.promql)
        if envelope.errorType in ("timeout", "canceled"):
            return BackendTimeout(name, f"gave up on a query that took too long; ask for {call.lighter}")
        if envelope.errorType == "unavailable" or status >= 500:
            return BackendUnavailable(name, f"failed ({reason})")
        if "too many samples" in envelope.error:
            return BackendRefused(name, f"would have to load too many samples; ask for {call.lighter}")
        return BackendRefused(name, f"rejected a query ({reason}); the log of the server has it")


def _unreached(error: OSError) -> str:
    """Why no connection came about. What the event loop writes into the error repeats the address."""
    if isinstance(error, socket.gaierror):
        return _UNRESOLVED
    return os.strerror(error.errno) if error.errno else str(error)


def _retry_after(headers: Mapping[str, str]) -> int:
    value = headers.get("Retry-After", "")
    # client-go repeats a request ten times after that long: what a store asks of us is too long for a person.
    return min(max(int(value), 1), 5) if value.isdecimal() else 1
