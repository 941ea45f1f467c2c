"""Configuration of a scrape source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields

from backends.dialects import Dialect, Temporality
from backends.dialects.configured import DIALECT, OVERRIDES, read_configured
from backends.dialects.overrides import Overrides
from backends.scrape.targets import Target, address, label_name, target_path
from backends.transport import Credentials, TlsSettings, read_credentials, read_tls
from metrics_api import Window, format_duration, parse_duration
from metrics_api.document import Node
from metrics_api.forms import DURATION, MAPPING, TEXT, choice, parsed, shape, short_duration, whole
from metrics_api.keys import Form, key, keys_of, names_of, nested, read_keys, required_of

__all__ = ["ScrapeSettings", "read_settings"]

_SHORTEST, _LONGEST = 0.1, 3600.0
_TARGETS = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"address": {"type": "string"}, "labels": MAPPING.schema, "path": {"type": "string"}},
                "required": ["address"],
                "additionalProperties": False,
            },
        ]
    },
}


def _seconds(text: str) -> float:
    seconds = float(parse_duration(text))
    if not _SHORTEST <= seconds <= _LONGEST:
        raise ValueError(f'"{text}" is out of bounds: it must be from 100ms to 1h')
    return seconds


@dataclass(frozen=True, slots=True)
class ScrapeSettings:
    """One scrape source.

    ``dialect`` has the ``overrides`` of the configuration in it. Times are seconds. ``path`` and ``scheme`` hold for targets that do not
    say otherwise. Of the ``series_limit``, at 60 samples (``longest_window / interval``) a series takes 0.9 KiB with Envoy's names, 1.7 KiB
    with Istio's long ones.
    """

    name: str
    dialect: Dialect = field(
        metadata=key(
            "a built-in [dialect](dialects.md), or the path of a file; not `auto`, since proxies cannot be asked",
            DIALECT,
            required=True,
        )
    )
    targets: tuple[Target, ...] = field(
        default=(),
        metadata=key(
            "the proxies: `host:port`, or `{address, labels, path}`; the labels are added to every series of the target",
            shape("a list", _TARGETS),
        ),
    )
    targets_file: str = field(
        default="",
        metadata=key("a file in the form of Prometheus' `file_sd_configs`, re-read when it changes", TEXT),
    )
    interval: float = field(
        default=5.0,
        metadata=key(
            "time between two scrapes of a target",
            parsed(_seconds, f"`{_SHORTEST * 1000:g}ms` to `1h`", schema=DURATION, write=short_duration),
        ),
    )
    timeout: float = field(
        default=5.0,
        metadata=key("for one scrape", parsed(_seconds, "at most `interval`", schema=DURATION), otherwise="`interval`"),
    )
    longest_window: int = field(
        default=300,
        metadata=key(
            "how much history is kept: two intervals at least",
            Form("`1s` to `24h`", DURATION, write=short_duration),
        ),
    )
    path: str = field(
        default="/stats/prometheus",
        metadata=key("where the page is", parsed(target_path, "a path")),
    )
    scheme: str = field(default="http", metadata=key("how the page is asked for", choice(("http", "https"))))
    credentials: Credentials = field(default_factory=Credentials, metadata=nested(Credentials))
    tls: TlsSettings = field(default_factory=TlsSettings, metadata=nested(TlsSettings, "tls."))
    series_limit: int = field(default=500_000, metadata=key("bound on the series of all targets together", whole(1, 100_000_000)))
    concurrency: int = field(default=64, metadata=key("scrapes under way at once", whole(1, 4096)))
    overrides: Overrides = field(
        default_factory=Overrides,
        metadata=key("what is to differ from the dialect, [see below](#overrides)", OVERRIDES, otherwise="nothing"),
    )


KEYS = ("name", "type", *names_of(keys_of(ScrapeSettings)))
_DEFAULTS = {each.name: each.default for each in fields(ScrapeSettings) if each.default is not MISSING}


def read_settings(node: Node, name: str) -> ScrapeSettings | None:
    """Settings from an entry of ``backends``; mistakes go to the node's problems, and None says that there were too many."""
    entries = node.mapping(KEYS, required=required_of(keys_of(ScrapeSettings)))
    configured = read_configured(entries, auto=False)
    told = _DEFAULTS | read_keys(ScrapeSettings, entries)
    interval, path, scheme = told["interval"], told["path"], told["scheme"]
    if "timeout" not in entries:
        told["timeout"] = interval
    elif told["timeout"] > interval:
        entries["timeout"].problem("a scrape must be over before the next one begins: timeout is at most interval")
    if "longestWindow" in entries:
        told["longest_window"] = entries["longestWindow"].read(_history(interval), told["longest_window"])
    else:
        told["longest_window"] = max(told["longest_window"], int(2 * interval))
    targets = [_target(item, path, scheme) for item in entries["targets"].items()] if "targets" in entries else []
    if not targets and not told["targets_file"]:
        node.problem('there is nothing to scrape: give "targets", "targetsFile" or both')
    for index, target in enumerate(targets):
        if target.address and target in targets[:index]:
            entries["targets"].items()[index].problem(f'"{target.address}" is given twice')
    credentials, tls = read_credentials(node, entries, name), read_tls(entries)
    if configured is None or configured.dialect is None:
        return None
    if any(view.native or view.temporality is Temporality.DELTA for view in configured.dialect.views):
        entries["dialect"].problem(
            f"dialect {configured.dialect.name} is of deltas or of native histograms, which proxies do not expose as text: "
            "ask the store that keeps them"
        )
        return None
    told |= {"targets": tuple(targets), "overrides": configured.overrides, "credentials": credentials, "tls": tls}
    return ScrapeSettings(name=name, dialect=configured.dialect, **told)


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


def _history(interval: float) -> Callable[[str], int]:
    def read(text: str) -> int:
        window = Window.parse(text)
        if window.seconds < 2 * interval:
            shortest = format_duration(-int(-2 * interval // 1))
            raise ValueError(f'"{text}" is shorter than two intervals: numbers need two scrapes, so the least is {shortest}')
        return window.seconds

    return read
