"""Configuration of a source in Linkerd viz."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backends.transport import TlsSettings, read_tls
from metrics_api import parse_duration
from metrics_api.document import Node

__all__ = ["LinkerdSettings", "read_settings"]

KEYS = ("name", "type", "address", "timeout", "concurrency", "tls", "identities", "edgeListLimit", "scrapeInterval")

_PORT = 8085
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
_TIMEOUT = 10
_CONCURRENCY = 4
_EDGE_LIST_LIMIT = 200
_SCRAPE_INTERVAL = 10
"""Seconds between two scrapes of the Prometheus that comes with viz (linkerd/linkerd2, viz/charts/linkerd-viz/values.yaml)."""


@dataclass(frozen=True, slots=True)
class LinkerdSettings:
    """One source in Linkerd viz.

    ``address`` is the host and port of its metrics-api. ``timeout`` is seconds for one call, ``concurrency`` bounds calls under way: each
    makes the metrics-api ask Prometheus four times, and look at every object of a kind. ``tls`` is None for a connection that the mesh
    secures. ``identities`` says whether edges are told with who their ends are to each other. ``edge_list_limit`` is how many objects a
    list of edges may be about, because each costs calls of its own. ``scrape_interval`` is how often the Prometheus behind it scrapes
    proxies, in seconds: viz has nothing of windows that hold less than two scrapes, and does not say so.
    """

    name: str
    address: str
    timeout: int = _TIMEOUT
    concurrency: int = _CONCURRENCY
    tls: TlsSettings | None = None
    identities: bool = True
    edge_list_limit: int = _EDGE_LIST_LIMIT
    scrape_interval: int = _SCRAPE_INTERVAL


def read_settings(node: Node, name: str) -> LinkerdSettings | None:
    """Settings from an entry of ``backends``; mistakes go to the node's problems, and None says that there were too many."""
    entries = node.mapping(KEYS, required=("address",))
    address = entries["address"].read(_address, "") if "address" in entries else ""
    tls = read_tls(entries) if "tls" in entries else None
    if tls is not None and tls.skip_verify:
        entries["tls"].problem('"insecureSkipVerify" is not for gRPC, which always verifies: give "caFile", the CA that signed it')
    settings = LinkerdSettings(
        name=name,
        address=address,
        timeout=entries["timeout"].read(_whole_seconds, _TIMEOUT) if "timeout" in entries else _TIMEOUT,
        concurrency=entries["concurrency"].integer(1, 64, _CONCURRENCY) if "concurrency" in entries else _CONCURRENCY,
        tls=tls,
        identities=entries["identities"].boolean(default=True) if "identities" in entries else True,
        edge_list_limit=(
            entries["edgeListLimit"].integer(1, 100_000, _EDGE_LIST_LIMIT) if "edgeListLimit" in entries else _EDGE_LIST_LIMIT
        ),
        scrape_interval=(
            entries["scrapeInterval"].read(_whole_seconds, _SCRAPE_INTERVAL) if "scrapeInterval" in entries else _SCRAPE_INTERVAL
        ),
    )
    return settings if address else None


def _address(text: str) -> str:
    """A host with its port, which is that of the metrics-api where none is given."""
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"] or _PORT) if match is not None else 0
    if match is None or not 1 <= port <= 65535:
        raise ValueError(f'"{text}" is not an address such as metrics-api.linkerd-viz.svc:8085, without http:// before it')
    return f"{match['host']}:{port}"


def _whole_seconds(text: str) -> int:
    """A duration of at least one whole second."""
    seconds = parse_duration(text)
    if seconds.denominator != 1 or not 1 <= seconds <= 3600:
        raise ValueError(f'"{text}" must be in whole seconds, from 1s to 1h')
    return int(seconds)
