"""Who somebody is to Kubernetes, they are here: recorded from k8s.io/apiserver v0.36.3, built with Go 1.26.

The answers about headers are those of ``headerrequest`` to requests that Go's ``net/http`` has read; those about certificates are those of
``request/x509`` with ``DefaultVerifyOptions``, ``CommonNameUserConversion`` and the time and authorities beside them. "refused" stands for
any error. Where this server differs it refuses more.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from aiohttp.web_protocol import RequestHandler
from cryptography import x509
from multidict import CIMultiDictProxy

from apiservice.identity.clientcert import client_certificate_user
from apiservice.identity.pool import Pool
from apiservice.identity.requestheader import FrontProxy, front_proxy_user
from apiservice.identity.user import Unauthorized, User
from tests.doubles.authority import Authority

REFUSED = "refused"

ONLY_HERE_REFUSED = {
    # Header lines that go on in the next line, and lines that end without a carriage return: RFC 9112 allows to refuse both.
    "bad-leading-space",
    "fold",
    "fold-value",
    "fold-longer",
    "bare-lf",
    # Alternative names below an authority that constrains names: what constraints mean for them is not implemented.
    "constrained-inside",
    # Eight certificates in a chain are enough for everybody.
    "chain-of-7",
    "chain-of-9",
}


def recorded(file: str) -> list[Any]:
    rows = json.loads(Path(__file__).with_name(file).read_text("utf-8"))
    return [pytest.param(row, id=row["id"]) for row in rows]


def expected(row: dict[str, Any]) -> Any:
    return REFUSED if row["id"] in ONLY_HERE_REFUSED else row["answer"]


def described(user: User | None) -> dict[str, Any] | None:
    if user is None:
        return None
    extra = {key: list(values) for key, values in user.extra.items()}
    return {"name": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}


async def read(request: bytes) -> CIMultiDictProxy[str]:
    """The headers of a request, as the server's parser reads them."""

    async def nobody(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    loop = asyncio.get_running_loop()
    protocol = RequestHandler(web.Server(nobody), loop=loop)
    ((message, _),), _, _ = HttpRequestParser(protocol, loop, 65_536).feed_data(request)
    return message.headers


@pytest.mark.parametrize("row", recorded("frontproxy_recorded.json"))
async def test_headers_of_a_front_proxy_mean_what_they_mean_to_kubernetes(
    row: dict[str, Any], front_proxy: tuple[Pool, list[bytes]]
):
    pool, chain = front_proxy
    proxy = FrontProxy(pool, (), tuple(row["username"]), tuple(row["uid"]), tuple(row["group"]), tuple(row["extra"]))
    answer: Any
    try:
        headers = await read(row["request"].encode("latin-1"))
        answer = described(front_proxy_user(headers, chain, proxy, dt.datetime.now(dt.UTC)))
    except HttpProcessingError:
        answer = REFUSED
    assert answer == expected(row)
    # What is asked of kube-apiserver is JSON, which has no place for bytes.
    json.dumps(answer, ensure_ascii=False).encode()


@pytest.fixture(scope="module")
def front_proxy() -> tuple[Pool, list[bytes]]:
    authority = Authority("front-proxy-ca")
    return Pool.parse(authority.pem), list(authority.issue("front-proxy-client").chain)


@pytest.mark.filterwarnings("ignore:Attribute's length must be:UserWarning")
@pytest.mark.parametrize("row", recorded("certificates_recorded.json"))
def test_certificates_of_clients_mean_what_they_mean_to_kubernetes(row: dict[str, Any]):
    authorities, chain = ([base64.b64decode(each) for each in row[key]] for key in ("authorities", "chain"))
    pool = Pool([x509.load_der_x509_certificate(authority) for authority in authorities])
    answer: Any
    try:
        answer = described(client_certificate_user(chain, pool, dt.datetime.fromisoformat(row["now"])))
    except Unauthorized:
        answer = REFUSED
    assert answer == expected(row)


def test_every_difference_is_one():
    rows = [
        parameter.values[0] for file in ("frontproxy_recorded.json", "certificates_recorded.json") for parameter in recorded(file)
    ]
    differing = [row["id"] for row in rows if row["id"] in ONLY_HERE_REFUSED and row["answer"] != REFUSED]
    assert sorted(differing) == sorted(ONLY_HERE_REFUSED)
    assert sum(row["answer"] == REFUSED for row in rows) > 40
