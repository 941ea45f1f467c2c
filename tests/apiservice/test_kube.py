"""The calls to kube-apiserver, against a double on a real TLS socket."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from apiservice.kube import Event, KubeClient, KubeError
from metrics_api.errors import BadConfiguration
from tests.doubles.authority import Authority
from tests.doubles.clock import ManualClock
from tests.doubles.kube import CONFIG_MAPS, Failure, KubeDouble, running_kube

PODS = "/api/v1/pods"
POD_LIST: dict[str, Any] = {"kind": "PodList", "items": [{"metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}}]}


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeDouble]:
    async with running_kube(tmp_path) as double:
        double.objects[PODS] = POD_LIST
        yield double


@pytest.fixture
async def client(kube: KubeDouble) -> AsyncIterator[KubeClient]:
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        yield client


async def failing(client: KubeClient, path: str = PODS) -> KubeError:
    with pytest.raises(KubeError) as caught:
        await client.get_json(path)
    return caught.value


async def test_documents_come_back_as_they_were_sent(client: KubeClient) -> None:
    assert await client.get_json(PODS) == POD_LIST


async def test_parameters_and_accept_are_sent(client: KubeClient, kube: KubeDouble) -> None:
    params = {"labelSelector": "app in (a,b),x!=y", "limit": "500"}
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    await client.get_json(PODS, params, accept=accept)
    assert kube.queries == [params]
    assert kube.accepted == [accept]


async def test_what_is_posted_arrives(client: KubeClient, kube: KubeDouble) -> None:
    kube.allows = lambda spec: spec["user"] == "zoë"
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = await client.post_json(path, {"spec": {"user": "zoë", "groups": ("a", "b")}})
    assert answer["status"] == {"allowed": True}
    assert kube.asked == [{"user": "zoë", "groups": ["a", "b"]}]


@pytest.mark.parametrize(
    ("failure", "transient"),
    [
        pytest.param(Failure(403, "pods is forbidden"), False, id="403"),
        pytest.param(Failure(404), False, id="404"),
        pytest.param(Failure(429), True, id="429"),
        pytest.param(Failure(500), True, id="500"),
        pytest.param(Failure(503), False, id="503"),
        pytest.param(Failure(503, headers={"Retry-After": "7"}), True, id="503-with-retry-after"),
        pytest.param(Failure(504), True, id="504"),
    ],
)
async def test_a_refusal_says_what_was_asked_and_why_it_failed(
    client: KubeClient, kube: KubeDouble, failure: Failure, *, transient: bool
) -> None:
    kube.fail(PODS, failure)
    error = await failing(client)
    assert error.status == failure.status
    assert error.message.startswith(f"GET {PODS}: {failure.status}")
    assert error.message.endswith(failure.message)
    assert error.transient is transient
    assert error.retry_after == (7 if failure.headers else None)


@pytest.mark.parametrize("body", ["<html>", "[]", "", '{"half":'])
async def test_an_answer_that_is_not_json_is_an_error(client: KubeClient, kube: KubeDouble, body: str) -> None:
    kube.fail(PODS, Failure(200, body=body))
    assert "is not a JSON object" in (await failing(client)).message


async def test_the_text_of_a_proxy_in_between_is_quoted_in_part(client: KubeClient, kube: KubeDouble) -> None:
    kube.fail(PODS, Failure(502, body="bad gateway " * 100))
    error = await failing(client)
    assert "502" in error.message
    assert "bad gateway" in error.message
    assert len(error.message) < 400


async def test_a_broken_connection_calls_for_another_try(client: KubeClient, kube: KubeDouble) -> None:
    kube.fail(PODS, *[Failure(0)] * 3)
    error = await failing(client)
    assert error.status == 0
    assert error.transient


async def test_a_server_that_is_not_there_is_told_with_its_address(kube: KubeDouble) -> None:
    kube.url = "https://127.0.0.1:1"
    kube.write_kubeconfig()
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        error = await failing(client)
    assert error.status == 0
    assert not error.transient
    assert kube.url in error.message


async def test_a_call_takes_no_longer_than_it_may(kube: KubeDouble) -> None:
    kube.gate.clear()
    async with KubeClient.connect(str(kube.kubeconfig), call_timeout=0.1) as client:
        error = await failing(client)
    assert "did not answer within 0.1 s" in error.message


async def test_a_strange_server_certificate_is_refused(kube: KubeDouble) -> None:
    kube.write_kubeconfig(Authority("double-ca"))
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        error = await failing(client)
    assert "check the certificate authority" in error.message
    assert not kube.calls


async def test_a_token_that_was_replaced_is_read_again(kube: KubeDouble) -> None:
    token = kube.kubeconfig.with_name("token")
    token.write_text("first")
    kube.credential = "first"
    kube.write_kubeconfig(tokenFile=str(token))
    clock = ManualClock()
    async with KubeClient.connect(str(kube.kubeconfig), clock=clock.monotonic) as client:
        assert await client.get_json(PODS) == POD_LIST
        kube.credential = "second"
        token.write_text("second")
        clock.advance(60)
        answers = await asyncio.gather(*(client.get_json(PODS) for _ in range(5)))
    assert answers == [POD_LIST] * 5


async def test_a_call_under_way_survives_the_change_of_credentials(kube: KubeDouble) -> None:
    clock = ManualClock()
    async with KubeClient.connect(str(kube.kubeconfig), clock=clock.monotonic) as client:
        kube.gate.clear()
        slow = asyncio.ensure_future(client.get_json(PODS))
        await kube.until_waiting()
        clock.advance(60)
        kube.fail("/other", Failure(401))
        other = asyncio.ensure_future(client.get_json("/other"))
        await kube.until_waiting(2)
        kube.failures[PODS].clear()
        kube.objects["/other"] = {"fine": True}
        kube.gate.set()
        assert [await slow, await other] == [POD_LIST, {"fine": True}]


async def test_wrong_credentials_are_not_loaded_again_and_again(kube: KubeDouble) -> None:
    kube.write_kubeconfig(token="wrong")
    clock = ManualClock()
    async with KubeClient.connect(str(kube.kubeconfig), clock=clock.monotonic) as client:
        assert (await failing(client)).status == 401
        assert kube.calls[PODS] == 1
        clock.advance(60)
        assert (await failing(client)).status == 401
        assert kube.calls[PODS] == 3


async def test_credentials_that_cannot_be_loaded_again_leave_the_old_ones(
    kube: KubeDouble, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    async with KubeClient.connect(str(kube.kubeconfig), clock=clock.monotonic) as client:
        clock.advance(60)
        kube.kubeconfig.write_text("no: kubeconfig")
        kube.fail(PODS, Failure(401))
        assert (await failing(client)).status == 401
        assert "could not be loaded again" in caplog.text
        assert await client.get_json(PODS) == POD_LIST


async def test_a_client_certificate_in_the_kubeconfig_is_shown(kube: KubeDouble) -> None:
    certificate, key = kube.authority.issue("server").save(kube.kubeconfig.parent, "mine")
    kube.write_kubeconfig(None, **{"client-certificate": str(certificate), "client-key": str(key), "token": kube.credential})
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        assert await client.get_json(PODS) == POD_LIST


async def test_an_exec_plugin_gives_the_token(kube: KubeDouble) -> None:
    credential = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "caller"}}'
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo", "args": [credential], "interactiveMode": "Never"}
    kube.write_kubeconfig(exec=plugin)
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        assert await client.get_json(PODS) == POD_LIST


def pod_files(kube: KubeDouble, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What every pod has: the address of the cluster in its environment, and a token in a file."""
    from kubernetes.aio.config import incluster_config  # noqa: PLC0415 - as late as the product does

    token = directory / "token"
    token.write_text(kube.credential)
    host, port = kube.url.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(directory / "ca.crt"))
    return token


async def test_the_service_account_of_a_pod_is_used_without_a_kubeconfig(
    kube: KubeDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod_files(kube, tmp_path, monkeypatch)
    async with KubeClient.connect("") as client:
        assert await client.get_json(PODS) == POD_LIST


async def test_the_token_of_a_pod_is_read_again_and_again(
    kube: KubeDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kubernetes.aio.config import incluster_config  # noqa: PLC0415 - as late as the product does

    class Impatient(incluster_config.InClusterConfigLoader):
        """Reads the token for every call, not once a minute."""

        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self._token_refresh_period = dt.timedelta(0)

    monkeypatch.setattr(incluster_config, "InClusterConfigLoader", Impatient)
    token = pod_files(kube, tmp_path, monkeypatch)
    async with KubeClient.connect("") as client:
        kube.credential = "renewed"
        token.write_text("renewed")
        assert await client.get_json(PODS) == POD_LIST
        token.write_text("")
        assert "credentials for kube-apiserver cannot be read" in (await failing(client)).message
        token.unlink()
        assert (await failing(client)).status == 0


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="absent"),
        pytest.param("", id="empty"),
        pytest.param("{", id="not-yaml"),
        pytest.param("current-context: x\ncontexts: []\nclusters: []\n", id="unknown-context"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_told_by_name(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadConfiguration, match="config cannot be used"):
        async with KubeClient.connect(str(file)):
            pass


async def test_outside_a_cluster_a_missing_kubeconfig_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(BadConfiguration, match="no kubeconfig is configured"):
        async with KubeClient.connect(""):
            pass


def test_a_server_without_a_cluster_never_imports_the_kubernetes_package() -> None:
    program = "import sys, apiservice.kube, apiservice.identity, apiservice.authorization; sys.exit('kubernetes' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], check=False, cwd=Path(__file__).parents[2], env=os.environ).returncode == 0
    )


async def test_two_clients_do_not_share_connections(kube: KubeDouble) -> None:
    async with KubeClient.connect(str(kube.kubeconfig)) as reviews, KubeClient.connect(str(kube.kubeconfig)) as lookups:
        kube.gate.clear()
        stuck = [asyncio.ensure_future(lookups.get_json(PODS)) for _ in range(40)]
        await kube.until_waiting(32)
        urgent = asyncio.ensure_future(reviews.get_json(PODS))
        async with asyncio.timeout(5):
            await kube.until_waiting(33)
        kube.gate.set()
        await asyncio.gather(urgent, *stuck)


CONFIG = {"fieldSelector": "metadata.name=extension-apiserver-authentication"}


async def watched(client: KubeClient, times: int = 100) -> list[Event]:
    """The first so many events of a watch, or all until it ends."""
    seen: list[Event] = []
    async with aclosing(client.watch(CONFIG_MAPS, CONFIG, 60)) as events:
        async for event in events:
            seen.append(event)
            if len(seen) == times:
                break
    return seen


async def test_a_watch_tells_what_changes_until_it_ends(client: KubeClient, kube: KubeDouble) -> None:
    watching = asyncio.ensure_future(watched(client))
    await kube.until_watched()
    kube.tell("ADDED", {"n": 1})
    kube.tell("MODIFIED", {"n": 2})
    kube.tell_bytes(None)
    assert await watching == [Event("ADDED", {"n": 1}), Event("MODIFIED", {"n": 2})]
    assert kube.queries == [CONFIG | {"watch": "true", "timeoutSeconds": "60"}]


async def test_events_larger_than_any_buffer_arrive_in_whatever_pieces(client: KubeClient, kube: KubeDouble) -> None:
    watching = asyncio.ensure_future(watched(client, 2))
    await kube.until_watched()
    kube.tell_bytes(b'{"type":"ADDED","obj')
    await asyncio.sleep(0.05)
    kube.tell_bytes(b'ect":{"n":1}}\n\n{"type":"ADDED","object":{"n":"')
    kube.tell_bytes(b"x" * 5_000_000 + b'"}}\n')
    first, second = await watching
    assert (first.object, len(second.object["n"])) == ({"n": 1}, 5_000_000)


async def test_an_event_without_end_is_not_waited_for(client: KubeClient, kube: KubeDouble) -> None:
    watching = asyncio.ensure_future(watched(client))
    await kube.until_watched()
    for _ in range(10):
        kube.tell_bytes(b"x" * 1_000_000)
    with pytest.raises(KubeError, match="larger than"):
        await watching


@pytest.mark.parametrize(
    ("data", "status", "told"),
    [
        pytest.param(b'{"type":"ERROR","object":{"code":410,"message":"too old"}}\n', 410, "too old", id="410"),
        pytest.param(b'{"type":"ERROR","object":{}}\n', 0, "the watch ended", id="error-without-status"),
        pytest.param(b"garbage\n", 0, "no event", id="garbage"),
    ],
)
async def test_a_watch_that_fails_says_why(client: KubeClient, kube: KubeDouble, data: bytes, status: int, told: str) -> None:
    watching = asyncio.ensure_future(watched(client))
    await kube.until_watched()
    kube.tell_bytes(data)
    with pytest.raises(KubeError, match=told) as caught:
        await watching
    assert caught.value.status == status


async def test_a_watch_that_is_refused_says_why(client: KubeClient, kube: KubeDouble) -> None:
    kube.fail(CONFIG_MAPS, Failure(403, "configmaps is forbidden"))
    with pytest.raises(KubeError, match=r"GET .*/configmaps: 403 Forbidden: configmaps is forbidden"):
        await watched(client)


async def test_a_watch_that_is_not_even_answered_is_given_up(kube: KubeDouble) -> None:
    kube.gate.clear()
    async with KubeClient.connect(str(kube.kubeconfig), call_timeout=0.1) as client:
        with pytest.raises(KubeError, match="did not answer within"):
            await watched(client)


async def test_a_watch_that_goes_silent_when_it_should_have_ended_is_given_up(kube: KubeDouble) -> None:
    async with (
        KubeClient.connect(str(kube.kubeconfig), call_timeout=0.2) as client,
        client.watching(CONFIG_MAPS, CONFIG, 0.1) as events,
    ):
        with pytest.raises(KubeError, match="did not answer within"):
            await anext(events)


async def test_a_watch_goes_on_with_credentials_that_were_replaced(kube: KubeDouble) -> None:
    clock = ManualClock()
    async with KubeClient.connect(str(kube.kubeconfig), clock=clock.monotonic) as client:
        clock.advance(60)
        kube.fail(CONFIG_MAPS, Failure(401))
        watching = asyncio.ensure_future(watched(client, 1))
        await kube.until_watched()
        kube.tell("ADDED", {"n": 1})
        assert len(await watching) == 1


async def test_a_watch_that_is_left_is_over_for_the_server_too(client: KubeClient, kube: KubeDouble) -> None:
    watching = asyncio.ensure_future(watched(client, 1))
    await kube.until_watched()
    kube.tell("ADDED", {})
    await watching
    async with asyncio.timeout(5):
        while kube.watchers:
            kube.tell("MODIFIED", {})
            await asyncio.sleep(0.01)
