"""Calls to a metrics-api over a real socket: bounded in time and number, made again only where that helps, verified where TLS is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from backends.linkerd.client import VizClient
from backends.linkerd.requests import totals
from backends.linkerd.settings import LinkerdSettings
from backends.transport import TlsSettings
from metrics_api import BackendError, BackendRefused, BackendTimeout, BackendUnavailable, ResourceRef, Window
from tests.backends.linkerd.stub import Fault, Row, Stub, row, serve
from tests.doubles.authority import CLIENT, SERVER, Authority

WEB = ResourceRef("Deployment", "shop", "web")
ASK = totals("Deployment", Window(90), "shop")


def settings_of(stub: Stub, timeout: int = 5, concurrency: int = 4, tls: TlsSettings | None = None) -> LinkerdSettings:
    return LinkerdSettings("viz", stub.address, timeout, concurrency, tls)


async def asked(stub: Stub, settings: LinkerdSettings | None = None) -> list[Row]:
    async with VizClient(settings or settings_of(stub)) as client:
        return list(await client.stat_summary(ASK))


async def test_a_question_reaches_the_metrics_api_as_it_was_asked_and_its_rows_come_back():
    async with serve(Stub(lambda _: [row(WEB, 3, 1)])) as stub:
        assert await asked(stub) == [row(WEB, 3, 1)]
    assert stub.asked == [ASK]
    assert stub.asked[0].time_window == "90s"


async def test_every_call_has_a_deadline():
    async with serve(Stub()) as stub:
        await asked(stub, settings_of(stub, timeout=3))
    (left,) = stub.time_left
    assert left is not None
    # What is left is rounded up on its way.
    assert 0 < left < 4


async def test_no_more_calls_are_under_way_than_configured():
    async with serve(Stub(delay=0.02)) as stub, VizClient(settings_of(stub, concurrency=2)) as client:
        await asyncio.gather(*(client.stat_summary(ASK) for _ in range(8)))
    assert stub.busiest == 2


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        pytest.param(grpc.StatusCode.UNAVAILABLE, 2, id="nobody there: once more"),
        pytest.param(grpc.StatusCode.UNKNOWN, 1, id="a query that failed would fail again"),
        pytest.param(grpc.StatusCode.PERMISSION_DENIED, 1, id="nor is anybody let in who was not"),
        pytest.param(grpc.StatusCode.RESOURCE_EXHAUSTED, 1, id="and one that is too busy is left alone"),
    ],
)
async def test_a_call_is_made_again_only_where_nobody_was_there_and_only_once(code: grpc.StatusCode, calls: int):
    def fail(_: object) -> list[Row]:
        raise Fault(code, "no")

    async with serve(Stub(fail)) as stub:
        with pytest.raises(BackendError):
            await asked(stub)
    assert len(stub.asked) == calls


async def test_what_was_not_there_for_a_moment_is_no_error():
    answers = iter([Fault(grpc.StatusCode.UNAVAILABLE), None])

    def once(_: object) -> list[Row]:
        fault = next(answers)
        if fault is not None:
            raise fault
        return [row(WEB, 1, 0)]

    async with serve(Stub(once)) as stub:
        assert await asked(stub) == [row(WEB, 1, 0)]


async def test_it_is_found_again_within_seconds_of_coming_back():
    async with serve(Stub()) as stub:
        address, settings = stub.address, settings_of(stub)
        client = await VizClient(settings).__aenter__()
        await client.stat_summary(ASK)
    try:
        with pytest.raises(BackendUnavailable):
            await client.stat_summary(ASK)
        async with serve(Stub(), address=address), asyncio.timeout(4):
            while True:
                try:
                    await client.stat_summary(ASK)
                    break
                except BackendUnavailable:
                    await asyncio.sleep(0.05)
    finally:
        await client.__aexit__(None, None, None)


async def test_a_proxy_of_the_environment_is_not_for_the_cluster(monkeypatch: pytest.MonkeyPatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "grpc_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    async with serve(Stub()) as stub:
        assert await asked(stub) == []


async def test_who_cancels_a_question_ends_the_call():
    async with serve(Stub(delay=60)) as stub, VizClient(settings_of(stub, timeout=60)) as client:
        call = asyncio.ensure_future(client.stat_summary(ASK))
        await stub.began.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(2):
            await stub.ended.wait()


async def test_closing_ends_what_is_under_way_as_an_error_and_not_as_a_cancellation():
    async with serve(Stub(delay=60)) as stub:
        async with VizClient(settings_of(stub, timeout=60)) as client:
            call = asyncio.ensure_future(client.stat_summary(ASK))
            await stub.began.wait()
        with pytest.raises(BackendUnavailable, match="closed"):
            await call
        with pytest.raises(BackendUnavailable, match="not open"):
            await client.stat_summary(ASK)


async def test_a_server_that_takes_too_long_is_given_up():
    async with serve(Stub(delay=60)) as stub:
        with pytest.raises(BackendTimeout, match="within 1s"):
            await asked(stub, settings_of(stub, timeout=1))


async def test_a_table_that_is_large_arrives():
    rows = [row(ResourceRef("Deployment", "shop", f"web-{number:060}"), number, 0) for number in range(60_000)]
    async with serve(Stub(lambda _: rows)) as stub:
        assert len(await asked(stub)) == 60_000


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of one authority: its own, and a client's certificate and key; and the file of another authority. Server certificates, too."""
    folder, authority = tmp_path_factory.mktemp("viz"), Authority("viz")
    files = {"ca": folder / "ca.crt", "other": folder / "other.crt"}
    files["ca"].write_text(authority.pem)
    files["other"].write_text(Authority("somebody else").pem)
    here = authority.issue("viz", usage=(SERVER,), names=("127.0.0.1",))
    elsewhere = authority.issue("elsewhere", usage=(SERVER,), names=("elsewhere.example.com",))
    for name, credential in (("here", here), ("elsewhere", elsewhere), ("client", authority.issue("us", usage=(CLIENT,)))):
        files[name], files[f"{name}-key"] = credential.save(folder, name)
    both = folder / "both.pem"
    both.write_bytes(files["client"].read_bytes() + files["client-key"].read_bytes())
    return {name: str(path) for name, path in {**files, "both": both}.items()}


def server(certificates: dict[str, str], name: str = "here", *, mutual: bool = False) -> grpc.ServerCredentials:
    chain, key, authority = (Path(certificates[each]).read_bytes() for each in (name, f"{name}-key", "ca"))
    return grpc.ssl_server_credentials([(key, chain)], authority if mutual else None, mutual)


async def test_with_tls_the_server_is_verified(certificates: dict[str, str]):
    async with serve(Stub(), server(certificates)) as stub:
        assert await asked(stub, settings_of(stub, tls=TlsSettings(ca_file=certificates["ca"]))) == []


@pytest.mark.parametrize(
    ("shown", "trusted"),
    [
        pytest.param("here", "other", id="another authority"),
        pytest.param("elsewhere", "ca", id="another name"),
        pytest.param("here", "", id="us"),
    ],
)
async def test_a_server_that_cannot_be_verified_is_refused(certificates: dict[str, str], shown: str, trusted: str):
    async with serve(Stub(), server(certificates, shown)) as stub:
        with pytest.raises(BackendRefused, match=r"is not trusted; set tls\.caFile"):
            await asked(stub, settings_of(stub, tls=TlsSettings(ca_file=certificates.get(trusted, ""))))
    assert stub.asked == []


@pytest.mark.parametrize("shown", [("client", "client-key"), ("both", "")], ids=["two files", "one file"])
async def test_a_certificate_of_ours_is_shown_to_who_asks_for_one(certificates: dict[str, str], shown: tuple[str, str]):
    certificate, key = (certificates.get(name, "") for name in shown)
    tls = TlsSettings(ca_file=certificates["ca"], cert_file=certificate, key_file=key)
    async with serve(Stub(), server(certificates, mutual=True)) as stub:
        assert await asked(stub, settings_of(stub, tls=tls)) == []


async def test_a_file_that_is_gone_is_named(certificates: dict[str, str]):
    async with serve(Stub(), server(certificates)) as stub:
        with pytest.raises(BackendRefused, match=r'"/no/such/ca\.crt" of "tls" cannot be read'):
            await asked(stub, settings_of(stub, tls=TlsSettings(ca_file="/no/such/ca.crt")))


def test_it_runs_in_the_loop_that_the_server_runs_in():
    code = """
import asyncio, sys, uvloop
from tests.backends.linkerd.stub import Stub, serve
from tests.backends.linkerd.test_client import asked
async def main():
    async with serve(Stub()) as stub:
        assert await asked(stub) == []
uvloop.run(main())
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
