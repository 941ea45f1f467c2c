"""Identity: who connects to the server itself is whoever their credentials say, whatever their headers claim."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest

from tests.controlplane.pki import Authority
from tests.controlplane.plane import SERVICE_HOST
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import MONITOR, SHOP_READER, STRANGER, TOKEN_READER
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

SHOP = f"{GV}/namespaces/shop/deployments"
DATA = f"{GV}/namespaces/data/deployments"
CLAIMS = {"X-Remote-User": "system:admin", "X-Remote-Group": "system:masters"}


@pytest.mark.parametrize("headers", [{}, CLAIMS], ids=["nothing", "forged headers"])
async def test_without_credentials_somebody_is_anonymous(api: Api, headers: dict[str, str]):
    reply = await api.direct(SHOP, headers=headers)
    assert (reply.status, reply.document["kind"]) == (403, "Status")
    assert 'User "system:anonymous" cannot list resource "deployments"' in reply.document["message"]


async def test_a_client_certificate_is_believed(api: Api):
    assert (await api.direct(SHOP, user=SHOP_READER)).status == 200
    assert (await api.direct(DATA, user=SHOP_READER)).status == 403


@pytest.mark.parametrize("name", ["bob", "front-proxy-client"])
async def test_a_client_certificate_does_not_vouch_for_others(api: Api, name: str):
    tls = api.server.tls_with(api.plane.cluster_ca.client(name))
    reply = await api.direct(SHOP, tls=tls, headers=CLAIMS)
    assert reply.status == 403
    assert f'User "{name}" cannot list' in reply.document["message"]


async def test_the_front_proxy_vouches_for_its_users(api: Api):
    tls = api.server.tls_with(api.plane.front_proxy_ca.client("front-proxy-client"))
    assert (await api.direct(SHOP, tls=tls, headers={"X-Remote-User": "ann"})).status == 200
    reply = await api.direct(SHOP, tls=tls, headers={"X-Remote-User": "bob", "X-Remote-Group": "dev"})
    assert 'User "bob" cannot list' in reply.document["message"]


async def test_another_certificate_of_the_front_proxys_authority_is_refused(api: Api):
    tls = api.server.tls_with(api.plane.front_proxy_ca.client("somebody"))
    reply = await api.direct(SHOP, tls=tls, headers=CLAIMS)
    assert (reply.status, reply.document["reason"]) == (401, "Unauthorized")


async def test_a_certificate_of_an_unknown_authority_does_not_connect(api: Api):
    tls = api.server.tls_with(Authority("cluster-ca").client("admin", ("system:masters",)))
    with pytest.raises((aiohttp.ClientError, OSError)):
        await api.direct(SHOP, tls=tls)


async def test_a_token_is_believed(api: Api):
    namespace, account = TOKEN_READER
    token = (await api.prints("create", "token", account, "-n", namespace)).strip()
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await api.direct(SHOP, headers=bearer)).status == 200
    assert (await api.direct(SHOP, headers={**bearer, **CLAIMS})).status == 200
    reply = await api.direct(DATA, headers={**bearer, **CLAIMS})
    assert reply.status == 403
    assert f'User "system:serviceaccount:{namespace}:{account}" cannot list' in reply.document["message"]


async def test_a_bad_token_is_unauthorized(api: Api):
    reply = await api.direct(SHOP, headers={"Authorization": "Bearer garbage"})
    assert reply.status == 401
    assert reply.document == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
async def test_anybody_may_ask_for_health(api: Api, path: str):
    reply = await api.direct(path)
    assert (reply.status, reply.body) == (200, b"ok")


@pytest.mark.parametrize("path", ["/readyz/ping", "/metrics"])
async def test_what_is_behind_health_is_for_those_who_monitor(api: Api, path: str):
    assert (await api.direct(path)).status == 403
    assert (await api.direct(path, user=STRANGER)).status == 403
    assert (await api.direct(path, user=MONITOR)).status == 200


async def test_the_server_counts_its_requests(api: Api):
    await api.direct(SHOP, user=SHOP_READER)
    text = (await api.direct("/metrics", user=MONITOR)).body.decode()
    assert 'apiserver_request_total{code="200"' in text
    assert "trafficmetrics_source_requests_total{" in text


async def test_the_certificate_is_for_the_name_kube_apiserver_checks(api: Api, tmp_path: Path):
    pem = ssl.get_server_certificate(("127.0.0.1", api.server.port))
    (tmp_path / "serving.crt").write_text(pem)
    decoded = ssl._ssl._test_decode_cert(str(tmp_path / "serving.crt"))  # type: ignore[attr-defined]
    assert ("DNS", SERVICE_HOST) in decoded["subjectAltName"]


async def test_old_tls_is_refused(api: Api):
    tls = api.server.tls()
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await api.direct("/livez", tls=tls)).status == 200
    with pytest.deprecated_call():
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(aiohttp.ClientConnectorError):
        await api.direct("/livez", tls=tls)
