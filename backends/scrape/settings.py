"""Configuration of a scrape source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from backends.dialects import Dialect, Temporality
from backends.dialects.configured import read_configured
from backends.dialects.overrides import Overrides
from backends.scrape.targets import Target, address, label_name, target_path
from backends.transport import KEYS as TRANSPORT_KEYS
from backends.transport import Credentials, TlsSettings, read_credentials, read_tls
from metrics_api import Window, format_duration, parse_duration
from metrics_api.document import Node

__all__ = ["ScrapeSettings", "read_settings"]

KEYS = (
    "name",
    "type",
    "dialect",
    "overrides",
    "interval",
    "timeout",
    "longestWindow",
    "path",
    "scheme",
    "targets",
    "targetsFile",
    *TRANSPORT_KEYS,
    "seriesLimit",
    "concurrency",
)

_PATH = "/stats/prometheus"
_INTERVAL = 5.0
_LONGEST_WINDOW = 300
_SERIES_LIMIT = 500_000
_SHORTEST, _LONGEST = 0.1, 3600.0


@dataclass(frozen=True, slots=True)
class ScrapeSettings:
    """One scrape source.

    ``dialect`` has the overrides of the configuration in it. ``interval`` is seconds between two scrapes of a target, ``timeout``
    seconds for one. ``longest_window`` is seconds of history kept. ``path`` and ``scheme`` hold for targets that do not say otherwise.
    ``series_limit`` bounds the series of all targets together: at 60 samples (``longest_window / interval``) one takes 0.9 KiB with
    Envoy's names, 1.7 KiB with Istio's long ones. ``concurrency`` bounds scrapes under way.
    ``overrides`` are what the configuration changed, for whoever tells of it.
    """

    name: str
    dialect: Dialect
    targets: tuple[Target, ...] = ()
    targets_file: str = ""
    interval: float = _INTERVAL
    timeout: float = _INTERVAL
    longest_window: int = _LONGEST_WINDOW
    path: str = _PATH
    scheme: str = "http"
    credentials: Credentials = field(default_factory=Credentials)
    tls: TlsSettings = field(default_factory=TlsSettings)
    series_limit: int = _SERIES_LIMIT
    concurrency: int = 64
    overrides: Overrides = field(default_factory=Overrides)


def read_settings(node: Node, name: str) -> ScrapeSettings | None:
    """Settings from an entry of ``backends``; mistakes go to the node's problems, and None says that there were too many."""
    entries = node.mapping(KEYS, required=("dialect",))
    configured = read_configured(entries, auto=False)
    interval = entries["interval"].read(_seconds, _INTERVAL) if "interval" in entries else _INTERVAL
    timeout = entries["timeout"].read(_seconds, interval) if "timeout" in entries else interval
    if timeout > interval:
        entries["timeout"].problem("a scrape must be over before the next one begins: timeout is at most interval")
    path = entries["path"].read(target_path, _PATH) if "path" in entries else _PATH
    scheme = entries["scheme"].choice(("http", "https"), "http") if "scheme" in entries else "http"
    targets = [_target(item, path, scheme) for item in entries["targets"].items()] if "targets" in entries else []
    targets_file = entries["targetsFile"].text() if "targetsFile" in entries else ""
    if not targets and not targets_file:
        node.problem('there is nothing to scrape: give "targets", "targetsFile" or both')
    for index, target in enumerate(targets):
        if target in targets[:index]:
            entries["targets"].items()[index].problem(f'"{target.address}" is given twice')
    credentials, tls = read_credentials(node, entries, name), read_tls(entries)
    longest = entries["longestWindow"].read(_history(interval), _LONGEST_WINDOW) if "longestWindow" in entries else _LONGEST_WINDOW
    if "longestWindow" not in entries and 2 * interval > _LONGEST_WINDOW:
        longest = int(2 * interval)
    limit = entries["seriesLimit"].integer(1, 100_000_000, _SERIES_LIMIT) if "seriesLimit" in entries else _SERIES_LIMIT
    concurrency = entries["concurrency"].integer(1, 4096, 64) if "concurrency" in entries else 64
    if configured is None or configured.dialect is None:
        return None
    if any(view.native or view.temporality is Temporality.DELTA for view in configured.dialect.views):
        entries["dialect"].problem(
            f"dialect {configured.dialect.name} is of deltas or of native histograms, which proxies do not expose as text: "
            "ask the store that keeps them"
        )
        return None
    return ScrapeSettings(
        name=name,
        dialect=configured.dialect,
        targets=tuple(targets),
        targets_file=targets_file,
        interval=interval,
        timeout=timeout,
        longest_window=longest,
        path=path,
        scheme=scheme,
        credentials=credentials,
        tls=tls,
        series_limit=limit,
        concurrency=concurrency,
        overrides=configured.overrides,
    )


def _target(node: Node, path: str, scheme: str) -> Target:
    """``10.0.0.7:15090``, or ``{address: "10.0.0.7:15090", labels: {pod: web-1}, path: /metrics}``."""
    if not isinstance(node.value, dict):
        return Target(node.read(address, ""), path, scheme)
    entries = node.mapping(("address", "labels", "path"), required=("address",))
    labels = entries["labels"].text_mapping() if "labels" in entries else {}
    for label in labels:
        try:
            label_name(label)
        except ValueError as error:
            entries["labels"].problem(str(error))
    return Target(
        address=entries["address"].read(address, "") if "address" in entries else "",
        path=entries["path"].read(target_path, path) if "path" in entries else path,
        scheme=scheme,
        labels=tuple(sorted(labels.items())),
    )


def _seconds(text: str) -> float:
    seconds = float(parse_duration(text))
    if not _SHORTEST <= seconds <= _LONGEST:
        raise ValueError(f'"{text}" is out of bounds: it must be from 100ms to 1h')
    return seconds


def _history(interval: float) -> Callable[[str], int]:
    def read(text: str) -> int:
        window = Window.parse(text)
        if window.seconds < 2 * interval:
            shortest = format_duration(-int(-2 * interval // 1))
            raise ValueError(f'"{text}" is shorter than two intervals: numbers need two scrapes, so the least is {shortest}')
        return window.seconds

    return read
