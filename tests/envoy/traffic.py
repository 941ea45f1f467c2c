"""The traffic that is sent through the proxies of every setup, and what it amounts to between one workload and another."""

from __future__ import annotations

from dataclasses import dataclass

from tests.envoy.setups import GATEWAY, Setup

__all__ = ["CALLS", "KNOCKS", "PACKAGE", "RESPONSES", "SLOW_SECONDS", "UNREACHED", "Flow", "flows"]

RESPONSES = {200: 3, 204: 1, 302: 1, 404: 1, 503: 2}
"""How often ``web`` gets each status from ``api``."""

SLOW_SECONDS = 0.6
"""How long a response of 200 takes; all others take no time."""

CALLS = {0: 2, 5: 1, 13: 1, 14: 1}
"""How often ``api`` gets each gRPC status from ``web``."""

PACKAGE = "/shop.Stock/Take"
"""The method that is called, which the status is appended to: of a service in a package, as nearly all are."""

UNREACHED = {"web": 2, "api": 1}
"""How often each of them calls ``dead``: the one over HTTP, the other with gRPC."""

KNOCKS: dict[str, dict[int, int]] = {
    "api": {200: 2, 503: 1},
    "web": {200: 1, 404: 2, 500: 1},
    "dead": {503: 1},
}
"""How often somebody from outside gets each status of each workload through the gateway, as far as it has a way to it."""


@dataclass(frozen=True, slots=True)
class Flow:
    """How many requests of one workload to another went well, how many did not, and how many of them took :data:`SLOW_SECONDS`.

    The caller is empty where it has no proxy.
    """

    caller: str
    callee: str
    success: int
    failure: int
    slow: int = 0


def flows(setup: Setup) -> list[Flow]:
    """The traffic of a setup, told as its mesh can tell it: without counters of gRPC statuses a call answered with HTTP 200 went well."""
    found: list[Flow] = []
    if setup.sidecars:
        failed = CALLS[13] + CALLS[14] if setup.tells_grpc else 0
        found += [
            _flow("web", "api", RESPONSES),
            Flow("api", "web", sum(CALLS.values()) - failed, failed),
            *(Flow(caller, "dead", 0, count) for caller, count in UNREACHED.items()),
        ]
    if setup.gateway:
        sent = [_flow(GATEWAY, callee, KNOCKS[callee]) for callee in setup.behind]
        received = Flow("", GATEWAY, *(sum(getattr(flow, field) for flow in sent) for field in ("success", "failure", "slow")))
        found += [*sent, received]
    return found


def _flow(caller: str, callee: str, counts: dict[int, int]) -> Flow:
    failure = sum(count for status, count in counts.items() if status >= 500)
    return Flow(caller, callee, sum(counts.values()) - failure, failure, counts.get(200, 0))
