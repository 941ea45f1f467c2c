"""Bytes that are no TLS, or a TLS the server does not speak: the end of the connection, and nothing else."""

from __future__ import annotations

import random
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.doubles.authority import Authority
from tests.fuzz.process import Target
from tests.fuzz.wire import PATIENCE, Connection

pytestmark = pytest.mark.usefixtures("unharmed")

PLAIN = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@contextmanager
def dialled(target: Target) -> Iterator[socket.socket]:
    """A connection to the TLS port that speaks whatever it likes."""
    with socket.create_connection(("127.0.0.1", target.tls), PATIENCE) as connection:
        yield connection


def replied(connection: socket.socket) -> bytes:
    """Everything that comes until the server closes."""
    received = b""
    try:
        while data := connection.recv(65_536):
            received += data
    except ConnectionError:
        pass
    return received


def told(target: Target, data: bytes) -> bytes:
    """What the server replies to some bytes, until it closes."""
    with dialled(target) as connection:
        try:
            connection.sendall(data)
        except ConnectionError:
            return b""
        return replied(connection)


def trusting(target: Target) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=target.authority.pem)


def hello(target: Target, context: ssl.SSLContext | None = None) -> bytes:
    """A valid first message of a client."""
    outgoing = ssl.MemoryBIO()
    client = (context or trusting(target)).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PLAIN, id="plain HTTP"),
        pytest.param(b"\0" * 5_000, id="zeros"),
        pytest.param(b"\xff" * 5_000, id="ones"),
        pytest.param(bytes(range(256)) * 200, id="every byte"),
        pytest.param(b"\x16\x03\x01\xff\xff" + b"\0" * 70_000, id="a record that is too long"),
        pytest.param(b"\x16\x03\x01\x00\x00" * 1_000, id="empty records"),
        pytest.param(b"\x17\x03\x03\x00\x05hello", id="data before a handshake"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x28", id="an alert first"),
        pytest.param(b"\x14\x03\x03\x00\x01\x01", id="a change of ciphers first"),
        pytest.param(b"\x18\x03\x03\x00\x03\x01\xff\xff", id="heartbleed"),
        pytest.param(b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\0" * 37, id="SSL 2"),
        pytest.param(b"\x16\x03\x00\x00\x2d\x01\x00\x00\x29\x03\x00" + b"\0" * 39, id="SSL 3"),
        pytest.param(b"SSH-2.0-x\r\n", id="SSH"),
        pytest.param(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", id="the PROXY protocol"),
    ],
)
def test_what_is_no_handshake_ends_the_connection(target: Target, data: bytes):
    reply = told(target, data)
    assert len(reply) < 100, "more than an alert"
    assert b"HTTP" not in reply


def test_a_handshake_may_break_off_at_any_byte(target: Target):
    message = hello(target)
    for length in range(0, len(message), 7):
        with dialled(target) as connection:
            connection.sendall(message[:length])
            if length % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_a_handshake_with_changed_bytes_ends_or_goes_on(target: Target, seed: str):
    generator = random.Random(seed)
    message = hello(target)
    with ExitStack() as stack:
        for _ in range(500):
            changed = bytearray(message)
            for _ in range(generator.randint(1, 8)):
                changed[generator.randrange(len(changed))] = generator.randrange(256)
            connection = stack.enter_context(dialled(target))
            connection.sendall(bytes(changed))
            if generator.random() < 0.5:
                connection.sendall(bytes(generator.randrange(256) for _ in range(200)))


def test_a_server_name_that_is_not_ascii_is_not_worth_a_traceback(target: Target):
    told(target, hello(target).replace(b"localhost", b"local\xff\xfest") + PLAIN)


def test_garbage_after_the_handshake_ends_the_connection(target: Target):
    for garbage in (b"\x17\x03\x03\x00\x40" + b"\0" * 64, b"\x16\x03\x03\x00\x04\0\0\0\0", PLAIN, b"\0" * 20_000):
        with dialled(target) as connection:
            wrapped = trusting(target).wrap_socket(connection, server_hostname="localhost")
            # Past the TLS layer of the client.
            with socket.socket(fileno=wrapped.detach()) as bare:
                bare.settimeout(PATIENCE)
                bare.sendall(garbage)
                assert b"HTTP" not in replied(bare)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
def test_old_versions_are_refused(target: Target, version: ssl.TLSVersion):
    context = trusting(target)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
    assert told(target, hello(target, context))[:1] in (b"", b"\x15"), "more than an alert"


def test_a_client_cannot_renegotiate(target: Target):
    """Each time would cost the server much more than the client; ``R`` makes openssl ask for it."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{target.tls}", "-tls1_2", "-legacy_renegotiation"]
    run = subprocess.run(command, input="R\n", capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "no renegotiation" in run.stderr


def served(target: Target, context: ssl.SSLContext) -> bytes:
    """What a client with these certificates is answered over HTTP; a refusal may also come as a reset."""
    try:
        with Connection(target.tls, context) as connection:
            connection.send(PLAIN)
            return connection.rest()
    except OSError:
        return b""


@pytest.mark.parametrize("known", [True, False], ids=["a known authority", "an unknown authority"])
def test_a_chain_of_hundreds_of_certificates_is_refused(target: Target, *, known: bool):
    authority = target.clients if known else Authority("client-ca")
    credential = authority.issue("jane").with_intermediates(*(Authority(f"between-{number}").certificate for number in range(400)))
    context = trusting(target)
    context.load_cert_chain(*target.save(credential, "long"))
    assert served(target, context) == b""


def test_certificates_nobody_knows_do_not_get_in(target: Target):
    for number in range(20):
        context = trusting(target)
        context.load_cert_chain(*target.save(Authority("client-ca").issue(f"nobody-{number}"), "unknown"))
        assert served(target, context) == b""
    context = trusting(target)
    context.load_cert_chain(*target.save(target.clients.issue("jane"), "known"))
    assert served(target, context).endswith(b"ok")


@pytest.mark.parametrize("port", ["plain", "tls"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_thousands_may_connect_and_go_away(target: Target, port: str, *, reset: bool):
    for _ in range(2_000):
        with socket.create_connection(("127.0.0.1", getattr(target, port)), PATIENCE) as connection:
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def test_those_who_say_nothing_keep_nobody_waiting(target: Target):
    half = hello(target)[:100]
    with ExitStack() as stack:
        for number in range(300):
            connection = stack.enter_context(dialled(target))
            if number % 2:
                connection.sendall(half)
        start = time.monotonic()
        for _ in range(10):
            with Connection(target.tls, trusting(target)) as connection:
                connection.send(PLAIN)
                assert connection.rest().endswith(b"\r\n\r\nok")
        assert time.monotonic() - start < PATIENCE
