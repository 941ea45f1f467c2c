"""Configuration of a Prometheus source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from backends.dialects import Dialect
from backends.dialects.configured import DIALECT, OVERRIDES, read_configured
from backends.dialects.overrides import Overrides
from backends.transport import Credentials, Signer, TlsSettings, read_credentials, read_tls, url_like
from metrics_api.document import Node
from metrics_api.forms import MAPPING, parsed, seconds, whole
from metrics_api.keys import key, keys_of, names_of, nested, read_keys, required_of

__all__ = ["PrometheusSettings", "read_settings"]


def _url(text: str) -> str:
    url = url_like(
        text,
        "http://prometheus:9090",
        advice="use basicAuth with passwordFile",
        query='parameters for each query go to "params"',
    )
    return url.removesuffix("/api/v1")


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """One Prometheus source.

    ``dialect`` is None where the store is to be asked what it keeps; otherwise the ``overrides`` are in it already. Times are seconds, and
    a ``scrape_interval`` of 0 is to ask the store. ``signer`` makes what signs requests to a service that speaks this API and knows its
    own URL; ``url`` is empty then. ``type`` is what the configuration calls such a source.
    """

    name: str
    url: str = field(
        metadata=key(
            "without `/api/v1`, with the prefix if there is one (Mimir: `https://mimir/prometheus`)",
            parsed(_url, "a URL"),
            required=True,
        )
    )
    dialect: Dialect | None = field(
        metadata=key(
            "a built-in [dialect](dialects.md), the path of a file, or `auto`: what the store turns out to keep",
            DIALECT,
            otherwise="`auto`",
        )
    )
    timeout: int = field(default=10, metadata=key("for one query", seconds("1s", "1h")))
    credentials: Credentials = field(default_factory=Credentials, metadata=nested(Credentials))
    tls: TlsSettings = field(default_factory=TlsSettings, metadata=nested(TlsSettings, "tls."))
    params: Mapping[str, str] = field(
        default_factory=dict,
        metadata=key("parameters for every query: Thanos `partial_response`, `dedup`; VictoriaMetrics `extra_label`", MAPPING),
    )
    scrape_interval: int = field(
        default=0,
        metadata=key(
            "how often series get a sample; windows below twice that get a warning", seconds("1s", "1h"), otherwise="measured"
        ),
    )
    concurrency: int = field(default=16, metadata=key("queries under way at once", whole(1, 256)))
    overrides: Overrides = field(
        default_factory=Overrides,
        metadata=key("what is to differ from the dialect, [see below](#overrides)", OVERRIDES, otherwise="nothing"),
    )
    signer: Callable[[], Signer] | None = None
    type: str = "prometheus"


KEYS = ("name", "type", *names_of(keys_of(PrometheusSettings)))


def read_settings(node: Node, name: str) -> PrometheusSettings | None:
    """Settings from an entry of ``backends``; mistakes go to the node's problems, and None says that there were too many."""
    entries = node.mapping(KEYS, required=required_of(keys_of(PrometheusSettings)))
    configured = read_configured(entries, auto=True)
    told = read_keys(PrometheusSettings, entries)
    credentials, tls = read_credentials(node, entries, name), read_tls(entries)
    if configured is None or not told.get("url"):
        return None
    return PrometheusSettings(
        name=name, dialect=configured.dialect, overrides=configured.overrides, credentials=credentials, tls=tls, **told
    )
