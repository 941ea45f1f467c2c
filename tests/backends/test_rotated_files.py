"""Certificates that a source trusts and shows are replaced in place: what the files hold now counts, and without them nothing is asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key
from yarl import URL

from backends.cloudwatch.session import Aws
from backends.linkerd import LinkerdSettings
from backends.linkerd.client import VizClient
from backends.prometheus.client import PrometheusClient
from backends.rotation import Rotating
from backends.scrape import ScrapeSettings, Target
from backends.scrape.fetch import Fetcher, ScrapeFailed
from backends.transport import TlsSettings, read_tls
from metrics_api import BackendError, BackendRefused
from metrics_api.document import Problems, parse_document
from tests.backends.cloudwatch.opening import settings as aws_settings
from tests.backends.linkerd.stub import Stub, serve
from tests.backends.prometheus.queryapi import INSTANT, QueryApi, counted, query_api
from tests.backends.prometheus.queryapi import settings as store_settings
from tests.doubles.authority import CLIENT, SERVER, Authority
from tests.doubles.cloudwatch import run_aws
from tests.doubles.exporter import exporter
from tests.doubles.line import Line, State, open_line
from tests.doubles.small import SMALL

Ask = Callable[[], Awaitable[object]]
Asking = Callable[[str, TlsSettings], AbstractAsyncContextManager[Ask]]
Serving = Callable[[Authority, Path], AbstractAsyncContextManager[tuple[str, Callable[[], int]]]]
"""A server whose certificate an authority signed, which wants one of the same: where it is, and how often it was asked."""


def strict(authority: Authority, folder: Path) -> ssl.SSLContext:
    context = authority.server_context("localhost", "127.0.0.1", directory=folder)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.pem)
    return context


@asynccontextmanager
async def store(authority: Authority, folder: Path) -> AsyncIterator[tuple[str, Callable[[], int]]]:
    async with query_api(counted, strict(authority, folder)) as api:
        yield f"127.0.0.1:{URL(api.url).port}", lambda: len(api.everything)


@asynccontextmanager
async def ask_store(address: str, tls: TlsSettings) -> AsyncIterator[Ask]:
    async with PrometheusClient(store_settings(QueryApi(counted, f"https://{address}"), tls=tls)) as client:
        yield lambda: client.query("up", INSTANT)


@asynccontextmanager
async def proxy(authority: Authority, folder: Path) -> AsyncIterator[tuple[str, Callable[[], int]]]:
    async with exporter(b"up 1\n", strict(authority, folder)) as double:
        yield double.address, lambda: len(double.visits)


@asynccontextmanager
async def ask_proxy(address: str, tls: TlsSettings) -> AsyncIterator[Ask]:
    async with Fetcher(ScrapeSettings("mesh", SMALL, tls=tls)) as fetcher:
        yield lambda: fetcher.fetch(Target(address, scheme="https"))


@asynccontextmanager
async def aws(authority: Authority, folder: Path) -> AsyncIterator[tuple[str, Callable[[], int]]]:
    async with run_aws(context=strict(authority, folder)) as double:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in double.environment().items():
                patch.setenv(name, value)
            yield f"127.0.0.1:{URL(double.url).port}", lambda: len(double.calls)


@asynccontextmanager
async def ask_aws(address: str, tls: TlsSettings) -> AsyncIterator[Ask]:
    async with Aws(aws_settings(tls=tls, endpoint_url=f"https://{address}"), attempts=1) as session:
        yield lambda: session.call("cloudwatch", "list_metrics")


@asynccontextmanager
async def viz(authority: Authority, _: Path) -> AsyncIterator[tuple[str, Callable[[], int]]]:
    shown = authority.issue("viz", usage=(SERVER,), names=("127.0.0.1",))
    credentials = grpc.ssl_server_credentials([(shown.key_pem, shown.pem)], authority.pem.encode(), require_client_auth=True)
    async with serve(Stub(), credentials) as stub:
        yield stub.address, lambda: len(stub.asked)


@asynccontextmanager
async def ask_viz(address: str, tls: TlsSettings) -> AsyncIterator[Ask]:
    async with VizClient(LinkerdSettings("viz", address, tls=tls)) as client:
        yield lambda: client.edges("deployment")


SOURCES: Mapping[str, tuple[Serving, Asking]] = {
    "prometheus": (store, ask_store),
    "scrape": (proxy, ask_proxy),
    "cloudwatch": (aws, ask_aws),
    "linkerd": (viz, ask_viz),
}


def place(authority: Authority, folder: Path) -> TlsSettings:
    """The files that a source is configured with, as an authority would have them."""
    certificate, key = authority.issue("trafficmetrics", usage=(CLIENT,)).save(folder, "client")
    (folder / "ca.crt").write_text(authority.pem)
    return TlsSettings(str(folder / "ca.crt"), str(certificate), str(key))


async def lead(line: Line, address: str) -> None:
    """Have a line lead elsewhere, and hang up on all who use it."""
    line._port = int(address.rpartition(":")[2])
    await line.turn(State.CUT)
    await line.turn(State.CLEAR)


@pytest.mark.parametrize("name", SOURCES)
async def test_certificates_that_were_replaced_count_without_a_restart(name: str, tmp_path: Path):
    serving, asking = SOURCES[name]
    before, after = Authority("before"), Authority("after")
    for folder in ("old", "new", "ours"):
        (tmp_path / folder).mkdir()
    tls = place(before, tmp_path / "ours")
    async with (
        serving(before, tmp_path / "old") as (old, asked_before),
        serving(after, tmp_path / "new") as (new, asked_after),
        open_line(old) as line,
        asking(line.address, tls) as ask,
    ):
        await ask()
        assert asked_before() == 1
        await lead(line, new)
        with pytest.raises((BackendError, ScrapeFailed)):
            await ask()
        assert asked_after() == 0
        place(after, tmp_path / "ours")
        # Until then a channel of gRPC waits with connecting again.
        async with asyncio.timeout(5):
            while not asked_after():
                await ask()
        assert asked_before() == 1


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("file", ["ca.crt", "client.crt", "client.key"])
async def test_a_file_that_is_gone_or_empty_is_named_and_nothing_is_asked(name: str, file: str, tmp_path: Path):
    serving, asking = SOURCES[name]
    (tmp_path / "theirs").mkdir()
    authority = Authority("ours")
    tls = place(authority, tmp_path)
    path = tmp_path / file
    written = path.read_bytes()
    async with serving(authority, tmp_path / "theirs") as (address, asked), asking(address, tls) as ask:
        await ask()
        path.unlink()
        with pytest.raises((BackendRefused, ScrapeFailed)) as gone:
            await ask()
        path.write_bytes(b"")
        with pytest.raises((BackendRefused, ScrapeFailed)) as empty:
            await ask()
        path.write_bytes(written[:-40])
        with pytest.raises((BackendRefused, ScrapeFailed)) as broken:
            await ask()
        assert asked() == 1
        path.write_bytes(written)
        await ask()
        assert asked() == 2
    assert f'the file "{path}" of "tls" cannot be read' in str(gone.value)
    assert f'the file "{path}" of "tls" is empty' in str(empty.value)
    assert "are no PEM certificates with the key that belongs to them" in str(broken.value)
    assert str(path) in str(broken.value)
    told = "".join(str(each.value) for each in (gone, empty, broken))
    assert not [line for line in written.decode().splitlines() if line in told]


@pytest.mark.parametrize("name", ["prometheus", "scrape"])
async def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(name: str, tmp_path: Path):
    _, asking = SOURCES[name]
    tls = place(Authority("ours"), tmp_path)
    _encrypt(Path(tls.key_file))
    async with asking("127.0.0.1:1", tls) as ask:
        with pytest.raises((BackendRefused, ScrapeFailed), match="the key is encrypted") as caught:
            await ask()
    assert f'"{tls.key_file}"' in str(caught.value)


def test_an_encrypted_key_is_a_mistake_of_the_configuration(tmp_path: Path):
    tls = place(Authority("ours"), tmp_path)
    _encrypt(Path(tls.key_file))
    problems = Problems()
    text = f"tls: {{certFile: {tls.cert_file}, keyFile: {tls.key_file}}}"
    read_tls(parse_document(text, "server.yaml", problems).mapping(("tls",)))
    (told,) = problems.found
    assert "the key is encrypted" in str(told)


def _encrypt(key: Path) -> None:
    private = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))


async def test_what_is_in_use_is_closed_when_the_last_is_done(tmp_path: Path):
    file = tmp_path / "ca.crt"
    file.write_text("1")
    closed: list[str] = []

    @asynccontextmanager
    async def make() -> AsyncIterator[str]:
        text = file.read_text()
        yield text
        closed.append(text)

    rotating = Rotating("mesh", [str(file)], make)
    async with rotating.using() as first, rotating.using() as again:
        assert (first, again) == ("1", "1")
        file.write_text("second")
        async with rotating.using() as second:
            assert second == "second"
            assert closed == []
    assert closed == ["1"]
    await rotating.close()
    assert closed == ["1", "second"]


async def test_files_replaced_while_they_are_read_are_read_again(tmp_path: Path):
    file = tmp_path / "tls.crt"
    file.write_text("old")

    @asynccontextmanager
    async def make() -> AsyncIterator[str]:
        text = file.read_text()
        if text == "old":
            file.write_text("renewed")
            raise ssl.SSLError(1, "key values mismatch")
        yield text

    rotating = Rotating("mesh", [str(file)], make)
    async with rotating.using() as made:
        assert made == "renewed"
    await rotating.close()
