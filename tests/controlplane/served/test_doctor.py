"""The doctor in a real cluster: it says that all is well, and when one thing is broken it says which, and how that is mended."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import re
import socket
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from apiservice.checkup import Subject, examine_cluster
from apiservice.clock import SYSTEM_CLOCK
from metrics_api.diagnosis import Level
from tests.controlplane.extension import serve_extension
from tests.controlplane.pki import Authority
from tests.controlplane.plane import ADMIN, API_SERVICE, NAMESPACE, SERVER, SERVICE_HOST, manifests
from tests.controlplane.served.api import Api
from tests.controlplane.served.checkups import of, until
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import configured

pytestmark = pytest.mark.real


@dataclass(frozen=True)
class Ahead:
    """A clock that is ahead of everybody's."""

    by: dt.timedelta

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    def now(self) -> dt.datetime:
        return SYSTEM_CLOCK.now() + self.by

    async def sleep(self, seconds: float) -> None:
        await SYSTEM_CLOCK.sleep(seconds)


@pytest.fixture
def subject(api: Api) -> Subject:
    return Subject(kubeconfig=str(api.plane.kubeconfig(ADMIN)))


async def test_a_healthy_cluster_is_well_hop_by_hop(api: Api, subject: Subject):
    found = await examine_cluster(subject)
    assert found.summary.startswith(f"Kubernetes {found.facts['version']} at {api.plane.url}, answered in ")
    assert found.facts["version"] == json.loads(await api.prints("get", "--raw", "/version"))["gitVersion"]
    assert [(each.level, each.check) for each in found.findings if each.check != "frontproxy"] == [
        (Level.OK, check) for check in ("apiservice", "service", "passage", "readers", "certificate", "rights")
    ]
    assert (
        found.findings[0].what
        == f"APIService {API_SERVICE} leads to trafficmetrics/trafficmetrics:{api.server.port}, and is available"
    )
    assert "and traffic is told" in of(found, "passage")[0].what
    assert {each.level for each in found.findings} <= {Level.OK, Level.WARNING}
    assert found.facts["user"] == "admin"
    assert abs(float(found.facts["clockSkewSeconds"])) < 2


async def test_the_servers_own_account_is_told_what_it_may_not_see(api: Api):
    found = await examine_cluster(Subject(kubeconfig=str(api.plane.kubeconfig(SERVER))))
    (told,) = of(found, "access")
    assert told.level is Level.WARNING
    assert told.what.startswith(
        f"could not look at APIService {API_SERVICE}, the PodDisruptionBudgets and the ClusterRoles of readers: "
    )
    assert "needs get on apiservices.apiregistration.k8s.io, " in told.what
    assert told.what.endswith(f', which "{SERVER.name}" has not')
    assert told.advice.endswith("trafficmetrics doctor --only cluster --kubeconfig FILE")
    assert [(each.level, each.what) for each in of(found, "rights")] == [
        (Level.OK, "the account trafficmetrics/trafficmetrics may do all that the server needs")
    ]
    assert {each.level for each in found.findings} <= {Level.OK, Level.WARNING}


async def patch(api: Api, spec: dict[str, Any]) -> None:
    await api.prints("patch", "apiservice", API_SERVICE, "--type=merge", f"--patch={json.dumps({'spec': spec})}")


async def test_a_wrong_authority_in_the_ca_bundle(api: Api, subject: Subject):
    wrong = base64.b64encode(Authority("somebody-else").certificate).decode()
    try:
        await patch(api, {"caBundle": wrong})
        told = await until(subject, "apiservice", Level.PROBLEM, "is not available, FailedDiscoveryCheck")
        assert "x509: certificate signed by unknown authority" in told.what
        assert told.advice == "deploy/issue-certificate makes a certificate and its bundle"
        (shown,) = of(await examine_cluster(subject), "certificate")
        assert shown.level is Level.PROBLEM
        assert "and the caBundle of the APIService names somebody-else: " in shown.what
        passage = await until(subject, "passage", Level.PROBLEM, "is answered 503")
        assert passage.advice
    finally:
        await patch(api, {"caBundle": base64.b64encode(api.server.ca_bundle).decode()})
        await until(subject, "passage", Level.OK, "traffic is told")


async def test_a_server_that_nobody_verifies(api: Api, subject: Subject):
    try:
        await patch(api, {"caBundle": None, "insecureSkipTLSVerify": True})
        told = await until(subject, "apiservice", Level.PROBLEM, "insecureSkipTLSVerify")
        assert told.advice.startswith("take it out, and fill in caBundle: deploy/issue-certificate")
    finally:
        await patch(api, {"caBundle": base64.b64encode(api.server.ca_bundle).decode(), "insecureSkipTLSVerify": None})
        await until(subject, "passage", Level.OK, "traffic is told")


async def test_no_api_service_and_no_service(api: Api, subject: Subject):
    try:
        await api.plane.kubectl("delete", "service", "trafficmetrics", "-n", NAMESPACE)
        told = await until(subject, "apiservice", Level.PROBLEM, "is not available, ServiceNotFound")
        assert told.advice == "make the Service of deploy/base/service.yaml, or correct spec.service of the APIService"
        (service,) = of(await examine_cluster(subject), "service")
        assert service.what == "there is no Service trafficmetrics/trafficmetrics, which the APIService leads to"
        await api.plane.apply(*manifests("service.yaml"))
        told = await until(subject, "apiservice", Level.PROBLEM, "is not available, ServicePortError")
        assert told.advice.startswith("let spec.service.port of the APIService and a port of the Service be the same")
        (service,) = of(await examine_cluster(subject), "service")
        assert (
            service.what
            == f"the APIService leads to port {api.server.port} of Service trafficmetrics/trafficmetrics, which has 443"
        )
        assert service.advice == "spec.service.port of the APIService: 443"
        await patch(api, {"service": {"port": 443}})
        told = await until(subject, "apiservice", Level.PROBLEM, "is not available, EndpointsNotFound")
        assert told.advice.startswith("no replica is ready: kubectl get pods -n trafficmetrics")
        assert of(await examine_cluster(subject), "replicas")[0].level is Level.PROBLEM
        await api.plane.kubectl("delete", "apiservice", API_SERVICE)
        told = await until(subject, "apiservice", Level.PROBLEM, f"there is no APIService {API_SERVICE}")
        assert told.advice == "kubectl apply -k deploy/base, or helm upgrade"
        await until(subject, "passage", Level.PROBLEM, "is answered 404: kube-apiserver does not know the API")
    finally:
        await api.register()


async def test_a_certificate_for_another_name(api: Api, subject: Subject, tmp_path: Path):
    serving = Authority("other-ca")
    async with serve_extension(serving, "other.shop.svc", api.plane.front_proxy_ca.certificate, tmp_path) as other:
        found = await examine_cluster(replace(subject, address=f"127.0.0.1:{other.port}"))
    (told,) = of(found, "certificate")
    assert told.level is Level.PROBLEM
    assert told.what == f"the certificate at 127.0.0.1:{other.port} is for other.shop.svc, and not for {SERVICE_HOST}"


async def test_clocks_that_differ_and_a_certificate_that_has_ended_by_ours(subject: Subject):
    found = await examine_cluster(subject, Ahead(dt.timedelta(seconds=30)))
    (clock,) = of(found, "clock")
    assert clock.level is Level.WARNING
    assert re.match(r"the clock of kube-apiserver is (29|30)s behind ours: ", clock.what)
    found = await examine_cluster(subject, Ahead(dt.timedelta(days=400)))
    assert of(found, "clock")[0].level is Level.PROBLEM
    (certificate,) = [each for each in found.findings if each.check == "certificate"]
    assert certificate.level is Level.PROBLEM
    assert certificate.what.startswith("the certificate at localhost:")
    assert " ended on " in certificate.what


async def test_a_kube_apiserver_that_is_not_there_is_one_line(tmp_path: Path):
    found = await examine_cluster(Subject(kubeconfig=kubeconfig(tmp_path, 1)))
    assert [(each.level, each.check, each.what) for each in found.findings] == [
        (Level.PROBLEM, "reach", "it cannot be reached: Connect call failed ('127.0.0.1', 1)")
    ]
    assert found.summary == "kube-apiserver at https://127.0.0.1:1"


async def test_a_kube_apiserver_that_hangs_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.checkup.examination._PATIENCE", 0.3)
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        found = await examine_cluster(Subject(kubeconfig=kubeconfig(tmp_path, deaf.getsockname()[1])))
    assert [(each.level, each.what) for each in found.findings] == [(Level.PROBLEM, "it did not answer within 0.3 s")]


async def test_another_cluster_behind_the_address_is_one_line(api: Api, tmp_path: Path):
    port = int(api.plane.url.rpartition(":")[2])
    file = kubeconfig(tmp_path, port, **{"certificate-authority-data": base64.b64encode(Authority("other").certificate).decode()})
    (told,) = (await examine_cluster(Subject(kubeconfig=file))).findings
    assert told.level is Level.PROBLEM
    assert told.what.startswith("the TLS connection to it failed: ")
    assert told.advice == "give the authority of this cluster: certificate-authority-data in the kubeconfig"


async def test_somebody_unknown_is_one_line(api: Api, tmp_path: Path):
    port = int(api.plane.url.rpartition(":")[2])
    trusted = {"certificate-authority-data": base64.b64encode(api.plane.cluster_ca.certificate).decode()}
    file = kubeconfig(tmp_path, port, token="a-token-of-nobody", **trusted)
    found = await examine_cluster(Subject(kubeconfig=file))
    assert [(each.level, each.what) for each in found.findings] == [(Level.PROBLEM, "it does not know who we are: Unauthorized")]
    assert "a-token-of-nobody" not in repr(found)


def kubeconfig(folder: Path, port: int, *, token: str = "", **cluster: str) -> str:
    file = folder / f"kubeconfig-{port}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "one", "cluster": {"server": f"https://127.0.0.1:{port}", **cluster}}],
        "users": [{"name": "one", "user": {"token": token} if token else {}}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
    }
    file.write_text(json.dumps(document))
    return str(file)


async def test_the_command_tells_of_cluster_and_sources_in_one_document(api: Api, prometheus: Prometheus, tmp_path: Path):
    configuration = configured(api.plane, prometheus.url)
    configuration["kubernetes"]["kubeconfig"] = str(api.plane.kubeconfig(ADMIN))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(configuration))
    code, printed = await doctor("--config", str(tmp_path / "config.yaml"), "-o", "json")
    document = json.loads(printed)
    assert (code, document["ok"], document["problems"]) == (0, True, 0)
    assert [source["name"] for source in document["sources"]] == ["mesh"]
    cluster = document["cluster"]
    assert sorted(cluster) == ["facts", "findings", "level", "summary"]
    assert {"url", "version", "milliseconds", "clockSkewSeconds", "user", "account"} == set(cluster["facts"])
    assert {finding["check"] for finding in cluster["findings"]} >= {"apiservice", "passage", "certificate", "rights", "readers"}


async def test_the_command_looks_at_a_cluster_without_any_source(api: Api):
    code, printed = await doctor("--only", "cluster", "--kubeconfig", str(api.plane.kubeconfig(ADMIN)))
    lines = printed.splitlines()
    assert code == 0
    assert lines[0].startswith("cluster: Kubernetes v1.")
    assert lines[-1] in ("all is well", "1 warning")


async def doctor(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "apiservice.main",
        "doctor",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert stderr == b"", stderr
    return process.returncode or 0, stdout.decode()
