"""Calls to the services of AWS, over one client for each: bounded in number and in time, counted, and every failure named."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from types import TracebackType
from typing import Any, Self

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp

from backends.cloudwatch.credentials import ATTEMPTS, Account
from backends.cloudwatch.failures import Asked, explained, is_throttle
from backends.cloudwatch.settings import CloudWatchSettings
from backends.rotation import Rotating
from backends.transport import TlsSettings
from metrics_api import BackendUnavailable

__all__ = ["Aws"]


@dataclass(frozen=True, slots=True)
class _Clients:
    """The clients that were made of the same certificates, by service."""

    stack: AsyncExitStack
    by_service: dict[str, Any] = field(default_factory=dict)


def _clients(tls: TlsSettings) -> Callable[[], AbstractAsyncContextManager[_Clients]]:
    @asynccontextmanager
    async def make() -> AsyncIterator[_Clients]:
        if tls.files:
            # The SDK says of wrong ones only that the connection failed, and of the file alone that there is none.
            await asyncio.to_thread(tls.context)
        async with AsyncExitStack() as stack:
            yield _Clients(stack)

    return make


class Aws:
    """The services of AWS as one source asks them; open and close it as an async context manager.

    ``attempts`` is how often a request is sent at most, when it is turned away, or the connection breaks off. ``clock`` gives seconds,
    and never goes back.
    """

    def __init__(self, settings: CloudWatchSettings, attempts: int = ATTEMPTS, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._account = Account(settings, attempts, clock)
        self._session: AioSession | None = None
        self._version = ""
        self._clients = Rotating(settings.name, settings.tls.files, _clients(settings.tls))
        self._making = asyncio.Lock()
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._calls: Counter[str] = Counter()
        self._throttled = 0

    @property
    def calls(self) -> Mapping[str, int]:
        """Requests sent, by operation as in ``GetMetricData``; each attempt is one."""
        return dict(self._calls)

    @property
    def throttled(self) -> int:
        """Requests that were turned away because there were too many."""
        return self._throttled

    @property
    def region(self) -> str:
        """The region that is asked, empty while it is not open."""
        return str(self._session.get_config_variable("region")) if self._session is not None else ""

    @property
    def signed_in(self) -> bool:
        """Whether there were credentials when they were last needed."""
        return self._account.signed_in

    async def __aenter__(self) -> Self:
        """Raises :class:`metrics_api.errors.BadConfiguration` when there is no region, or nothing that gives credentials.

        It is open when these cannot be had at the moment, too: each call asks for them.
        """
        self._session = await self._account.open()
        self._session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_instant)
        self._version = await asyncio.to_thread(metadata.version, "trafficmetrics")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        async with self._making:
            self._session = None
            await self._clients.close()

    async def call(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """What a service answers: ``call("cloudwatch", "list_metrics", Namespace="AWS/ECS")``.

        Names are those of botocore, as are the types in the answer; times in it are in UTC.
        Raises :class:`metrics_api.errors.BackendError`.
        """
        settings = self._settings
        deadline = asyncio.get_running_loop().time() + settings.timeout
        with explained(Asked(settings.name, service, _title(operation), settings.timeout)):
            # Before the call that would do it, so that it is known what failed.
            await self.sign_in()
            # Waiting for others is part of the time there is: a service that hangs is given up as soon by whoever comes second.
            async with asyncio.timeout_at(deadline), self._slots, self._clients.using() as clients:
                client = await self._client(clients, service)
                answer: Mapping[str, Any] = await getattr(client, operation)(**parameters)
                return answer

    async def sign_in(self) -> None:
        """Get credentials, if there are none yet or they expire. Raises :class:`metrics_api.errors.BackendError`."""
        if self._session is None:
            raise BackendUnavailable(self._settings.name, "is closed")
        await self._account.credentials()

    async def _client(self, clients: _Clients, service: str) -> Any:
        async with self._making:
            if self._session is None:
                raise BackendUnavailable(self._settings.name, "is closed")
            if service not in clients.by_service:
                client = await clients.stack.enter_async_context(self._made(self._session, service))
                client.meta.events.register("before-send", self._sent)
                client.meta.events.register("before-parse", _whole)
                client.meta.events.register("response-received", self._received)
                clients.by_service[service] = client
            return clients.by_service[service]

    def _made(self, session: AioSession, service: Any) -> Any:
        settings = self._settings
        tls = settings.tls
        config = AioConfig(
            max_pool_connections=settings.concurrency,
            user_agent_extra=f"trafficmetrics/{self._version}",
            client_cert=(tls.cert_file, tls.key_file) if tls.key_file else tls.cert_file or None,
        )
        return session.create_client(
            service,
            endpoint_url=settings.endpoint_url or None,
            verify=False if tls.skip_verify else tls.ca_file or None,
            config=config,
        )

    def _sent(self, event_name: str, **_: object) -> None:
        self._calls[event_name.rpartition(".")[2]] += 1

    def _received(self, parsed_response: Mapping[str, Any] | None, **_: object) -> None:
        answer = parsed_response or {}
        code, status = answer.get("Error", {}).get("Code", ""), answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        self._throttled += is_throttle(code, status)


def _whole(response_dict: Mapping[str, Any], operation_model: OperationModel, **_: object) -> None:
    """Refuse what is no JSON: the parser of botocore takes it for an empty answer (botocore/parsers.py, ``_parse_body_as_json``)."""
    is_json = str(operation_model.service_model.resolved_protocol).endswith("json")
    body = response_dict["body"].strip()
    if is_json and response_dict["status_code"] < 300 and not (body.startswith(b"{") and body.endswith(b"}")):
        raise ResponseParserError


def _instant(value: str | float) -> datetime:
    """A time in an answer. The parser of botocore takes eight times as long, and has the zone of this machine."""
    return datetime.fromtimestamp(value, UTC) if isinstance(value, (int, float)) else parse_timestamp(value).astimezone(UTC)


def _title(operation: str) -> str:
    return "".join(map(str.capitalize, operation.split("_")))
