"""Configuration of a Prometheus source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from backends.dialects import Dialect
from backends.dialects.configured import read_configured
from backends.dialects.overrides import Overrides
from backends.transport import KEYS as TRANSPORT_KEYS
from backends.transport import Credentials, Signer, TlsSettings, read_credentials, read_tls
from metrics_api import parse_duration
from metrics_api.document import Node

__all__ = ["PrometheusSettings", "read_settings"]

KEYS = (
    "name",
    "type",
    "url",
    "dialect",
    "overrides",
    "timeout",
    *TRANSPORT_KEYS,
    "params",
    "scrapeInterval",
    "concurrency",
)


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """One Prometheus source.

    ``dialect`` is None where the store is to be asked what it keeps; otherwise the ``overrides`` are in it already.
    ``url`` without the ``/api/v1``, with the prefix if the store has one (Mimir: ``…/prometheus``). ``timeout`` is seconds for one query.
    ``params`` go with every query (Thanos: ``partial_response``, ``dedup``; VictoriaMetrics: ``extra_label``).
    ``scrape_interval`` is seconds between two samples of a series, 0 to ask the store. ``concurrency`` bounds queries under way.
    ``signer`` makes what signs requests to a service that speaks this API and knows its own URL; ``url`` is empty then. ``type`` is what
    the configuration calls such a source.
    """

    name: str
    url: str
    dialect: Dialect | None
    timeout: int = 10
    credentials: Credentials = field(default_factory=Credentials)
    tls: TlsSettings = field(default_factory=TlsSettings)
    params: Mapping[str, str] = field(default_factory=dict)
    scrape_interval: int = 0
    concurrency: int = 16
    overrides: Overrides = field(default_factory=Overrides)
    signer: Callable[[], Signer] | None = None
    type: str = "prometheus"


def read_settings(node: Node, name: str) -> PrometheusSettings | None:
    """Settings from an entry of ``backends``; mistakes go to the node's problems, and None says that there were too many."""
    entries = node.mapping(KEYS, required=("url",))
    configured = read_configured(entries, auto=True)
    url = entries["url"].read(_url, "") if "url" in entries else ""
    timeout = entries["timeout"].read(_whole_seconds, 10) if "timeout" in entries else 10
    credentials, tls = read_credentials(node, entries, name), read_tls(entries)
    params = entries["params"].text_mapping() if "params" in entries else {}
    interval = entries["scrapeInterval"].read(_whole_seconds, 0) if "scrapeInterval" in entries else 0
    concurrency = entries["concurrency"].integer(1, 256, 16) if "concurrency" in entries else 16
    if configured is None or not url:
        return None
    return PrometheusSettings(
        name=name,
        url=url,
        dialect=configured.dialect,
        timeout=timeout,
        credentials=credentials,
        tls=tls,
        params=params,
        scrape_interval=interval,
        concurrency=concurrency,
        overrides=configured.overrides,
    )


def _url(text: str) -> str:
    wrong = f'"{text}" is not a URL such as http://prometheus:9090'
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(wrong) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(wrong)
    if parts.username or parts.password:
        raise ValueError("credentials do not belong into a URL, which is logged: use basicAuth with passwordFile")
    if parts.query or parts.fragment:
        raise ValueError('a URL of a source ends before "?": parameters for each query go to "params"')
    return text.rstrip("/").removesuffix("/api/v1")


def _whole_seconds(text: str) -> int:
    """A duration of at least one whole second."""
    seconds = parse_duration(text)
    if seconds.denominator != 1 or not 1 <= seconds <= 3600:
        raise ValueError(f'"{text}" must be in whole seconds, from 1s to 1h')
    return int(seconds)
