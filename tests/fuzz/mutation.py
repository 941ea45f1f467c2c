"""Valid requests with some bytes changed: what a parser meets that nobody would write."""

from __future__ import annotations

import random

__all__ = ["changed"]

_PLAIN = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
_LIST = b"/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/deployments"
_SEEDS = (
    _PLAIN,
    b"GET "
    + _LIST
    + b"?window=30s&limit=1&labelSelector=app%3Dweb HTTP/1.1\r\nHost: localhost\r\nAccept: application/yaml\r\n\r\n",
    b"POST " + _LIST + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nabcde" + _PLAIN,
    b"PUT "
    + _LIST
    + b"/web HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nabcde\r\n0\r\nX: y\r\n\r\n"
    + _PLAIN,
    b"GET /metrics/../readyz?verbose HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + _PLAIN,
)
_PIECES = (
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b" ",
    b":",
    b"%",
    b"/",
    b"?",
    b"\t",
    b",",
    b"0",
    b"-1",
    b"\r\n\r\n",
    b"Host: x\r\n",
)


def changed(generator: random.Random) -> bytes:
    """One or two requests on one connection, with one to four changes; no watch."""
    data = generator.choice(_SEEDS)
    for _ in range(generator.randint(1, 4)):
        at = generator.randrange(len(data))
        match generator.randrange(5):
            case 0:
                data = data[:at] + bytes([generator.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[at + generator.randint(1, 8) :]
            case 2:
                data = data[:at] + generator.choice(_PIECES) + data[at:]
            case 3:
                data = data[:at] + data[at : at + generator.randint(1, 40)] + data[at:]
            case _:
                data = data[:at] + generator.choice(_PIECES) + data[at + 1 :]
    return data
