"""Rotation: keys and authorities are replaced while the server runs, and nobody has to restart it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from tests.controlplane.parts import Parts
from tests.controlplane.pki import Authority
from tests.controlplane.plane import SERVICE_HOST, ControlPlane
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import SHOP_READER, populate
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, Server, configured, run_server

pytestmark = pytest.mark.real

SHOP = f"{GV}/namespaces/shop/deployments"
DISCOVERY = GV
ANN = {"X-Remote-User": SHOP_READER.name}


# The front proxy's authority


@pytest.fixture(scope="module")
async def rotated(
    parts: Parts, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Api, Authority]]:
    """The API behind a control plane of its own, after kube-apiserver was restarted with a new front proxy; and the old authority."""
    directory = tmp_path_factory.mktemp("rotated")
    (directory / "plane").mkdir()
    (directory / "server").mkdir()
    async with ControlPlane(parts, directory / "plane") as plane:
        await populate(plane)
        async with run_server(plane, directory / "server", configured(plane, prometheus.url)) as server:
            api = Api(plane, server)
            await api.register()
            assert (await api.proxied(SHOP, user=SHOP_READER)).status == 200
            old = plane.front_proxy_ca
            await plane.restart(front_proxy_ca=Authority("front-proxy-ca"))
            yield api, old


async def test_a_new_front_proxy_is_believed_within_seconds_of_its_start(rotated: tuple[Api, Authority]):
    api, _ = rotated
    start = time.monotonic()
    while (reply := await api.proxied(SHOP, user=SHOP_READER)).status != 200:
        # Far below the minute after which everything is read again.
        assert time.monotonic() - start < 25, reply
        await asyncio.sleep(0.1)
    refused = await api.proxied(f"{GV}/namespaces/data/deployments", user=SHOP_READER)
    assert refused.status == 403
    assert 'User "ann" cannot list' in refused.document["message"]


async def test_the_old_one_is_believed_until_it_is_taken_out(rotated: tuple[Api, Authority]):
    """While several kube-apiservers are rotated one by one, both authorities are published."""
    api, old = rotated
    tls = api.server.tls_with(old.client("front-proxy-client"))
    assert (await api.direct(SHOP, tls=tls, headers=ANN)).status == 200

    new = api.plane.front_proxy_ca
    connector = aiohttp.TCPConnector(ssl=tls, limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get(api.server.url + SHOP, headers=ANN) as kept:
            assert kept.status == 200
        patch = json.dumps({"data": {"requestheader-client-ca-file": new.certificate.decode()}})
        await api.prints("patch", "configmap", "extension-apiserver-authentication", "-n", "kube-system", f"--patch={patch}")
        await until_refused(api, tls)
        # A connection made before is no back door.
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(api.server.url + SHOP, headers=ANN) as late:
                assert late.status == 401
    assert (await api.proxied(SHOP, user=SHOP_READER)).status == 200
    assert api.server.daemon.exit_code() is None


async def until_refused(api: Api, tls: ssl.SSLContext) -> None:
    """Waits until this certificate does not connect any more."""
    start = time.monotonic()
    while time.monotonic() - start < 15:
        try:
            await api.direct(SHOP, tls=tls, headers=ANN)
        except (aiohttp.ClientError, OSError):
            return
        await asyncio.sleep(0.1)
    pytest.fail("the old front proxy still connects")


# The serving certificate


@pytest.fixture(scope="module")
async def renewable(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Api, Path]]:
    """A server whose certificate lies in files, as a mounted Secret has them: a link to a folder, which is replaced as a whole."""
    directory = tmp_path_factory.mktemp("renewable")
    (directory / "serving").mkdir()
    authority = Authority("serving-ca")
    mount(directory, authority, "first")
    (directory / "serving" / "ca.crt").write_bytes(authority.certificate)
    (directory / "serving" / "apiserver.key").touch()
    configuration = configured(api.plane, prometheus.url)
    configuration["server"] = {
        "tlsCertFile": str(directory / "mounted" / "tls.crt"),
        "tlsPrivateKeyFile": str(directory / "mounted" / "tls.key"),
    }
    async with run_server(api.plane, directory, configuration) as server:
        renewable = Api(api.plane, server)
        await renewable.register()
        yield renewable, directory
        await api.register()


def mount(directory: Path, authority: Authority, name: str) -> int:
    """Puts a new pair in the place of the old one, in one step as a kubelet does; its serial number."""
    pair = authority.server(SERVICE_HOST, "localhost", "127.0.0.1")
    folder = directory / name
    folder.mkdir()
    (folder / "tls.crt").write_bytes(pair.certificate)
    (folder / "tls.key").write_bytes(pair.key)
    swap(directory, folder)
    return x509.load_pem_x509_certificate(pair.certificate).serial_number


def swap(directory: Path, folder: Path) -> None:
    link = directory / "next"
    link.symlink_to(folder)
    link.replace(directory / "mounted")


async def serial(server: Server) -> int:
    """That of the certificate a new connection sees."""
    return x509.load_pem_x509_certificate(
        (await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", server.port))).encode()
    ).serial_number


async def ask_all_the_time(api: Api, answers: Counter[int]) -> None:
    while True:
        answers[(await api.proxied(SHOP, user=SHOP_READER)).status] += 1
        answers[(await api.direct(SHOP, user=SHOP_READER)).status] += 1
        await asyncio.sleep(0.05)


async def test_a_new_certificate_is_served_to_new_connections_and_no_request_fails(renewable: tuple[Api, Path]):
    api, directory = renewable
    before, answers = await serial(api.server), Counter[int]()
    asking = asyncio.ensure_future(ask_all_the_time(api, answers))
    # A new pair of the same authority, as a renewal makes it.
    authority = Authority("serving-ca")
    bundle = api.server.ca_bundle + authority.certificate
    patch = json.dumps({"spec": {"caBundle": base64.b64encode(bundle).decode()}})
    await api.prints("patch", "apiservice", "v1alpha1.metrics.smi-spec.io", f"--patch={patch}", "--type=merge")
    (directory / "serving" / "ca.crt").write_bytes(bundle)
    added = mount(directory, authority, "second")
    start = time.monotonic()
    while (seen := await serial(api.server)) == before:
        assert time.monotonic() - start < 25
        await asyncio.sleep(0.2)
    assert seen == added
    await asyncio.sleep(0.5)
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert set(answers) == {200}


async def test_a_broken_pair_is_not_taken(renewable: tuple[Api, Path]):
    api, directory = renewable
    before, mark = await serial(api.server), api.server.daemon.printed()
    mount(directory, Authority("serving-ca"), "mixed")
    (directory / "mixed" / "tls.key").write_bytes((directory / "first" / "tls.key").read_bytes())
    start = time.monotonic()
    while "stays in use" not in api.server.daemon.tail(since=mark):
        assert time.monotonic() - start < 25
        await asyncio.sleep(0.2)
    assert await serial(api.server) == before
    assert (await api.direct("/livez")).status == 200
