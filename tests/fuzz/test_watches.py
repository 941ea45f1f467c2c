"""Watches that nobody in his senses asks for: each is refused, or ends when it is told to, and leaves nothing behind."""

from __future__ import annotations

import random
from contextlib import ExitStack
from urllib.parse import quote, urlencode

import pytest

from tests.fuzz.campaign import learn
from tests.fuzz.grammar import Shaped
from tests.fuzz.process import Target
from tests.fuzz.rules import Rules
from tests.fuzz.values import ACCEPTS, GOOD, HOSTILE, NAMES, NAMESPACES, UNWELL
from tests.fuzz.wire import Connection, Misbehaved, Request

pytestmark = pytest.mark.usefixtures("unharmed")

_TRUE = ("true", "1", "", "yes", "TRUE", "2")
_OPTIONS = {
    "sendInitialEvents": ("true", "false", "1", "no"),
    "resourceVersionMatch": ("NotOlderThan", "Exact", "Newest"),
    "allowWatchBookmarks": ("true", "false", "x"),
    "resourceVersion": ("", "0", "1", "1795300000", "9999999999999", "9223372036854775808", "x"),
    "labelSelector": GOOD["labelSelector"],
    "fieldSelector": GOOD["fieldSelector"],
    "window": ("30s", "0"),
    "limit": ("1", "x"),
    "includeObject": GOOD["includeObject"],
    "continue": ("", "x"),
    "pretty": ("true",),
}


def test_generated_watches_are_refused_or_end_in_time(target: Target, seed: str):
    document, _ = learn(lambda: Connection(target.plain))
    rules = Rules(document)
    generator = random.Random(seed)
    watches = [_watch(generator, sorted(document["paths"])) for _ in range(400)]
    events = 0
    with ExitStack() as stack:
        connections = [stack.enter_context(Connection(target.plain)) for _ in watches]
        for connection, watch in zip(connections, watches, strict=True):
            connection.send(watch.request.encode())
        for connection, watch in zip(connections, watches, strict=True):
            response = connection.receive()
            assert response is not None, (seed, watch)
            try:
                events += rules.check_watch(watch, response)
            except Misbehaved as error:
                raise Misbehaved(f"{error}\n{seed}: {watch}\n{response}") from error
    assert events > len(watches) / 10


@pytest.mark.parametrize("end", ["closed", "reset"])
def test_watchers_may_go_away_at_any_moment(target: Target, end: str):
    connections = [Connection(target.plain) for _ in range(300)]
    for number, connection in enumerate(connections):
        namespace = NAMESPACES[number % len(NAMESPACES)]
        path = f"/apis/metrics.smi-spec.io/v1alpha1/namespaces/{namespace}/deployments?watch=1&timeoutSeconds=30"
        connection.send(Request(b"GET", path.encode(), ((b"Host", b"localhost"),)).encode())
        if number % 3 == 0:
            connection.receive_head()
    for connection in connections:
        if end == "reset":
            connection.reset()
        else:
            connection.close()


def _watch(generator: random.Random, paths: list[str]) -> Shaped:
    path = generator.choice(paths)
    path = path.replace("{namespace}", generator.choice((*NAMESPACES, *UNWELL))).replace("{name}", generator.choice(NAMES))
    if generator.random() < 0.1:
        path = path.replace("/v1alpha1/", "/v1alpha1/watch/")
    pairs = [("watch", generator.choice(_TRUE)), ("timeoutSeconds", "1")]
    for name, values in _OPTIONS.items():
        if generator.random() < 0.2:
            pairs.append((name, generator.choice(values)))
    if generator.random() < 0.1:
        pairs.append((generator.choice(list(_OPTIONS)), generator.choice(HOSTILE)))
    query = urlencode(pairs, quote_via=quote, errors="surrogatepass")
    accept = b"application/json" if generator.random() < 0.7 else generator.choice(ACCEPTS)
    return Shaped(Request(b"GET", f"{path}?{query}".encode(), ((b"Host", b"localhost"), (b"Accept", accept))))
