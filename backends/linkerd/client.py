"""The metrics-api of Linkerd viz over gRPC: one call for each question, bounded in number and in time, every failure named.

Source of the protocol: linkerd/linkerd2, viz/metrics-api/proto/viz.proto, and viz/metrics-api/client/client.go for how it is reached.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from backends.linkerd import viz_pb2 as viz
from backends.linkerd.failures import Asked, refused, unanswered, unreadable
from backends.linkerd.settings import LinkerdSettings
from backends.rotation import Rotating
from metrics_api import BackendUnavailable

__all__ = ["VizClient"]

_SERVICE = "/linkerd2.viz.Api/"
_LARGEST_ANSWER = 64 << 20

_OPTIONS = (
    # The address is in the cluster, whatever HTTP_PROXY is for.
    ("grpc.enable_http_proxy", 0),
    # Its TXT records hold no configuration of ours.
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.max_receive_message_length", _LARGEST_ANSWER),
    # What is gone is tried again at once, not in two minutes: an answer is wanted in every refresh. The minimum is how long connecting
    # may take.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 250),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    # An examination finds out for itself whether there is a connection to be had.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.primary_user_agent", "trafficmetrics"),
)

M = TypeVar("M", bound=Message)


class VizClient:
    """Calls to one metrics-api, over one channel, which is another one when the files of ``tls`` are.

    Open and close it as an async context manager, in the loop that it is used in.

    ``attempts`` is how often a call is made at most while nobody is there to answer it. All methods raise
    :class:`metrics_api.errors.BackendError`.
    """

    def __init__(self, settings: LinkerdSettings, attempts: int = 2) -> None:
        self._settings = settings
        self._attempts = attempts
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._channels: Rotating[grpc.aio.Channel] | None = None
        self._calls: Counter[str] = Counter()

    @property
    def calls(self) -> Mapping[str, int]:
        """Calls made so far by name as in ``StatSummary``; each attempt is one."""
        return dict(self._calls)

    async def __aenter__(self) -> Self:
        """Raises :class:`metrics_api.errors.BackendRefused` when a file of ``tls`` cannot be read."""
        tls = self._settings.tls
        channels = Rotating(self._settings.name, tls.files if tls is not None else (), self._made)
        async with channels.using():
            self._channels = channels
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        channels, self._channels = self._channels, None
        if channels is not None:
            await channels.close()

    @asynccontextmanager
    async def _made(self) -> AsyncIterator[grpc.aio.Channel]:
        # No scheme of gRPC's own can be meant: a host called unix is a host.
        target, tls = f"dns:///{self._settings.address}", self._settings.tls
        if tls is None:
            channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        else:
            # It takes what is no certificate for none, and what does not fit together for no server.
            await asyncio.to_thread(tls.context)
            files = [await asyncio.to_thread(_read, path) for path in (tls.ca_file or _trusted(), tls.key_file, tls.cert_file)]
            # A certificate may be in one file with its key.
            authority, key, certificate = files[0], files[1] or files[2], files[2]
            channel = grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(authority, key, certificate), options=_OPTIONS)
        try:
            yield channel
        finally:
            await channel.close()

    async def stat_summary(self, request: viz.StatSummaryRequest) -> Sequence[viz.StatTable.PodGroup.Row]:
        """The rows of all tables. There are none when the object that the selector names does not exist."""
        selected = request.selector.resource
        asked = Asked(self._settings, "StatSummary", selected.type, selected.name)
        answer = await self._call(asked, request, viz.StatSummaryResponse, viz.StatSummaryResponse())
        if answer.WhichOneof("response") == "error":
            raise refused(asked, answer.error.error)
        return [row for table in answer.ok.stat_tables for row in table.pod_group.rows]

    async def edges(self, kind: str, namespace: str = "") -> Sequence[viz.Edge]:
        """Connections open now between objects of a kind, spelt as on the wire; one of their ends is in ``namespace``, if it is given."""
        asked = Asked(self._settings, "Edges", kind)
        selector = viz.ResourceSelection(resource=viz.Resource(type=kind, namespace=namespace))
        answer = await self._call(asked, viz.EdgesRequest(selector=selector), viz.EdgesResponse)
        if answer.WhichOneof("response") == "error":
            raise refused(asked, answer.error.error)
        return answer.ok.edges

    async def self_check(self) -> Sequence[viz.CheckResult]:
        """What the metrics-api says of what it depends on: Kubernetes and Prometheus."""
        return (await self._call(Asked(self._settings, "SelfCheck"), viz.SelfCheckRequest(), viz.SelfCheckResponse)).results

    async def list_pods(self, namespace: str = "") -> Sequence[viz.Pod]:
        """The pods there are, and whether Prometheus has metrics of their proxies."""
        selector = viz.ResourceSelection(resource=viz.Resource(namespace=namespace))
        request = viz.ListPodsRequest(selector=selector)
        return (await self._call(Asked(self._settings, "ListPods"), request, viz.ListPodsResponse)).pods

    async def _call(self, asked: Asked, request: Message, shape: type[M], missing: M | None = None) -> M:
        """The answer to one call; ``missing`` where a named object does not exist."""
        async with self._slots:
            try:
                encoded = await self._attempt(asked, request.SerializeToString())
            except grpc.aio.AioRpcError as error:
                if missing is not None and asked.object and error.code() is grpc.StatusCode.NOT_FOUND:
                    return missing
                raise unanswered(asked, error) from error
        try:
            answer = shape.FromString(encoded)
        except DecodeError as error:
            raise unreadable(asked, str(error)) from error
        if "response" in shape.DESCRIPTOR.oneofs_by_name and answer.WhichOneof("response") is None:
            raise unreadable(asked, "neither an answer nor an error")
        return answer

    async def _attempt(self, asked: Asked, encoded: bytes) -> bytes:
        """The encoded answer. A connection that broke off while nobody used it is found out by using it: that call is made again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.timeout
        for attempt in range(1, self._attempts + 1):
            if self._channels is None:
                raise BackendUnavailable(self._settings.name, "is not open")
            try:
                async with self._channels.using() as channel:
                    self._calls[asked.operation] += 1
                    # Left to itself, gRPC makes None of an answer that it cannot decode.
                    call: Any = channel.unary_unary(_SERVICE + asked.operation)
                    answer: bytes = await call(encoded, timeout=max(0.0, deadline - loop.time()))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                # It is the call that was cancelled, because the channel was closed.
                raise BackendUnavailable(self._settings.name, "was closed before it answered") from None
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt == self._attempts:
                    raise
            else:
                return answer
        raise AssertionError("a call is made at least once")


def _trusted() -> str:
    """The file with the authorities that this system trusts; empty leaves it to gRPC, which has a list of its own."""
    return ssl.get_default_verify_paths().cafile or ""


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None
