"""A certificate that the server makes itself: two replicas share it, kube-apiserver trusts it, and whatever people do to it heals."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shlex
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from tests.controlplane.pki import Authority
from tests.controlplane.plane import ADMIN, API_SERVICE, NAMESPACE, ControlPlane, Person, manifest, manifests
from tests.controlplane.served.api import Api
from tests.controlplane.served.balancer import Balancer
from tests.controlplane.served.cluster import bind, user
from tests.controlplane.served.server import GV, Server, configured

pytestmark = pytest.mark.real

SECRET = "trafficmetrics-issued"
PAGE = (Path(__file__).parents[3] / "docs" / "certificates.md").read_text(encoding="utf-8")
NEWCOMER = Person("newcomer")
"""Has what every extension API server needs, and no right to keep a certificate."""
FRUGAL = Person("frugal")
"""May do all but make Secrets."""


class Replica(Server):
    """A server that keeps its certificate in the Secret. Whoever asks it directly verifies nothing; kube-apiserver does."""

    def __init__(self, plane: ControlPlane, directory: Path, secret: str = SECRET, **kubernetes: str) -> None:
        (directory / "serving").mkdir()
        (directory / "serving" / "apiserver.key").touch()
        configuration = configured(plane, "http://127.0.0.1:1")
        configuration["server"] = {"certSecret": secret}
        configuration["kubernetes"] |= kubernetes
        super().__init__(plane, directory, configuration)

    def tls(self, person: Person | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if person is not None:
            home = self._plane.kubeconfig(person).parent
            context.load_cert_chain(home / "client.crt", home / "client.key")
        return context

    async def leaf(self) -> x509.Certificate:
        """What a new connection sees."""
        pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", self.port))
        return x509.load_pem_x509_certificate(pem.encode())


class Installation:
    """Two replicas behind a Service of two ports, so that an APIService that is given the other one makes new connections."""

    def __init__(self, plane: ControlPlane, balancers: tuple[Balancer, Balancer]) -> None:
        self.plane = plane
        self.balancers = balancers
        self.replicas: list[Replica] = []

    async def add(self, replica: Replica) -> None:
        self.replicas.append(replica)
        await replica.until_ready()
        for balancer in self.balancers:
            balancer.replicas.append(replica)
            await balancer.until_ready(len(self.replicas))

    async def document(self, kind: str, name: str, *more: str) -> dict[str, Any]:
        run = await self.plane.kubectl("get", kind, name, *more, "-o", "json")
        assert run.code == 0, run.stderr
        document: dict[str, Any] = json.loads(run.stdout)
        return document

    async def as_documented(self, test: str, **other: str) -> str:
        """Run the block of the documentation that names this test, with some of its words replaced; what it prints."""
        (block,) = re.findall(rf"<!-- tested: \S+::{test} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
        for word, instead in other.items():
            block = block.replace(word, instead)
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            block,
            env=self.plane.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    async def secret(self) -> dict[str, Any]:
        return await self.document("secret", SECRET, "-n", NAMESPACE)

    async def authorities(self) -> bytes:
        """What clients have to trust, as the Secret has it."""
        return base64.b64decode((await self.secret())["data"]["ca.crt"])

    async def bundle(self) -> bytes:
        document = await self.document("apiservice", API_SERVICE)
        return base64.b64decode(document["spec"].get("caBundle", ""))

    async def patch(self, spec: dict[str, Any]) -> None:
        """Merge something into the APIService, as an admin."""
        run = await self.plane.kubectl("patch", "apiservice", API_SERVICE, "--type=merge", f"--patch={json.dumps({'spec': spec})}")
        assert run.code == 0, run.stderr

    async def failing(self) -> str:
        """Why kube-apiserver does not get through to a replica, or ""."""
        run = await self.plane.kubectl("get", "--raw", GV)
        return run.stderr

    async def available(self) -> None:
        """Waits until kube-apiserver gets through, and says so."""
        run = await self.plane.kubectl("wait", "--for=condition=Available", "--timeout=30s", f"apiservice/{API_SERVICE}")
        assert run.code == 0, run.stderr
        assert await self.failing() == ""

    async def leaves(self) -> list[x509.Certificate]:
        """What each replica serves."""
        return [await replica.leaf() for replica in self.replicas]

    async def until_shared_instead_of(self, before: x509.Certificate) -> None:
        """Waits until all serve one other certificate."""

        async def shared() -> bool:
            return len({before, *(after := await self.leaves())}) == 2 and before not in after

        await until(shared, 60)

    def logged(self, pattern: str) -> list[str]:
        return [line for replica in self.replicas for line in replica.daemon.lines() if re.search(pattern, line)]


@pytest.fixture(scope="module")
async def installed(api: Api, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """The manifests applied, one replica started, and another a little later; the usual API is there again afterwards."""
    plane = api.plane
    await plane.unregister()
    await plane.kubectl("delete", "secret", SECRET, "-n", NAMESPACE, "--ignore-not-found")
    async with Balancer().running() as one, Balancer().running() as other:
        await plane.apply(*manifests("issuing.yaml"), _service(), _api_service(one.port))
        installation = Installation(plane, (one, other))
        try:
            for number in range(2):
                await installation.add(Replica(plane, tmp_path_factory.mktemp(f"issued-{number}")))
            yield installation
        finally:
            for replica in installation.replicas:
                await replica.daemon.stop()
            await api.register()


def _service() -> dict[str, Any]:
    spec = {"type": "ExternalName", "externalName": "localhost"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "trafficmetrics", "namespace": NAMESPACE}, "spec": spec}


def _api_service(port: int) -> dict[str, Any]:
    """As the manifests have it: without a bundle."""
    document = manifest("apiservice.yaml")
    document["spec"]["service"]["port"] = port
    assert "caBundle" not in document["spec"]
    return document


async def until(true: Callable[[], Awaitable[Any]], patience: float = 30) -> Any:
    """What something comes to that is not nothing, once it does."""
    start = time.monotonic()
    while not (seen := await true()):
        assert time.monotonic() - start < patience, true
        await asyncio.sleep(0.2)
    return seen


async def test_the_first_start_makes_the_api_available_and_all_replicas_share_what_it_made(installed: Installation):
    secret = await installed.secret()
    assert secret["type"] == "kubernetes.io/tls"
    assert set(secret["data"]) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    assert await installed.bundle() == await installed.authorities()
    await installed.available()
    (made,) = installed.logged("was made: ")
    assert "ca.crt and ca.key are no authority" in made
    leaves = await installed.leaves()
    assert leaves[0] == leaves[1] == x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
    assert not installed.logged("PRIVATE KEY|" + secret["data"]["ca.key"][60:90])


async def test_the_readiness_page_and_the_metrics_tell_of_it(installed: Installation):
    (replica, _) = installed.replicas
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=replica.tls(ADMIN))) as session:
        async with session.get(f"{replica.url}/readyz?verbose") as answer:
            assert "[+]ca-bundle ok\n" in await answer.text()
        async with session.get(f"{replica.url}/metrics") as answer:
            page = await answer.text()
    until = re.search(r"^trafficmetrics_serving_certificate_expiration_timestamp_seconds (\S+)$", page, re.MULTILINE)
    assert until is not None
    assert float(until[1]) == (await replica.leaf()).not_valid_after_utc.timestamp()


async def test_the_commands_to_look_at_it(installed: Installation, request: pytest.FixtureRequest):
    told = (await installed.as_documented(request.node.name)).splitlines()
    issuer = re.fullmatch(r"issuer=(CN ?= ?trafficmetrics-ca@\d+)", told[0])
    assert issuer is not None, told
    assert any(line.startswith("subject") and line.endswith(issuer[1]) for line in told), told


async def test_a_bundle_that_somebody_replaced_is_mended_within_a_look(installed: Installation):
    await installed.patch({"caBundle": base64.b64encode(Authority("wrong").certificate).decode()})
    authorities = await installed.authorities()

    async def mended() -> bool:
        return (await installed.bundle()).startswith(authorities)

    await until(installed.failing, 10)
    await until(mended, 20)
    await installed.available()
    assert installed.logged("its caBundle lacked an authority and was mended")
    # What was put there stays for ten minutes, which is not for this test to wait for.
    await installed.patch({"caBundle": base64.b64encode(authorities).decode()})
    await installed.available()


async def test_a_certificate_that_was_taken_out_is_renewed_by_the_same_authority(
    installed: Installation, request: pytest.FixtureRequest
):
    before, authorities = await installed.leaves(), await installed.authorities()
    await installed.as_documented(request.node.name)
    await installed.until_shared_instead_of(before[0])
    assert await installed.authorities() == authorities == await installed.bundle()


@asynccontextmanager
async def load(installation: Installation) -> AsyncIterator[Counter[str]]:
    """Requests through kube-apiserver at all times, over connections that are made anew again and again; what became of them."""
    answers, over = Counter[str](), asyncio.Event()
    url, tls = installation.plane.url + GV, installation.plane.tls()

    async def ask() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
            while not over.is_set():
                async with session.get(url) as answer:
                    told = await answer.text()
                    answers["200" if answer.status == 200 else f"{answer.status} {told}"] += 1
                await asyncio.sleep(0.03)

    async def reconnect() -> None:
        while not over.is_set():
            for balancer in installation.balancers:
                await installation.patch({"service": {"port": balancer.port}})
                await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as group:
        for work in (ask, ask, reconnect):
            group.create_task(work())
        try:
            yield answers
        finally:
            over.set()


async def test_a_secret_that_was_deleted_is_made_anew_and_no_request_fails(installed: Installation, request: pytest.FixtureRequest):
    """Which is how to rotate both the certificate and its authority."""
    before, authorities = await installed.leaves(), await installed.authorities()
    async with load(installed) as answers:
        await installed.as_documented(request.node.name)
        await installed.until_shared_instead_of(before[0])
        await asyncio.sleep(2)
    assert set(answers) == {"200"}
    assert answers["200"] > 100
    assert len(installed.logged("was gone, and was made anew")) == 1
    new = await installed.authorities()
    assert (new.count(b"BEGIN CERTIFICATE"), new.endswith(authorities)) == (2, True)
    assert await installed.bundle() == new


async def test_an_authority_whose_key_has_leaked_is_taken_out(installed: Installation, request: pytest.FixtureRequest):
    before = await installed.authorities()
    await installed.as_documented(request.node.name)
    after = await installed.authorities()
    assert after.count(b"BEGIN CERTIFICATE") == 1
    assert before.startswith(after)
    assert await installed.bundle() == after
    await installed.available()


@pytest.fixture
async def alone(installed: Installation, tmp_path: Path) -> AsyncIterator[Callable[..., Replica]]:
    """Starts another replica, which the installation knows nothing of."""
    started: list[Replica] = []

    def start(**which: str) -> Replica:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Replica(installed.plane, directory, **which))
        return started[-1]

    yield start
    for replica in started:
        await replica.daemon.stop()


async def test_an_apiservice_that_is_not_verified_is_told_of_and_left_alone(installed: Installation, alone: Callable[..., Replica]):
    bundle = await installed.bundle()
    await installed.patch({"caBundle": None, "insecureSkipTLSVerify": True})
    try:
        replica = alone()
        line = await replica.daemon.until_printed(lambda line: "is left alone" in line)
        assert "insecureSkipTLSVerify: true" in line
        await replica.until_ready()
        async with aiohttp.request("GET", f"{replica.url}/readyz/ca-bundle", ssl=replica.tls(ADMIN)) as answer:
            assert (answer.status, "insecureSkipTLSVerify" in await answer.text()) == (500, True)
        assert await installed.bundle() == b""
        (remedy,) = re.findall(r"kubectl (patch [^']*'[^']*')", line)
        run = await installed.plane.kubectl(*shlex.split(remedy))
        assert run.code == 0, run.stderr
    finally:
        await installed.patch({"caBundle": base64.b64encode(bundle).decode(), "insecureSkipTLSVerify": False})


async def test_an_empty_secret_is_filled_without_the_right_to_make_one(
    installed: Installation, alone: Callable[..., Replica], request: pytest.FixtureRequest
):
    await installed.plane.apply(*_rights(FRUGAL), *_keeping(FRUGAL, "trafficmetrics-frugal"))
    await installed.as_documented(request.node.name, **{SECRET: "trafficmetrics-frugal"})
    await alone(secret="trafficmetrics-frugal", kubeconfig=str(installed.plane.kubeconfig(FRUGAL))).until_ready()
    filled = await installed.document("secret", "trafficmetrics-frugal", "-n", NAMESPACE)
    assert (filled["type"], set(filled["data"])) == ("Opaque", {"ca.crt", "ca.key", "tls.crt", "tls.key"})


async def test_rights_that_are_missing_are_told_with_the_command_that_gives_them(
    installed: Installation, alone: Callable[..., Replica]
):
    await installed.plane.apply(*_rights(NEWCOMER))
    newcomer = {"secret": "trafficmetrics-newcomer", "kubeconfig": str(installed.plane.kubeconfig(NEWCOMER))}
    told = []
    for _ in range(3):
        replica = alone(**newcomer)
        assert await replica.daemon.ended(30)
        assert replica.daemon.exit_code() == 1
        line = next(line for line in replica.daemon.lines() if "let this server do it" in line)
        told.append(line.partition(": ")[2].partition(": ")[0])
        for command in line.partition("let this server do it: ")[2].split(" && "):
            run = await installed.plane.kubectl(*shlex.split(command)[1:])
            assert run.code == 0, (command, run.stderr)
    secret = f"Secret {NAMESPACE}/trafficmetrics-newcomer"
    assert told == [f"{secret} cannot be read", f"APIService {API_SERVICE} cannot be read", f"{secret} cannot be written"]
    await alone(**newcomer).until_ready()


def _rights(person: Person) -> list[dict[str, Any]]:
    """What every extension API server needs."""
    trust = bind("RoleBinding", "kube-system", "extension-apiserver-authentication-reader", user(person))
    trust["roleRef"]["kind"] = "Role"
    return [bind("ClusterRoleBinding", "", "system:auth-delegator", user(person)), trust]


def _keeping(person: Person, secret: str) -> list[dict[str, Any]]:
    """What the manifests give for keeping a certificate in this Secret, but the right to make it."""
    documents = manifests("issuing.yaml")
    for document in documents:
        document["metadata"]["name"] += f"-{person.name}"
        if "rules" in document:
            document["rules"] = [rule for rule in document["rules"] if "create" not in rule["verbs"]]
            for rule in document["rules"]:
                rule["resourceNames"] = [secret if name == SECRET else name for name in rule["resourceNames"]]
        else:
            document["roleRef"]["name"] += f"-{person.name}"
            document["subjects"] = [user(person)]
    return documents
