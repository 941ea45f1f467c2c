"""Bytes that are no HTTP, or no HTTP two servers would read alike: at most one answer, and then the end of the connection."""

from __future__ import annotations

import random
import time

import pytest

from tests.fuzz.mutation import changed
from tests.fuzz.process import Target
from tests.fuzz.rules import DOCUMENTED
from tests.fuzz.target import Measure
from tests.fuzz.wire import Connection, Open, Response

pytestmark = pytest.mark.usefixtures("unharmed")

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
PLAIN = HEAD + b"\r\n"
LAST = HEAD + b"Connection: close\r\n\r\n"
SECOND = b"GET /livez?second HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""A request that another server may have meant to be part of the body of the first."""
LIST = b"/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/deployments"


def answers(connection: Connection) -> list[Response]:
    """Every response until the server closes."""
    responses = []
    while (response := connection.receive()) is not None:
        assert response.status in DOCUMENTED, response
        assert len(response.values("audit-id")) == 1, response
        responses.append(response)
    return responses


def told(dial: Open, data: bytes) -> list[int]:
    """The statuses of all answers to some bytes, until the server closes."""
    with dial() as connection:
        connection.send(data)
        return [response.status for response in answers(connection)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET /livez\r\n\r\n", id="HTTP 0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", id="the preface of HTTP 2"),
        pytest.param(PLAIN.replace(b"HTTP/1.1", b"HTTP/1.2"), id="HTTP 1.2"),
        pytest.param(PLAIN.replace(b"HTTP/1.1", b"http/1.1"), id="http in small letters"),
        pytest.param(PLAIN.replace(b"HTTP/1.1", b"HTTP/1.1 x"), id="a word too many"),
        pytest.param(PLAIN.replace(b"HTTP/1.1", b"HTTP/11"), id="a version without a point"),
        pytest.param(PLAIN.replace(b"HTTP/1.1", b"ICE/1.0"), id="another protocol"),
        pytest.param(b"GET /livez HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(HEAD + b"Host: localhost\r\n\r\n", id="two hosts alike"),
        pytest.param(HEAD + b"Host: evil.example\r\n\r\n", id="two hosts"),
        pytest.param(PLAIN.replace(b"Host:", b"Host :"), id="a space before the colon"),
        pytest.param(PLAIN.replace(b"Host:", b" Host:"), id="a first header that is folded"),
        pytest.param(HEAD + b"X: a\r\n b\r\n\r\n", id="a folded header"),
        pytest.param(HEAD + b": a\r\n\r\n", id="a header without a name"),
        pytest.param(HEAD + b"X\r\n\r\n", id="a header without a colon"),
        pytest.param(HEAD + b"X(: a\r\n\r\n", id="a name that is none"),
        pytest.param(HEAD + b"X\xff: a\r\n\r\n", id="a name that is not ASCII"),
        pytest.param(HEAD + b"X: a\0b\r\n\r\n", id="a zero byte in a value"),
        pytest.param(HEAD + b"X\0: a\r\n\r\n", id="a zero byte in a name"),
        pytest.param(HEAD + b"X: a\rb\r\n\r\n", id="a carriage return in a value"),
        pytest.param(HEAD + b"X: a\x7f\x01\r\n\r\n", id="a control character in a value"),
        pytest.param(PLAIN.replace(b"/livez", b"/live\0z"), id="a zero byte in the target"),
        pytest.param(PLAIN.replace(b"/livez", b"/live z"), id="a space in the target"),
        pytest.param(PLAIN.replace(b"/livez", b"livez"), id="a target without a slash"),
        pytest.param(PLAIN.replace(b"/livez", b"http://"), id="a target without an authority"),
        pytest.param(PLAIN.replace(b"/livez", b"http://[::1"), id="a target with half an address"),
        pytest.param(PLAIN.replace(b"/livez", b"*"), id="GET of everything"),
        pytest.param(PLAIN.replace(b"/livez", b""), id="no target"),
        pytest.param(b" " + PLAIN, id="a space first"),
        pytest.param(PLAIN.replace(b"GET", b"G\0T"), id="a zero byte in the method"),
        pytest.param(PLAIN.replace(b"GET", b"get"), id="a method in small letters"),
        pytest.param(PLAIN.replace(b"\r\n", b"\n"), id="line feeds alone"),
        pytest.param(PLAIN.replace(b"\r\n", b"\r"), id="carriage returns alone"),
        pytest.param(HEAD + b"X: a\n\r\n", id="one line feed alone"),
        pytest.param(b"\0" * 1_000, id="zeros"),
        pytest.param(bytes(range(256)) * 40, id="every byte"),
        pytest.param(b"\x05\x01\x00", id="SOCKS"),
        pytest.param(b"EHLO example\r\n", id="SMTP"),
        pytest.param(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + PLAIN, id="the PROXY protocol"),
        pytest.param(b"GET /" + b"a" * 10_000_000, id="a target without an end"),
        pytest.param(HEAD + b"X: " + b"a" * 10_000_000, id="a value without an end"),
        pytest.param(HEAD + b"X" * 10_000_000, id="a name without an end"),
        pytest.param(HEAD + b"A: b\r\n" * 1_000_000, id="headers without an end"),
    ],
)
def test_what_is_no_request_is_refused_once(dial: Open, data: bytes):
    statuses = told(dial, data + SECOND)
    assert statuses in ([400], [431])


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0"], ids=["0.9", "2.0"])
def test_other_versions_are_not_spoken(dial: Open, version: bytes):
    assert told(dial, LAST.replace(b"HTTP/1.1", version)) in ([400], [505])


def test_a_request_without_a_version_is_refused(dial: Open):
    assert told(dial, b"GET /livez\r\n\r\n") in ([400], [505])


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param(b"Content-Length: -1\r\n", id="a negative length"),
        pytest.param(b"Content-Length: +4\r\n", id="a length with a sign"),
        pytest.param(b"Content-Length: 0x4\r\n", id="a hexadecimal length"),
        pytest.param(b"Content-Length: 4 4\r\n", id="a length with a space"),
        pytest.param(b"Content-Length: 4, 4\r\n", id="a list of lengths"),
        pytest.param(b"Content-Length: 4;\r\n", id="a length with a semicolon"),
        pytest.param(b"Content-Length: \xb2\r\n", id="a superscript length"),
        pytest.param(b"Content-Length: 4\x0b\r\n", id="a length and a vertical tab"),
        pytest.param(b"Content-Length: 18446744073709551616\r\n", id="a length beyond 64 bits"),
        pytest.param(b"Content-Length: " + b"9" * 1_000 + b"\r\n", id="a length of a thousand digits"),
        pytest.param(b"Content-Length: \r\n", id="an empty length"),
        pytest.param(b"Content-Length: 4\r\nContent-Length: 4\r\n", id="two lengths alike"),
        pytest.param(b"Content-Length: 0\r\nContent-Length: 4\r\n", id="two lengths"),
        pytest.param(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", id="a length, then chunks"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", id="chunks, then a length"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", id="chunks, then no length"),
        pytest.param(b"Transfer-Encoding: identity\r\nContent-Length: 4\r\n", id="identity and a length"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n", id="nearly chunked"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n", id="chunked and then not"),
        pytest.param(b"Transfer-Encoding: chunked, chunked\r\n", id="chunked twice"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", id="chunked twice in two headers"),
        pytest.param(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", id="chunked in one header of two"),
        pytest.param(b"Transfer-Encoding: \x0bchunked\r\n", id="chunked after a vertical tab"),
        pytest.param(b'Transfer-Encoding: "chunked"\r\n', id="chunked in quotes"),
        pytest.param(b"Transfer-Encoding:\r\n chunked\r\n", id="chunked on the next line"),
        pytest.param(b"Transfer-Encoding : chunked\r\n", id="chunked with a space before the colon"),
        pytest.param(b"X: a\nTransfer-Encoding: chunked\r\n", id="chunked after a line feed"),
        pytest.param(b"X: a\rTransfer-Encoding: chunked\r\n", id="chunked after a carriage return"),
        pytest.param(b"\0Transfer-Encoding: chunked\r\n", id="chunked after a zero byte"),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"], ids=["GET", "POST"])
def test_a_body_whose_length_can_be_read_in_two_ways_smuggles_nothing(dial: Open, method: bytes, framing: bytes):
    request = HEAD.replace(b"GET", method) + framing + b"\r\n0\r\n\r\n" + SECOND
    assert told(dial, request) == [400]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\n\r\n", id="a size that is no number"),
        pytest.param(b"-1\r\n\r\n", id="a negative size"),
        pytest.param(b"0x0\r\n\r\n", id="a size with a prefix"),
        pytest.param(b" 0\r\n\r\n", id="a space before the size"),
        pytest.param(b"\r\n\r\n", id="no size"),
        pytest.param(b"10000000000000000\r\n\r\n", id="a size beyond 64 bits"),
        pytest.param(b"0" * 100_000 + b"g\r\n\r\n", id="endless zeros"),
        pytest.param(b"1\nx\n0\n\n", id="line feeds alone"),
        pytest.param(b"1\r\nxx\r\n0\r\n\r\n", id="a chunk that is too long"),
        pytest.param(b"1\r\nx0\r\n\r\n", id="a chunk that does not end"),
        pytest.param(b"0;a\nb\r\n\r\n", id="a line feed in an extension"),
        pytest.param(b"0;\0\r\n\r\n", id="a zero byte in an extension"),
        pytest.param(b"0\r\nX\r\n\r\n", id="a trailer without a colon"),
        pytest.param(b"0\r\nX : y\r\n\r\n", id="a trailer with a space before the colon"),
        pytest.param(b"0\r\n" + b"X: y\r\n" * 100_000 + b"\r\n", id="trailers without an end"),
    ],
)
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
def test_chunks_that_are_none_end_the_connection(dial: Open, body: bytes, *, later: bool):
    head = b"POST " + LIST + b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with dial() as connection:
        connection.send(head)
        if later:
            # The handler reads the body by now.
            time.sleep(0.02)
        connection.send(body + SECOND)
        assert [response.status for response in answers(connection)] in ([400], [405], [431])


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        pytest.param(LAST, [200], id="a plain request"),
        pytest.param(b"\r\n\r\n" + LAST, [200], id="empty lines first"),
        pytest.param(LAST.replace(b"/livez", b"http://localhost/livez"), [200], id="an absolute target"),
        pytest.param(LAST.replace(b"/livez", b"http://localhost"), [200], id="an absolute target without a path"),
        pytest.param(LAST.replace(b"GET /livez", b"OPTIONS *"), [404], id="options of everything"),
        pytest.param(LAST.replace(b"/livez", b"/livez#x?a=%"), [404], id="a fragment, which is part of the path"),
        pytest.param(LAST.replace(b"localhost", b"\tlocalhost \t"), [200], id="spaces around a value"),
        pytest.param(PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"), [200], id="HTTP 1.0"),
        pytest.param(PLAIN * 3 + LAST, [200] * 4, id="several at once"),
        pytest.param(HEAD + b"Content-Length: 5\r\n\r\nGET /" + LAST, [200, 200], id="a body like a request"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nGET /\r\n0\r\nX: y\r\n\r\n" + LAST, [200, 200], id="chunks"
        ),
        pytest.param(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nGET /" + LAST, [200, 200], id="an expected body"),
        pytest.param(HEAD + b"Expect: wonders\r\n\r\n" + LAST, [200, 200], id="an expectation"),
        pytest.param(HEAD + b"Expect: \xff\r\n\r\n" + LAST, [200, 200], id="an expectation that is not UTF-8"),
        pytest.param(
            HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\0\0\0\0" + LAST, [200, 200], id="a body that is no gzip"
        ),
        pytest.param(
            HEAD + b"Content-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + LAST,
            [200, 200],
            id="no brotli",
        ),
    ],
)
def test_what_is_unusual_and_allowed_is_answered(dial: Open, data: bytes, statuses: list[int]):
    # The plain port serves loopback by its own names, and everybody else is nobody.
    assert told(dial, data) == statuses


@pytest.mark.parametrize(
    "target_of",
    [b"OPTIONS *", b"CONNECT localhost:1", b"GET http://localhost", b"GET http://localhost/livez"],
    ids=["asterisk", "authority", "no path", "absolute"],
)
def test_an_expectation_that_is_not_utf_8_harms_no_form_of_target(dial: Open, target_of: bytes):
    with dial() as connection:
        connection.send(target_of + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: \xff\r\n\r\n")
        (response,) = answers(connection)
    assert response.status in (200, 401, 404, 405)


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c", b"SPDY/3.1", b"tcp", b"\xff"], ids=repr)
def test_nothing_behind_a_request_to_upgrade_is_lost(dial: Open, protocol: bytes):
    """Either it is answered, or the answer to the upgrade says that it is the last."""
    upgrade = HEAD + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
    with dial() as connection:
        connection.send(upgrade + PLAIN + LAST)
        responses = answers(connection)
    assert {response.status for response in responses} == {200}
    assert len(responses) == 3 or responses[-1].closes


def test_a_long_burst_is_answered_in_order(dial: Open):
    ids = [f"{number:08}" for number in range(500)]
    burst = b"".join(HEAD + b"Audit-Id: %b\r\n\r\n" % each.encode() for each in ids)
    with dial() as connection:
        connection.send(burst)
        responses = [connection.receive() for _ in ids]
    assert [response.value("audit-id") for response in responses if response is not None] == ids


@pytest.mark.parametrize("last", [b"nothing\r\n\r\n", LAST + SECOND], ids=["garbage", "more than was announced"])
def test_a_burst_that_ends_in_what_is_no_request_gets_one_refusal_at_its_end(dial: Open, last: bytes):
    *answered, refused = told(dial, PLAIN * 3 + last)
    assert (set(answered) | {200}, refused) == ({200}, 400)


def test_a_request_that_comes_byte_by_byte_is_answered(dial: Open):
    with dial() as connection:
        for position in range(len(LAST)):
            connection.send(LAST[position : position + 1])
        assert [response.status for response in answers(connection)] == [200]


@pytest.mark.parametrize("end", ["close", "reset", "finish"])
def test_a_client_may_go_away_at_any_byte(dial: Open, end: str):
    request = b"POST " + LIST + b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    for length in range(0, len(request) + 1, 3):
        with dial() as connection:
            connection.send(request[:length])
            if end == "reset":
                connection.reset()
            elif end == "finish":
                connection.finish()
                assert {response.status for response in answers(connection)} <= {405}


@pytest.mark.parametrize("piece", [b"/", b"/a", b"/.", b"%2f"], ids=["slashes", "segments", "dots", "encoded slashes"])
def test_a_path_of_very_many_parts_keeps_nobody_busy(target: Target, piece: bytes):
    """Ten such requests took a server four seconds that tried each prefix of the path."""
    path = b"/" + piece * (64_000 // len(piece))
    start = time.monotonic()
    with Connection(target.plain) as connection:
        connection.send((b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n") * 10)
        statuses = {response.status for response in [connection.receive() for _ in range(10)] if response is not None}
    assert statuses <= {200, 404}
    assert time.monotonic() - start < 1.5


def test_a_client_that_reads_nothing_is_not_answered_without_end(target: Target, fresh: Measure):
    """What it has not read stays in its socket; the server waits and holds no more than one answer."""
    asking = b"GET /openapi/v2 HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n" * 32
    connections = [Connection(target.plain, patience=0.05) for _ in range(20)]
    for connection in connections:
        for _ in range(40):
            try:
                connection.send(asking)
            except AssertionError:
                break
    held = target.measure()
    for connection in connections:
        connection.close()
    assert held.resident - fresh.resident < 64 * 1024 * 1024
    assert held.descriptors <= fresh.descriptors + len(connections)


def test_bytes_changed_at_random_are_answered_by_the_rules(dial: Open, seed: str):
    """Some bytes of a valid request are changed; whatever it has become, its answers are HTTP and not more than there can be requests."""
    generator = random.Random(seed)
    for _ in range(40):
        connections = []
        for _ in range(40):
            connection, data = dial(), changed(generator)
            connection.send(data)
            connections.append((connection, data))
        # By then everything that can be answered has been; the rest waits for bytes that do not come.
        time.sleep(0.05)
        for connection, data in connections:
            with connection:
                connection.finish()
                found = answers(connection)
                assert len(found) <= data.count(b"\r\n\r\n") + 1, (seed, data, found)
