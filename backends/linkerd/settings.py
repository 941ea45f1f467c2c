"""Configuration of a source in Linkerd viz."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from backends.transport import TlsSettings, read_tls, require_host, require_no_user
from metrics_api.document import Node
from metrics_api.forms import BOOLEAN, parsed, seconds, whole
from metrics_api.keys import key, keys_of, names_of, nested, read_keys, required_of

__all__ = ["LinkerdSettings", "read_settings"]

_PORT = 8085
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_SCRAPE_INTERVAL = 10
"""Seconds between two scrapes of the Prometheus that comes with viz (linkerd/linkerd2, viz/charts/linkerd-viz/values.yaml)."""


def _address(text: str) -> str:
    """A host with its port, which is that of the metrics-api where none is given."""
    require_no_user(text, "the metrics-api asks for none")
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"] or _PORT) if match is not None else 0
    if match is None or not 1 <= port <= 65535:
        raise ValueError(f'"{text}" is not an address such as metrics-api.linkerd-viz.svc:8085, without http:// before it')
    require_host(match["host"], f'"{text}" is not an address')
    return f"{match['host']}:{port}"


@dataclass(frozen=True, slots=True)
class LinkerdSettings:
    """One source in Linkerd viz; times are seconds.

    Each of the ``concurrency`` calls under way makes the metrics-api ask Prometheus four times, and look at every object of a kind. ``tls``
    is None for a connection that the mesh secures. Viz has nothing of windows that hold less than two scrapes, and does not say so.
    """

    name: str
    address: str = field(
        metadata=key(
            "host and port of the metrics-api: `metrics-api.linkerd-viz.svc:8085`, or without the port",
            parsed(_address, "`host:port`"),
            required=True,
        )
    )
    timeout: int = field(default=10, metadata=key("for one call", seconds("1s", "1h")))
    concurrency: int = field(default=4, metadata=key("calls under way at once", whole(1, 64)))
    tls: TlsSettings | None = field(default=None, metadata=nested(TlsSettings, "tls.", without=("insecureSkipVerify",)))
    identities: bool = field(default=True, metadata=key("whether edges are told with who their ends are by mutual TLS", BOOLEAN))
    edge_list_limit: int = field(
        default=200,
        metadata=key("of how many objects a list of edges may be, because each costs calls of its own", whole(1, 100_000)),
    )
    scrape_interval: int = field(
        default=_SCRAPE_INTERVAL,
        metadata=key(
            "how often the Prometheus behind it scrapes proxies; windows below twice that have a warning, and no zeros",
            seconds("1s", "1h"),
        ),
    )


KEYS = ("name", "type", *names_of(keys_of(LinkerdSettings)))


def read_settings(node: Node, name: str) -> LinkerdSettings | None:
    """Settings from an entry of ``backends``; mistakes go to the node's problems, and None says that there were too many."""
    entries = node.mapping(KEYS, required=required_of(keys_of(LinkerdSettings)))
    told = read_keys(LinkerdSettings, entries)
    tls = read_tls(entries) if "tls" in entries else None
    if tls is not None and tls.skip_verify:
        entries["tls"].problem('"insecureSkipVerify" is not for gRPC, which always verifies: give "caFile", the CA that signed it')
    return LinkerdSettings(name=name, tls=tls, **told) if told.get("address") else None
