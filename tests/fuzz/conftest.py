"""The server that is abused, one for each file of tests; how it has to be after each of them; and the seed of what is drawn."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

import pytest

from tests.fuzz.process import Target, run_target
from tests.fuzz.target import Measure
from tests.fuzz.wire import Connection, Open, Request

_LIVEZ = Request(b"GET", b"/livez", ((b"Host", b"localhost"), (b"Connection", b"close"))).encode()


@pytest.fixture(scope="session")
def seed() -> str:
    """``TRAFFICMETRICS_FUZZ_SEED`` gives the requests of an earlier run again, or others; a test that fails prints it."""
    return os.environ.get("TRAFFICMETRICS_FUZZ_SEED", "1795300000")


@pytest.fixture(scope="session")
def amount() -> int:
    """``TRAFFICMETRICS_FUZZ_REQUESTS``: how many generated requests are sent."""
    return int(os.environ.get("TRAFFICMETRICS_FUZZ_REQUESTS", "100000"))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server for the tests of one file."""
    with run_target(tmp_path_factory.mktemp("target")) as running:
        yield running


@pytest.fixture(params=["http", "https"])
def dial(request: pytest.FixtureRequest, target: Target) -> Open:
    """Opens connections, of either kind."""
    if request.param == "http":
        return lambda: Connection(target.plain)
    context = ssl.create_default_context(cadata=target.authority.pem)
    return lambda: Connection(target.tls, context)


@pytest.fixture(scope="module")
def fresh(target: Target) -> Measure:
    """What the server holds while nobody is connected, after it has been used."""
    context = ssl.create_default_context(cadata=target.authority.pem)
    for connection in (Connection(target.plain), Connection(target.tls, context)):
        with connection:
            connection.send(_LIVEZ)
            assert connection.rest()
    return target.settled(Measure(0, 0, 0, 0), patience=0.5)


@pytest.fixture
def unharmed(target: Target, fresh: Measure) -> Iterator[None]:
    """After the test the server answers at once, holds nothing of it, and has nothing to complain of."""
    logged = len(target.log)
    yield
    with Connection(target.plain, patience=2) as connection:
        connection.send(_LIVEZ)
        response = connection.receive()
    assert response is not None
    assert response.body == b"ok"
    after = target.settled(fresh)
    assert after.descriptors <= fresh.descriptors
    assert after.tasks <= fresh.tasks
    assert target.log[logged:] == ""
