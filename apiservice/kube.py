"""The few Kubernetes calls the server makes, as plain JSON.

Credentials, kubeconfig files, in-cluster tokens and proxies are the business of the ``kubernetes`` package (its asyncio client); its
typed models are not used.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import aiohttp
import msgspec

from apiservice.kubesession import Session, load
from metrics_api.errors import BadConfiguration, TrafficError

__all__ = ["Event", "KubeClient", "KubeError", "RawEvent"]

_PAUSE = 10.0
"""Seconds that credentials are not loaded again for after they were, whatever came of it."""

_LONGEST_QUOTE = 300
_LARGEST_EVENT = 8 * 1024 * 1024
"""Bytes of one watch event; what a cluster keeps for one object is a fraction of that (etcd takes 1.5 MiB)."""

logger = logging.getLogger(__name__)


class KubeError(TrafficError):
    """kube-apiserver refused a call, or could not be reached.

    ``status`` is that of HTTP, 0 without an answer. ``retry_after`` is in seconds, None when the server does not say. ``reset`` tells
    that the connection broke under the call.
    """

    def __init__(self, status: int, message: str, *, retry_after: float | None = None, reset: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.reset = reset

    @property
    def transient(self) -> bool:
        """Whether the same call may well succeed in a moment (``k8s.io/apiserver/pkg/util/webhook``, DefaultShouldRetry)."""
        return self.reset or self.retry_after is not None or self.status in (429, 500, 504)


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a watched collection: ``ADDED``, ``MODIFIED`` or ``DELETED``, and the object after it."""

    type: str
    object: dict[str, Any]


class RawEvent(msgspec.Struct, frozen=True):
    """One event of a watch whose object is still the JSON that was sent: also ``BOOKMARK``, when it was asked for."""

    type: str
    object: msgspec.Raw


class _Status(msgspec.Struct):
    """What kube-apiserver says of a failure (``k8s.io/apimachinery/pkg/apis/meta/v1``, Status)."""

    message: str = ""
    code: int = 0


class _Call(NamedTuple):
    """One call; as text, the way it is named in errors."""

    method: str
    path: str
    params: Mapping[str, str]
    accept: str
    body: Mapping[str, Any] | None = None
    content_type: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class _Answer(NamedTuple):
    """What a call was answered, and when, in the words of the header ``Date``."""

    content: bytes
    date: str


class KubeClient:
    """A connection pool of its own to one kube-apiserver; made by :meth:`connect`.

    Credentials that run out (a token file, an exec plugin, a client certificate) are noticed by the first 401 and loaded again.
    """

    def __init__(self, kubeconfig: str, session: Session, call_timeout: float, clock: Callable[[], float]) -> None:
        self._kubeconfig = kubeconfig
        self._call_timeout = call_timeout
        self._session = session
        self._clock = clock
        self._loaded = clock()
        self._renewal: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, kubeconfig: str, *, call_timeout: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> AsyncIterator[Self]:
        """A client for the cluster of a kubeconfig file, or for the cluster this process runs in when ``kubeconfig`` is empty.

        No call takes longer than ``call_timeout`` seconds, even if credentials have to be loaded again for it. Nothing is sent yet.
        Raises :class:`metrics_api.errors.BadConfiguration` when the file or the service account cannot be used.
        """
        client = cls(kubeconfig, await load(kubeconfig), call_timeout, clock)
        try:
            yield client
        finally:
            await client._close()

    async def _close(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
        await self._session.close()

    @property
    def host(self) -> str:
        """The URL of kube-apiserver."""
        return self._session.host

    @property
    def verifies(self) -> bool:
        """Whether it is made sure that it is this cluster's kube-apiserver: a kubeconfig may say otherwise."""
        return self._session.verifies

    @property
    def identified(self) -> bool:
        """Whether there are credentials: a plugin that fails leaves none, and is otherwise only logged."""
        return self._session.identified

    async def get_json(
        self, path: str, params: Mapping[str, str] | None = None, *, accept: str = "application/json"
    ) -> dict[str, Any]:
        """GET a document. ``path`` is percent-encoded, ``params`` are not. Raises :class:`KubeError`."""
        call = _Call("GET", path, params or {}, accept)
        return _document(call, (await self._call(call)).content)

    async def get_dated(self, path: str) -> tuple[dict[str, Any], str]:
        """GET a document, and the moment it was sent as the answer's ``Date`` has it, "" without one. Raises :class:`KubeError`."""
        call = _Call("GET", path, {}, "application/json")
        answer = await self._call(call)
        return _document(call, answer.content), answer.date

    async def get_bytes(self, path: str, params: Mapping[str, str], *, accept: str) -> bytes:
        """GET a document as it is sent, for whoever decodes only a part of it. Raises :class:`KubeError`."""
        return (await self._call(_Call("GET", path, params, accept))).content

    async def post_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST a document and return the answer. Raises :class:`KubeError`."""
        return await self._sent_json(_Call("POST", path, {}, "application/json", body))

    async def put_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """PUT a document in the place of another and return the answer. Raises :class:`KubeError`."""
        return await self._sent_json(_Call("PUT", path, {}, "application/json", body))

    async def patch_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge ``body`` into a document (RFC 7396) and return the whole of it. Raises :class:`KubeError`."""
        return await self._sent_json(_Call("PATCH", path, {}, "application/json", body, "application/merge-patch+json"))

    async def _sent_json(self, call: _Call) -> dict[str, Any]:
        return _document(call, (await self._call(call)).content)

    async def watch(self, path: str, params: Mapping[str, str], lifetime: float) -> AsyncGenerator[Event, None]:
        """The changes of a collection as they happen.

        ``params`` select, and tell the ``resourceVersion`` of a list to go on from. Ends quietly after ``lifetime`` seconds, or when
        kube-apiserver says so. Raises :class:`KubeError` when the watch is refused, breaks, or is ended with an error. To be closed
        by whoever leaves it early (:func:`contextlib.aclosing`).
        """
        async with self.watching(path, params, lifetime) as events:
            async for event in events:
                try:
                    document = msgspec.json.decode(event.object, type=dict[str, Any])
                except msgspec.MsgspecError as error:
                    raise KubeError(0, f"GET {path}: what the watch tells is no event: {error}") from error
                yield Event(event.type, document)

    @asynccontextmanager
    async def watching(
        self,
        path: str,
        params: Mapping[str, str],
        lifetime: float,
        *,
        accept: str = "application/json",
        silence: float | None = None,
    ) -> AsyncIterator[AsyncGenerator[RawEvent, None]]:
        """The changes of a collection, undecoded; entered when kube-apiserver has accepted the watch. Otherwise as :meth:`watch`.

        It also ends quietly after ``silence`` seconds without a byte: a connection may be dead and nobody says so.
        """
        call = _Call("GET", path, {**params, "watch": "true", "timeoutSeconds": str(max(1, int(lifetime)))}, accept)
        # An answer that never comes is noticed at once; one that goes silent, when it should have ended.
        patience = aiohttp.ClientTimeout(total=None, sock_read=silence or lifetime + self._call_timeout)
        async with AsyncExitStack() as stack:
            session, deadline = self._session, self._deadline()
            try:
                answer = await stack.enter_async_context(self._watched(session, call, patience, deadline))
            except KubeError as error:
                if error.status != 401 or not await self._renewed(session, deadline):
                    raise
                session = self._session
                answer = await stack.enter_async_context(self._watched(session, call, patience, deadline))
            yield await stack.enter_async_context(aclosing(self._events(session, call, answer, silence)))

    def _deadline(self) -> float:
        """When a call that is begun now has to be over, by the clock of the event loop."""
        return asyncio.get_running_loop().time() + self._call_timeout

    async def _call(self, call: _Call) -> _Answer:
        session, deadline = self._session, self._deadline()
        try:
            return await self._exchange(session, call, deadline)
        except KubeError as error:
            if error.status != 401 or not await self._renewed(session, deadline):
                raise
        return await self._exchange(self._session, call, deadline)

    async def _exchange(self, session: Session, call: _Call, deadline: float) -> _Answer:
        async with self._using(session):
            with _kube_errors(call, session, self._call_timeout):
                async with asyncio.timeout_at(deadline):
                    answer = await _sent(session, call, aiohttp.ClientTimeout(total=self._call_timeout))
                    content: bytes = await answer.read()
            _raise_for(call, answer, content)
            return _Answer(content, answer.headers.get("Date", ""))

    @asynccontextmanager
    async def _watched(self, session: Session, call: _Call, patience: aiohttp.ClientTimeout, deadline: float) -> AsyncIterator[Any]:
        """The answer to a watch that was accepted, its body unread."""
        async with self._using(session):
            with _kube_errors(call, session, self._call_timeout):
                async with asyncio.timeout_at(deadline):
                    answer = await _sent(session, call, patience)
                    content = b"" if answer.status == 200 else await answer.read()
            try:
                _raise_for(call, answer, content)
                yield answer
            finally:
                answer.response.close()

    async def _events(self, session: Session, call: _Call, answer: Any, silence: float | None) -> AsyncGenerator[RawEvent, None]:
        with _kube_errors(call, session, self._call_timeout):
            try:
                async with aclosing(_lines(call, answer.response.content)) as lines:
                    async for line in lines:
                        if line:
                            yield _event(call, line)
            except TimeoutError:
                if silence is None:
                    raise

    @asynccontextmanager
    async def _using(self, session: Session) -> AsyncIterator[None]:
        """Keep the connections of ``session`` meanwhile; the last one out of an old session closes it."""
        session.users += 1
        try:
            yield
        finally:
            session.users -= 1
            if session is not self._session and not session.users:
                await session.close()

    async def _renewed(self, session: Session, deadline: float) -> bool:
        """Whether there are other credentials than those of ``session``, which were refused, before the deadline.

        They are loaded once for all who wait, and also when nobody waits any more: a command that takes longer than a call is still of use.
        """
        if self._session is not session:
            return True
        if self._renewal is None:
            if self._clock() - self._loaded < _PAUSE:
                return False
            self._renewal = asyncio.create_task(self._renew())
        done, _ = await asyncio.wait([self._renewal], timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        for each in done:
            each.result()
        return self._session is not session

    async def _renew(self) -> None:
        failure = "credentials for kube-apiserver were refused and could not be loaded again: %s"
        try:
            spare = await load(self._kubeconfig)
            if self._session.identified and not spare.identified:
                # Nobody is told 403 where somebody who is not believed is told 401, and they would not be loaded a third time.
                logger.error(failure, "the command in the kubeconfig made none")
            else:
                spare, self._session = self._session, spare
            if not spare.users:
                await spare.close()
        except BadConfiguration as error:
            logger.error(failure, error)  # noqa: TRY400
        finally:
            self._loaded, self._renewal = self._clock(), None


async def _sent(session: Session, call: _Call, patience: aiohttp.ClientTimeout) -> Any:
    """The answer to a call, its body unread."""
    request = await session.api.param_serialize(
        call.method,
        call.path,
        query_params=list(call.params.items()),
        header_params={"Accept": call.accept, **({} if call.body is None else {"Content-Type": call.content_type})},
        body=call.body,
        auth_settings=["BearerToken"],
    )
    return await session.api.call_api(*request, _request_timeout=patience)


@contextmanager
def _kube_errors(call: _Call, session: Session, timeout: float) -> Iterator[None]:
    """Everything that can go wrong on the way, as :class:`KubeError`."""
    host = session.api.configuration.host
    try:
        yield
    except session.refusal as error:
        raise KubeError(0, f"{call}: the credentials for kube-apiserver cannot be read: {error}") from error
    except TimeoutError as error:
        raise KubeError(0, f"{call}: kube-apiserver at {host} did not answer within {timeout:g} s") from error
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        told = f"the TLS connection to kube-apiserver at {host} failed; check the certificate authority in the kubeconfig: {error}"
        raise KubeError(0, f"{call}: {told}") from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError) as error:
        raise KubeError(0, f"{call}: kube-apiserver at {host} broke the connection", reset=True) from error
    except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
        reset = isinstance(error, OSError) and error.errno in (errno.ECONNRESET, errno.EPIPE)
        raise KubeError(0, f"{call}: kube-apiserver at {host} cannot be reached: {error}", reset=reset) from error


def _raise_for(call: _Call, answer: Any, content: bytes) -> None:
    """Raise :class:`KubeError` unless the answer is a success."""
    if 200 <= answer.status < 300:
        return
    try:
        told = msgspec.json.decode(content, type=_Status).message
    except msgspec.DecodeError:
        told = ""
    message = told or content[:_LONGEST_QUOTE].decode("utf-8", "replace").strip()
    status = f"{answer.status} {answer.reason}" if answer.reason else str(answer.status)
    raise KubeError(answer.status, f"{call}: {status}: {message}", retry_after=_seconds(answer.headers.get("Retry-After")))


def _document(call: _Call, content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        raise KubeError(200, f"{call}: the answer is not a JSON object; is this a kube-apiserver?") from None


async def _lines(call: _Call, content: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    """The lines of a body, as they arrive; reading by line would stop at the size of a buffer, and objects may be larger."""
    unfinished = bytearray()
    async for chunk in content.iter_any():
        unfinished += chunk
        if b"\n" in chunk:
            *lines, unfinished = unfinished.split(b"\n")
            for line in lines:
                yield bytes(line)
        elif len(unfinished) > _LARGEST_EVENT:
            raise KubeError(0, f"{call}: an event of the watch is larger than {_LARGEST_EVENT} bytes")


def _event(call: _Call, line: bytes) -> RawEvent:
    """The event on one line of a watch; raises :class:`KubeError` when it is none, or tells of an error (410: the state is lost)."""
    try:
        event = msgspec.json.decode(line, type=RawEvent)
        status = msgspec.json.decode(event.object, type=_Status) if event.type == "ERROR" else None
    except msgspec.MsgspecError as error:
        raise KubeError(0, f"{call}: what the watch tells is no event: {error}") from error
    if status is not None:
        raise KubeError(status.code, f"{call}: the watch ended: {status.message}")
    return event


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdecimal() else None
