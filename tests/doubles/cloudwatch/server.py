"""The socket: tells the services apart, checks who asks and whether they may, and writes answers and errors in the protocol of each."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.doubles.cloudwatch import wire
from tests.doubles.cloudwatch.calls import Call, billed_metrics
from tests.doubles.cloudwatch.errors import Refusal
from tests.doubles.cloudwatch.faults import Fault, Faults
from tests.doubles.cloudwatch.graph import Graph
from tests.doubles.cloudwatch.issuer import Issuer, caller
from tests.doubles.cloudwatch.listing import Listing
from tests.doubles.cloudwatch.metricdata import MetricData
from tests.doubles.cloudwatch.publish import published
from tests.doubles.cloudwatch.queries import read_queries
from tests.doubles.cloudwatch.signals import Signals
from tests.doubles.cloudwatch.signing import ACCOUNT, Identity, authenticate
from tests.doubles.cloudwatch.store import MINUTE, Datum, MetricKey, StatisticSet, Store, summary

__all__ = ["Aws", "run_aws"]


@dataclass(slots=True)
class Aws:
    """AWS, as far as there is any; the package tells of its knobs."""

    clock: Callable[[], float] = time.time
    region: str = "eu-west-1"
    url: str = ""
    identity: Identity = field(default_factory=lambda: Identity("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
    identities: dict[str, Identity] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    delay: float | None = None
    query_errors: bool = True
    calls: list[Call] = field(default_factory=list)
    under_way: int = 0
    busiest: int = 0
    faults: Faults = field(default_factory=Faults)
    store: Store = field(default_factory=Store)
    data: MetricData = field(init=False)
    listing: Listing = field(init=False)
    graph: Graph = field(default_factory=Graph)
    signals: Signals = field(default_factory=Signals)
    issuer: Issuer = field(init=False)

    def __post_init__(self) -> None:
        self.data = MetricData(self.store)
        self.listing = Listing(self.store)
        self.issuer = Issuer(self.identities)
        self.identities[self.identity.access_key] = self.identity

    def put(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        minute: float,
        values: Mapping[float, float] | None = None,
        statistics: StatisticSet | Sequence[float] | None = None,
        unit: str = "None",
        visible: float | None = None,
    ) -> None:
        """Publishes for the minute that ``minute`` (Unix seconds) lies in: counts by value, or a statistic set."""
        if (values is None) == (statistics is None):
            raise ValueError("either values or statistics")
        stamp = int(minute // MINUTE * MINUTE)
        if visible is None:
            visible = float("-inf") if self.delay is None else stamp + MINUTE + self.delay
        numbers = summary(values) if values is not None else StatisticSet(*statistics or ())
        key = MetricKey(namespace, name, frozenset(dimensions.items()))
        self.store.put(key, Datum(stamp, numbers, dict(values) if values is not None else None, unit, visible, self.clock()))

    def throttle(self, operation: str, times: int | None = 1) -> None:
        """Throttles the next calls of an operation, all of them when ``times`` is None."""
        self.fail(operation, "throttle", times)

    def fail(self, operation: str, fault: Fault, times: int | None = 1) -> None:
        """Lets the next calls of an operation go wrong, all of them when ``times`` is None."""
        if times is None:
            self.faults.always[operation] = fault
        else:
            self.faults.ahead.setdefault(operation, deque()).extend([fault] * times)

    def slow(self, operation: str, seconds: float) -> None:
        """Lets every answer of an operation take so long."""
        self.faults.slow[operation] = seconds

    def hold(self, operation: str) -> asyncio.Event:
        """Lets no answer of an operation begin before the event is set."""
        return self.faults.held.setdefault(operation, asyncio.Event())

    async def until(self, holds: Callable[[Aws], bool], patience: float = 10) -> None:
        """Waits until something holds of this AWS; TimeoutError when that takes longer than ``patience`` seconds."""
        async with asyncio.timeout(patience):
            while not holds(self):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def recover(self) -> None:
        """Ends whatever goes wrong, and lets go what is held."""
        for event in self.faults.held.values():
            event.set()
        self.faults = Faults()
        self.denied.clear()
        self.data.spoiled.clear()
        self.data.messages.clear()
        self.data.endless = False

    def called(self, operation: str) -> list[Call]:
        """The calls of one operation."""
        return [call for call in self.calls if call.operation == operation]

    @property
    def billed(self) -> int:
        """How many metrics were requested, as AWS bills them."""
        return sum(call.billed for call in self.calls)

    @property
    def surroundings(self) -> dict[str, str]:
        """Environment variables with which a client finds this AWS, and no other, and no credentials."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent/config",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
        }

    def environment(self, identity: Identity | None = None) -> dict[str, str]:
        """Environment variables of a client with the credentials of someone, the usual one if nobody is named."""
        identity = identity or self.identity
        token = {"AWS_SESSION_TOKEN": identity.token} if identity.token else {}
        keys = {"AWS_ACCESS_KEY_ID": identity.access_key, "AWS_SECRET_ACCESS_KEY": identity.secret_key}
        return self.surroundings | keys | token

    def web_identity(self, folder: Path, role: str = f"arn:aws:iam::{ACCOUNT}:role/traffic") -> dict[str, str]:
        """Environment variables of a pod with an IAM role for its service account, whose token is kept in the folder."""
        token = folder / "web-identity-token"
        token.write_text("token-of-a-service-account")
        self.issuer.web_tokens["token-of-a-service-account"] = role
        return self.surroundings | {
            "AWS_ROLE_ARN": role,
            "AWS_ROLE_SESSION_NAME": "session",
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        }

    def pod_identity(self, folder: Path) -> dict[str, str]:
        """Environment variables of a pod with EKS Pod Identity, whose token is kept in the folder."""
        token = folder / "pod-identity-token"
        token.write_text(self.issuer.pod_token)
        return self.surroundings | {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        }

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        asked = wire.read(request, gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body)
        call = Call(asked.service, asked.operation, asked.parameters, len(asked.parameters.get("MetricDataQueries", ())))
        self.calls.append(call)
        self.under_way += 1
        self.busiest = max(self.busiest, self.under_way)
        fault = self.faults.next(call.operation)

        async def answer() -> web.Response:
            return wire.answer(asked, self._perform(asked, call, request, body))

        try:
            await self.faults.pause(call.operation)
            response = await self.faults.act(fault, call.service, request, answer)
        except Refusal as refusal:
            response = wire.refuse(asked, refusal, query=self.query_errors)
            call.error = refusal.query_code if asked.service == "cloudwatch" and self.query_errors else refusal.code
        except asyncio.CancelledError:
            call.given_up = True
            raise
        finally:
            self.under_way -= 1
        call.status = response.status
        return response

    def _perform(self, asked: wire.Asked, call: Call, request: web.Request, body: bytes) -> dict[str, Any]:
        action = f"{asked.service}:{asked.operation}"
        if action == f"{wire.POD_IDENTITY}:GetCredentials":
            return self.issuer.pod_credentials(request.headers.get("Authorization", ""))
        if action == "sts:AssumeRoleWithWebIdentity":
            return self.issuer.assume(asked.parameters)
        if not asked.service:
            raise Refusal("UnknownOperationException", f"there is no {asked.operation} here", 404)
        url = f"http://{request.host}{request.raw_path}"
        who = authenticate(self.identities, asked.signed_for, self.region, request.method, url, request.headers, body)
        call.arn = who.arn
        if action == "sts:GetCallerIdentity":
            return caller(who)
        if action in self.denied:
            message = f"User: {who.arn} is not authorized to perform: {action} because no identity-based policy allows the {action} action"
            raise Refusal("AccessDeniedException", message, 403, "AccessDenied")
        return self._allowed(action, asked.parameters, call)

    def _allowed(self, action: str, parameters: Mapping[str, Any], call: Call) -> dict[str, Any]:
        now = self.clock()
        match action:
            case "cloudwatch:GetMetricData":
                asked = read_queries(parameters, self.store, now)
                page = self.data.answer(parameters, asked, now)
                call.billed = 0 if "NextToken" in parameters else billed_metrics(asked.queries)
                return page
            case "cloudwatch:ListMetrics":
                return self.listing.answer(parameters, now)
            case "cloudwatch:PutMetricData":
                for one in published(parameters, now):
                    self.put(one.namespace, one.name, one.dimensions, one.instant, one.values, one.statistics, one.unit)
                return {}
            case "xray:GetServiceGraph":
                return self.graph.answer(parameters)
            case "application-signals:ListServices":
                return self.signals.answer(parameters)
            case _:
                raise Refusal("UnknownOperationException", f"the double of AWS has no {action}", 404)


@asynccontextmanager
async def run_aws(
    clock: Callable[[], float] = time.time, region: str = "eu-west-1", context: ssl.SSLContext | None = None
) -> AsyncIterator[Aws]:
    """AWS on a free port of this machine, for as long as the context lasts; behind TLS when there is a context for it."""
    aws = Aws(clock, region)
    app = web.Application(client_max_size=4 << 20)
    app.router.add_route("*", "/{path:.*}", aws._serve)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1, auto_decompress=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        aws.url = f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        yield aws
    finally:
        await runner.cleanup()
