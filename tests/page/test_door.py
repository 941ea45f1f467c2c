"""The door of the page: who gets in, and what they may ask for."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
import pytest
from yarl import URL

from kubectl_traffic.dashboard.door import Door
from kubectl_traffic.dashboard.proxy import ProxyGone, Reply

ROOT = "apis/metrics.smi-spec.io/v1alpha1"
FILES = {"index.html": ("text/html; charset=utf-8", b"<!doctype html>"), "main.js": ("text/javascript; charset=utf-8", b"1;")}


class Asked(NamedTuple):
    """A door, and the questions it passed on."""

    door: Door
    questions: list[str]


@pytest.fixture
def asked() -> Iterator[Asked]:
    """A door in front of an API that repeats the question."""
    questions: list[str] = []

    def ask(target: str) -> Reply:
        questions.append(target)
        if "gone" in target:
            raise ProxyGone("kubectl proxy does not answer")
        return Reply(200, (("Content-Type", "application/json"), ("Warning", '299 - "late"')), target.encode())

    with Door(0, FILES, {"context": "prod", "place": "#/topology?ns=shop"}, ask) as door:
        yield Asked(door, questions)


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def got(client: aiohttp.ClientSession, url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Status and text of a response; ``sec_fetch_site`` is the header Sec-Fetch-Site."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, URL(url, encoded=True), headers=sent, allow_redirects=False) as response:
        return response.status, await response.text()


async def test_the_page_its_beginning_and_answers_of_the_api(asked: Asked, client: aiohttp.ClientSession):
    url = asked.door.url
    assert await got(client, url) == (200, "<!doctype html>")
    assert await got(client, f"{url}main.js") == (200, "1;")
    assert await got(client, f"{url}session") == (200, '{"context": "prod", "place": "#/topology?ns=shop"}')
    question = f"{ROOT}/namespaces/shop/deployments/web%40west/edges?window=5m&includeIdle=true"
    assert await got(client, url + question) == (200, f"/{question}")


async def test_without_the_secret_nothing_is_there(asked: Asked, client: aiohttp.ClientSession):
    port = asked.door.port
    for path in ("", "index.html", "session", f"{ROOT}/pods", "wrong/", f"wrong/{ROOT}/pods", "open/", "open/wrong"):
        status, text = await got(client, f"http://127.0.0.1:{port}/{path}")
        assert (status, "Open the" in text) == (404, True), path
    assert asked.questions == []


async def test_names_that_only_point_here_are_refused(asked: Asked, client: aiohttp.ClientSession):
    for host in ("evil.example", f"evil.example:{asked.door.port}", "127.0.0.1", f"127.0.0.1.evil.example:{asked.door.port}"):
        assert (await got(client, f"{asked.door.url}{ROOT}/pods", Host=host))[0] == 403, host
        assert (await got(client, asked.door.url, Host=host))[0] == 403, host
    assert (await got(client, asked.door.url, Host=f"localhost:{asked.door.port}"))[0] == 200
    assert asked.questions == []


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
async def test_other_pages_may_not_ask(asked: Asked, client: aiohttp.ClientSession, site: str):
    for path in ("session", f"{ROOT}/pods"):
        assert (await got(client, asked.door.url + path, sec_fetch_site=site))[0] == 403
    assert (await got(client, f"{asked.door.url}{ROOT}/pods", sec_fetch_site="same-origin"))[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_nobody_writes(asked: Asked, client: aiohttp.ClientSession, method: str):
    assert (await got(client, f"{asked.door.url}{ROOT}/pods", method))[0] == 501
    assert asked.questions == []


@pytest.mark.parametrize(
    "path",
    [
        "api/v1/secrets",
        "apis/apps/v1/deployments",
        f"{ROOT}/../../../api/v1/secrets",
        f"{ROOT}/namespaces/../pods",
        f"{ROOT}/namespaces/%2e%2e/pods",
        f"{ROOT}/namespaces/a%2Fb/pods",
        f"{ROOT}/namespaces/shop/pods/../../x",
        f"{ROOT}/secrets",
        f"{ROOT}/namespaces/shop/pods/web/log",
        f"{ROOT}/grafana/query",
        f"{ROOT}/pods?watch=true",
        f"{ROOT}/pods?window=5m&timeout=60s",
        "../../etc/passwd",
        "static/main.js",
    ],
)
async def test_only_questions_of_the_page_are_passed_on(asked: Asked, client: aiohttp.ClientSession, path: str):
    assert (await got(client, asked.door.url + path))[0] in (403, 404)
    assert asked.questions == []


async def test_what_the_page_may_load_and_do_is_limited(asked: Asked, client: aiohttp.ClientSession):
    async with client.get(f"{asked.door.url}{ROOT}/pods") as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Warning"] == '299 - "late"'
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_ticket_is_good_once_and_leads_to_the_place(asked: Asked, client: aiohttp.ClientSession):
    async with client.get(asked.door.ticket, allow_redirects=False) as response:
        assert response.status == 303
        assert URL(asked.door.url).path + "#/topology?ns=shop" == response.headers["Location"]
    assert (await got(client, asked.door.ticket))[0] == 404


async def test_a_proxy_that_is_gone_is_a_bad_gateway(asked: Asked, client: aiohttp.ClientSession):
    assert await got(client, f"{asked.door.url}{ROOT}/namespaces/gone/pods") == (502, "kubectl proxy does not answer\n")


def test_two_host_headers_are_none(asked: Asked):
    with socket.create_connection(("127.0.0.1", asked.door.port), 5) as connection:
        host = f"127.0.0.1:{asked.door.port}"
        path = URL(asked.door.url).path
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nHost: evil\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 403")


def test_it_listens_on_loopback_alone(asked: Asked):
    assert asked.door._server.server_address[0] == "127.0.0.1"


def test_secrets_differ(asked: Asked):
    with Door(0, FILES, {}, lambda target: Reply(200, (), target.encode())) as other:
        secrets = {
            URL(url).parts[-2 if url.endswith("/") else -1] for each in (asked.door, other) for url in (each.url, each.ticket)
        }
    assert len(secrets) == 4
    assert min(map(len, secrets)) >= 32
