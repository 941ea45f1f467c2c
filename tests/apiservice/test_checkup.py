"""The examination of a cluster, against a double on a real TLS socket: what no real kube-apiserver can be brought to do."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from apiservice.checkup import Subject, examine_cluster
from metrics_api.diagnosis import Diagnosis, Finding
from tests.doubles.kube import ACCESS_REVIEWS, Failure, KubeDouble, running_kube

GROUP = "/apis/metrics.smi-spec.io/v1alpha1"
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
OWN = f"{API_SERVICES}/v1alpha1.metrics.smi-spec.io"
HOST = "trafficmetrics.trafficmetrics.svc"
NAMESPACED = "/namespaces/trafficmetrics"
PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}


@contextmanager
def hanging(kube: KubeDouble, path: str) -> Iterator[None]:
    """Whoever asks for ``path`` waits until the context ends."""
    over = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    kube.handlers[path] = hang
    try:
        yield
    finally:
        over.set()


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeDouble]:
    """One in which all is well; its APIService has the authority of the double itself."""
    async with running_kube(tmp_path) as double:
        labels = {"app": "tm"}
        bundle = base64.b64encode(double.authority.pem.encode()).decode()
        spec = {"caBundle": bundle, "service": {"name": "trafficmetrics", "namespace": "trafficmetrics", "port": 443}}
        conditions = [{"type": "Available", "status": "True", "reason": "Passed"}]
        endpoints = [{"addresses": [f"10.1.0.{number}"], "nodeName": f"node-{number}"} for number in (1, 2)]
        pod = {"metadata": {"labels": labels}, "spec": {"serviceAccountName": "reader"}}
        double.objects |= {
            "/version": {"gitVersion": "v1.30.0"},
            OWN: {"spec": spec, "status": {"conditions": conditions}},
            GROUP: {"resources": []},
            f"{GROUP}/trafficmetrics": {"items": []},
            f"/api/v1{NAMESPACED}/services": listed({"spec": {"selector": labels, "ports": [{"port": 443}]}}),
            f"/apis/discovery.k8s.io/v1{NAMESPACED}/endpointslices": listed({"ports": [{"port": 6443}], "endpoints": endpoints}),
            f"/apis/apps/v1{NAMESPACED}/deployments": listed(
                {"metadata": {"name": "tm"}, "spec": {"replicas": 2, "template": pod}}
            ),
            f"/apis/policy/v1{NAMESPACED}/poddisruptionbudgets": listed({"spec": {"selector": {"matchLabels": labels}}}),
        }
        double.publish_trust(
            requestheader_client_ca_file=double.authority.pem,
            requestheader_allowed_names='["front-proxy-client"]',
            requestheader_username_headers='["X-Remote-User"]',
        )
        double.allows = lambda _: True
        yield double


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(items)}


def subject_of(kube: KubeDouble, **other: Any) -> Subject:
    return Subject(kubeconfig=str(kube.kubeconfig), **other)


def of(found: Diagnosis, check: str) -> list[tuple[str, str]]:
    return [(each.level.value, each.what) for each in found.findings if each.check == check]


async def test_all_that_can_be_seen_from_outside_is_looked_at(kube: KubeDouble):
    found = await examine_cluster(subject_of(kube))
    assert found.summary.startswith(f"Kubernetes v1.30.0 at {kube.url}, answered in ")
    assert of(found, "replicas") == [("ok", "2 of 2 replicas are ready, on 2 nodes")]
    assert of(found, "rights") == [("ok", "the account trafficmetrics/reader may do all that the server needs")]
    (not_looked,) = [each for each in found.findings if each.check == "certificate"]
    assert not_looked.what == "the certificate itself was not looked at: the pods cannot be reached from here"
    assert not_looked.advice.startswith("kubectl port-forward -n trafficmetrics svc/trafficmetrics 6443:443, and --server-address")


async def test_the_rights_asked_for_are_those_of_the_account_that_the_deployment_names(kube: KubeDouble):
    await examine_cluster(subject_of(kube))
    assert {spec["user"] for spec in kube.asked} == {"system:serviceaccount:trafficmetrics:reader"}
    assert {spec["resourceAttributes"]["resource"] for spec in kube.asked} >= {"pods", "deployments", "subjectaccessreviews"}


async def test_a_certificate_is_looked_at_where_somebody_says(kube: KubeDouble, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    async with running_kube(other) as server:
        found = await examine_cluster(subject_of(kube, address=server.url.removeprefix("https://")))
    (level, what), *_ = of(found, "certificate")
    assert (level, what.partition(" is for ")[2]) == ("problem", f"localhost, 127.0.0.1, and not for {HOST}")


async def test_what_hangs_does_not_keep_what_is_known_from_being_told(kube: KubeDouble, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.checkup.examination._DEADLINE", 1.0)
    start = time.monotonic()
    with hanging(kube, ACCESS_REVIEWS):
        found = await examine_cluster(subject_of(kube))
        assert time.monotonic() - start < 3
    assert of(found, "time") == [("warning", "the examination was not over after 1s, and what is said here is not all")]
    assert of(found, "replicas")[0][0] == "ok"


async def test_a_place_that_hangs_is_named_and_the_others_are_told(kube: KubeDouble, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.checkup.examination._PATIENCE", 0.5)
    with hanging(kube, f"/apis/policy/v1{NAMESPACED}/poddisruptionbudgets"):
        found = await examine_cluster(subject_of(kube))
    ((level, what),) = of(found, "access")
    assert level == "warning"
    assert what.startswith("could not look at the PodDisruptionBudgets: GET ")
    assert of(found, "rights")[0][0] == "ok"


async def test_a_server_that_believes_nobody_shows_in_a_real_request(kube: KubeDouble):
    anonymous = Failure(403, f'forbidden: User "system:anonymous" cannot get path "{GROUP}"')
    kube.fail(GROUP, anonymous)
    found = await examine_cluster(subject_of(kube))
    ((level, what),) = of(found, "passage")
    assert (level, what.rpartition(": ")[2]) == ("problem", "the server trusts no front proxy, so everybody is anonymous")


async def test_what_the_aggregator_says_in_plain_text_is_understood(kube: KubeDouble):
    refused = "error trying to reach service: dial tcp 10.0.0.9:443: i/o timeout"
    kube.fail(GROUP, Failure(503, body=refused))
    found = await examine_cluster(subject_of(kube))
    ((level, what),) = of(found, "passage")
    assert level == "problem"
    assert what == (
        f"a request through kube-apiserver (GET {GROUP}) is answered 503:"
        " kube-apiserver cannot get through to the pods (dial tcp 10.0.0.9:443: i/o timeout)"
    )


async def test_a_service_of_another_name_is_found_by_the_api_service(kube: KubeDouble):
    kube.objects[OWN]["spec"]["service"] = {"name": "tm", "namespace": "mesh"}
    for path in [path for path in kube.objects if NAMESPACED in path]:
        kube.objects[path.replace(NAMESPACED, "/namespaces/mesh")] = kube.objects.pop(path)
    found = await examine_cluster(subject_of(kube, assumed=True))
    assert ("ok", f"APIService {OWN.rpartition('/')[2]} leads to mesh/tm:443, and is available") in of(found, "apiservice")
    assert of(found, "rights") == [("ok", "the account mesh/reader may do all that the server needs")]
    assert of(found, "replicas") == [("ok", "2 of 2 replicas are ready, on 2 nodes")]


async def test_nonsense_in_the_place_of_objects_is_a_finding_and_no_error(kube: KubeDouble):
    kube.objects[OWN] = {"spec": "nothing"}
    found = await examine_cluster(subject_of(kube))
    assert ("problem", "the examination failed (AttributeError)") in of(found, "reach")


async def test_a_kubeconfig_that_does_not_verify_is_a_warning(kube: KubeDouble):
    config = yaml.safe_load(kube.kubeconfig.read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    config["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    kube.kubeconfig.write_text(yaml.safe_dump(config))
    found = await examine_cluster(subject_of(kube))
    ((level, what),) = of(found, "reach")
    assert (level, what.partition(":")[0]) == ("warning", "the kubeconfig has insecure-skip-tls-verify")


async def test_a_kubeconfig_that_is_none_is_one_line(tmp_path: Path):
    (tmp_path / "kubeconfig").write_text("nothing")
    (told,) = (await examine_cluster(Subject(kubeconfig=str(tmp_path / "kubeconfig")))).findings
    assert told.what.startswith(f"kubeconfig {tmp_path / 'kubeconfig'} cannot be used: ")
    assert told.advice == "correct kubernetes.kubeconfig, or give --kubeconfig FILE"


async def test_a_plugin_for_credentials_that_fails_is_one_line(kube: KubeDouble):
    kube.write_kubeconfig(
        exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "/no/such/plugin", "interactiveMode": "Never"}
    )
    findings: tuple[Finding, ...] = (await examine_cluster(subject_of(kube))).findings
    assert len(findings) == 1
    assert findings[0].check == "reach"


async def test_a_page_in_the_place_of_an_answer_is_no_answer(kube: KubeDouble):
    async def page(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>Log in</html>", content_type="text/html")

    kube.handlers |= dict.fromkeys((GROUP, f"{GROUP}/trafficmetrics"), page)
    found = await examine_cluster(subject_of(kube))
    ((level, what),) = of(found, "passage")
    assert level == "problem"
    assert what == (
        f"a request through kube-apiserver (GET {GROUP}) is not answered: the answer is not a JSON object; is this a kube-apiserver?"
    )


async def test_a_plugin_for_credentials_that_hangs_is_a_problem_and_named(kube: KubeDouble, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.checkup.examination._DEADLINE", 1.5)
    kube.write_kubeconfig(exec={**PLUGIN, "command": "sleep", "args": ["4"]})
    (found,) = (await examine_cluster(subject_of(kube))).findings
    assert (found.level.value, found.check) == ("problem", "reach")
    assert found.what == "the kubeconfig has credentials made by a command, sleep, which was not over after 1.5s"


async def test_a_plugin_for_credentials_that_fails_is_told_of_as_such(kube: KubeDouble):
    kube.write_kubeconfig(exec={**PLUGIN, "command": "sh", "args": ["-c", "echo a-secret-token >&2; exit 3"]})
    (found,) = (await examine_cluster(subject_of(kube))).findings
    assert (found.level.value, found.check) == ("problem", "reach")
    assert found.what == "the kubeconfig has credentials made by a command, sh, which gave none"
    assert found.advice.startswith(f"kubectl --kubeconfig {kube.kubeconfig} get --raw /version runs it in the same way")


async def test_a_kube_apiserver_that_says_nothing_until_the_end_is_a_problem(kube: KubeDouble, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.checkup.examination._DEADLINE", 1.0)
    with hanging(kube, "/version"):
        found = await examine_cluster(subject_of(kube))
    assert of(found, "reach") == [("problem", f"kube-apiserver at {kube.url} did not answer within 1s")]


async def test_credentials_that_are_refused_are_the_only_line_about_the_way(kube: KubeDouble):
    """Anybody may read ``/version``, so it does not show there."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "message": "Unauthorized", "code": 401}, status=401)

    paths = ("/apis/authentication.k8s.io/v1/selfsubjectreviews", OWN, GROUP, f"{GROUP}/trafficmetrics", ACCESS_REVIEWS)
    kube.handlers |= dict.fromkeys(paths, refuse)
    (found,) = (await examine_cluster(subject_of(kube))).findings
    assert (found.level.value, found.check) == ("problem", "reach")
    assert found.what.startswith("it does not know who we are: ")
    assert found.advice == "renew the credentials in the kubeconfig"


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "it is no kubeconfig"), ("nothing", "it is no kubeconfig"), ("[1]", "it is no kubeconfig"), ("users: 1", "")],
    ids=["empty", "word", "list", "part"],
)
async def test_a_file_that_is_no_kubeconfig_is_told_of_in_words(tmp_path: Path, text: str, what: str):
    (tmp_path / "kubeconfig").write_text(text)
    (found,) = (await examine_cluster(Subject(kubeconfig=str(tmp_path / "kubeconfig")))).findings
    assert found.what.startswith(f"kubeconfig {tmp_path / 'kubeconfig'} cannot be used: {what}")
    assert "object" not in found.what


async def test_an_address_of_another_scheme_is_a_mistake_in_the_kubeconfig(kube: KubeDouble):
    config = yaml.safe_load(kube.kubeconfig.read_text())
    config["clusters"][0]["cluster"] = {"server": "ftp://x:1"}
    kube.kubeconfig.write_text(yaml.safe_dump(config))
    (found,) = (await examine_cluster(subject_of(kube))).findings
    assert found.what == f'kubeconfig {kube.kubeconfig} cannot be used: server "ftp://x:1" is not an address: https://HOST:PORT'


async def test_credentials_are_in_nothing_that_is_told(kube: KubeDouble):
    kube.credential = "a-secret-token"
    kube.write_kubeconfig()
    kube.fail("/apis/policy/v1/namespaces/trafficmetrics/poddisruptionbudgets", Failure(500, "broken"))
    assert "a-secret-token" not in repr(await examine_cluster(subject_of(kube)))
