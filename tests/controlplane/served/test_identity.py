"""Identity: who connects to the server itself is whoever their credentials say, whatever their headers claim."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from tests.controlplane.pki import Authority
from tests.controlplane.plane import SERVICE_HOST
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import MONITOR, SHOP_READER, STRANGER, TOKEN_READER
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, configured, run_server

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


@pytest.mark.parametrize(
    ("names", "status"),
    [
        pytest.param("", 200, id="any"),
        pytest.param("front-proxy-client,somebody", 200, id="this"),
        pytest.param("other", 401, id="another"),
    ],
)
async def test_which_names_may_vouch_can_be_told(
    api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory, names: str, status: int
):
    directory = tmp_path_factory.mktemp("names")
    (directory / "front-proxy-ca.crt").write_bytes(api.plane.front_proxy_ca.certificate)
    configuration = configured(api.plane, prometheus.url)
    configuration["kubernetes"] |= {
        "requestheaderClientCaFile": str(directory / "front-proxy-ca.crt"),
        "requestheaderAllowedNames": names,
    }
    async with run_server(api.plane, directory, configuration) as server:
        tls = server.tls_with(api.plane.front_proxy_ca.client("somebody"))
        assert (await Api(api.plane, server).direct(SHOP, tls=tls, headers={"X-Remote-User": "ann"})).status == status


async def test_a_certificate_of_an_unknown_authority_does_not_connect(api: Api):
    """It fails in the handshake, because Python verifies there; a Go server would answer 401. Either way nobody gets in."""
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


async def test_a_token_may_be_somebodys_beside_a_certificate_that_is_nobodys(api: Api):
    namespace, account = TOKEN_READER
    token = (await api.prints("create", "token", account, "-n", namespace)).strip()
    tls = api.server.tls_with(api.plane.front_proxy_ca.client("somebody"))
    assert (await api.direct(SHOP, tls=tls, headers={**CLAIMS, "Authorization": f"bearer {token}"})).status == 200


@pytest.mark.parametrize("written", ["Bearer", "Bearer ", "Bearer  {}", "Token {}", "Basic {}", "{}", "Bearer\t{}"])
async def test_a_token_written_otherwise_is_none(api: Api, written: str):
    namespace, account = TOKEN_READER
    token = (await api.prints("create", "token", account, "-n", namespace)).strip()
    reply = await api.direct(SHOP, headers={"Authorization": written.format(token)})
    assert reply.status == 403
    assert 'User "system:anonymous" cannot' in reply.document["message"]


async def test_a_token_whose_account_is_gone_is_refused(api: Api):
    await api.prints("create", "serviceaccount", "leaver", "-n", "shop")
    token = (await api.prints("create", "token", "leaver", "-n", "shop")).strip()
    await api.prints("delete", "serviceaccount", "leaver", "-n", "shop")
    reply = await api.direct(SHOP, headers={"Authorization": f"Bearer {token}"})
    assert (reply.status, reply.document["reason"]) == (401, "Unauthorized")


async def spec_asked(api: Api, since: int, user: str) -> dict[str, Any]:
    """The review this server has asked for about the user, once."""
    reviews = await api.plane.audited(since, resource="subjectaccessreviews", patience=0)
    (spec,) = [event["requestObject"]["spec"] for event in reviews if event["requestObject"]["spec"]["user"] == user]
    return dict(spec)


async def test_all_that_kube_apiserver_knows_of_somebody_is_asked_about(api: Api):
    mark = api.plane.audit.mark()
    headers = CIMultiDict(
        [
            ("Impersonate-User", "zoë"),
            ("Impersonate-Uid", "u-1234"),
            ("Impersonate-Group", "sre"),
            ("Impersonate-Group", "on call"),
            ("Impersonate-Extra-Scopes", "view"),
            ("Impersonate-Extra-Scopes", "edit"),
            ("Impersonate-Extra-Example.Com%2FTeam", "Blue"),
        ]
    )
    assert (await api.proxied(SHOP, headers=headers)).status == 200
    spec = await spec_asked(api, mark, "zoë")
    assert spec["uid"] == "u-1234"
    assert spec["groups"] == ["sre", "on call", "system:authenticated"]
    assert {key: spec["extra"][key] for key in ("scopes", "example.com/team")} == {
        "scopes": ["view", "edit"],
        "example.com/team": ["Blue"],
    }
    attributes = {"group": "metrics.smi-spec.io", "version": "v1alpha1", "resource": "deployments", "namespace": "shop"}
    assert spec["resourceAttributes"] == attributes | {"verb": "list"}


async def test_a_client_certificate_is_asked_about_with_its_fingerprint(api: Api):
    mark, pair = api.plane.audit.mark(), api.plane.cluster_ca.client("quentin", ["dev", "ops"])
    assert (await api.direct(SHOP, tls=api.server.tls_with(pair))).status == 403
    spec = await spec_asked(api, mark, "quentin")
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair.certificate.decode())).hexdigest()
    assert spec["groups"] == ["dev", "ops", "system:authenticated"]
    assert spec["extra"] == {"authentication.kubernetes.io/credential-id": [f"X509SHA256={fingerprint}"]}


async def test_selectors_are_asked_about(api: Api):
    mark = api.plane.audit.mark()
    query = "fieldSelector=metadata.namespace!%3Dother&labelSelector=app%20in%20(web,api)"
    headers = {"Impersonate-User": "selma", "Impersonate-Group": "sre"}
    assert (await api.proxied(f"{SHOP}?{query}", headers=headers)).status == 200
    attributes = (await spec_asked(api, mark, "selma"))["resourceAttributes"]
    assert attributes["fieldSelector"] == {
        "requirements": [{"key": "metadata.namespace", "operator": "NotIn", "values": ["other"]}]
    }
    assert attributes["labelSelector"] == {"requirements": [{"key": "app", "operator": "In", "values": ["api", "web"]}]}


async def test_the_anonymous_user_is_not_authenticated_by_coming_through_kube_apiserver(api: Api):
    mark, path = api.plane.audit.mark(), f"{SHOP}/asked-about-by-nobody"
    tls = api.server.tls_with(api.plane.front_proxy_ca.client("front-proxy-client"))
    headers = {"X-Remote-User": "system:anonymous", "X-Remote-Group": "system:unauthenticated"}
    assert (await api.direct(path, tls=tls, headers=headers)).status == 403
    assert (await spec_asked(api, mark, "system:anonymous"))["groups"] == ["system:unauthenticated"]


async def test_the_aggregators_own_user_arrives_without_groups_and_may_read_discovery(api: Api):
    tls = api.server.tls_with(api.plane.front_proxy_ca.client("front-proxy-client"))
    for path in (GV, "/apis", "/openapi/v2", "/openapi/v3"):
        assert (await api.direct(path, tls=tls, headers={"X-Remote-User": "system:aggregator"})).status == 200


@pytest.mark.parametrize("count", [300, 2000])
async def test_somebody_in_very_many_groups_is_known_by_all_of_them(api: Api, count: int):
    """Through kube-apiserver, which sends a header for each."""
    mark, user = api.plane.audit.mark(), f"carol-of-{count}"
    groups = [*(f"team-{number}-of-a-large-organisation" for number in range(count - 1)), "sre"]
    headers = CIMultiDict([("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)])
    assert (await api.proxied(DATA, headers=headers)).status == 200
    assert (await spec_asked(api, mark, user))["groups"] == [*groups, "system:authenticated"]


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
