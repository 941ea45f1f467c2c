"""Expositions of known content: names that are anything but names, and native histograms in the protobuf format.

Source of the format: prometheus/client_model, io/prometheus/client/metrics.proto; families are delimited by their lengths.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping

from tests.doubles.exporter import page, sample

__all__ = ["HOSTILE", "MIXED", "NATIVE", "SCHEMA", "hostile_page", "native_page"]

HOSTILE = (
    "web",
    "we.b",
    "webb",
    'we"b',
    "we\\b",
    "we\nb",
    "we{b}",
    'web"} or vector(1) or response_total{deployment="web',
    "web|api",
    ".*",
    ".+",
    "[a-z]+",
    "(web)",
    "web$",
    "^web",
    "wéb",
    "網站",
    "🕸",
    "%s",
    "$1",
    "{deployment}",
    "we`b",
    "we\ufffdb",
    "we'b",
    "we\tb",
    "we\u2028b",
    "#web",
    "web ",
    " web",
)
"""Names to be told apart, and never to be read as anything but names."""


def hostile_page(elapsed: float) -> bytes:
    """Each name receives its own number of requests a second: 100 for the first, 200 for the second and so on."""
    lines = [
        sample("response_total", math.floor(100 * (at + 1) * elapsed), **_inbound("hostile", name), classification="success")
        for at, name in enumerate(HOSTILE)
    ]
    return page("# TYPE response_total counter\n", *lines)


SCHEMA = 3
"""Bounds of native buckets grow by a factor of two to the power of two to the power of minus this: about 9 %."""

NATIVE = {"fast": ((3.0, 0.6), (14.0, 0.37), (80.0, 0.03)), "slow": ((120.0, 0.7), (900.0, 0.25), (4000.0, 0.05))}
"""Latencies of two workloads: milliseconds and shares."""

MIXED = "mixed"
"""A workload whose histogram is exposed in both forms under the same labels."""

_RATE = 1000.0


def native_page(elapsed: float) -> bytes:
    """Counts and native histograms of 1000 requests a second to each workload, in the delimited protobuf format."""
    count = math.floor(_RATE * elapsed)
    names = [*NATIVE, MIXED]
    counters = [_counter(_inbound("", name) | {"classification": "success"}, count) for name in names]
    histograms = [_native(_inbound("", name), count, NATIVE[name]) for name in NATIVE]
    histograms.append(_native(_inbound("", MIXED), count, NATIVE["fast"]))
    classic = [
        _counter(_inbound("", MIXED) | {"le": le}, math.floor(count * share))
        for le, share in (("10", 0.6), ("100", 1.0), ("+Inf", 1.0))
    ]
    return b"".join(
        [
            _family("response_total", 0, counters),
            _family("response_latency_ms", 4, histograms),
            _family("response_latency_ms_bucket", 0, classic),
        ]
    )


def _inbound(namespace: str, name: str) -> dict[str, str]:
    labels = {"direction": "inbound", "deployment": name, "target_port": "8080"}
    return labels | ({"namespace": namespace} if namespace else {})


def _family(name: str, kind: int, metrics: Iterable[bytes]) -> bytes:
    body = _bytes(1, name.encode()) + _number(3, kind) + b"".join(_bytes(4, metric) for metric in metrics)
    return _varint(len(body)) + body


def _labels(labels: Mapping[str, str]) -> bytes:
    return b"".join(_bytes(1, _bytes(1, name.encode()) + _bytes(2, value.encode())) for name, value in labels.items())


def _counter(labels: Mapping[str, str], value: float) -> bytes:
    return _labels(labels) + _bytes(3, _double(1, value))


def _native(labels: Mapping[str, str], count: int, latency: tuple[tuple[float, float], ...]) -> bytes:
    """A native histogram: spans of populated buckets, and the count of each as the difference to the one before."""
    counts = {_bucket(value): math.floor(count * share) for value, share in latency}
    total = sum(counts.values())
    spans, deltas = b"", b""
    last, previous = -1, 0
    for index in sorted(counts):
        # The first offset is where the first span begins; each later one is the gap since the span before.
        offset = index if last < 0 else index - last - 1
        spans += _bytes(12, _number(1, _zigzag(offset)) + _number(2, 1))
        deltas += _number(13, _zigzag(counts[index] - previous))
        last, previous = index, counts[index]
    mean = sum(value * share for value, share in latency)
    histogram = _number(1, total) + _double(2, mean * count) + _number(5, _zigzag(SCHEMA)) + _double(6, 1e-128) + _number(7, 0)
    return _labels(labels) + _bytes(7, histogram + spans + deltas)


def _bucket(value: float) -> int:
    """The index of the bucket that holds ``value``: its upper bound is two to the power of ``index / 2**SCHEMA``."""
    return math.ceil(math.log2(value) * 2**SCHEMA)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
