"""Whom the cluster trusts is read from the cluster, again and again, and what cannot be read changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from apiservice.identity import Trust, TrustOverrides, TrustSource, TrustUnreadable
from apiservice.kube import KubeClient
from tests.apiservice.trust.published import CLIENTS, HEADERS, PROXIES, PUBLISHED
from tests.doubles.authority import Authority
from tests.doubles.clock import ManualClock
from tests.doubles.kube import CONFIG_MAP, Failure, KubeDouble


async def test_nobody_is_trusted_before_the_first_reading(source: TrustSource) -> None:
    assert source.current == Trust()
    assert source.current.authorities == ""


async def test_both_authorities_and_the_headers_are_read(source: TrustSource) -> None:
    await source.start()
    trust = source.current
    assert trust.clients is not None
    assert trust.front_proxy is not None
    assert trust.clients.pem == CLIENTS.pem
    assert trust.front_proxy.pool.pem == PROXIES.pem
    assert trust.front_proxy.allowed_names == ("front-proxy-client",)
    assert trust.front_proxy.username_headers == ("X-Remote-User",)
    assert trust.front_proxy.group_headers == ("X-Remote-Group",)
    assert trust.front_proxy.extra_prefixes == ("X-Remote-Extra-",)
    assert trust.front_proxy.uid_headers == ()
    assert trust.authorities == CLIENTS.pem + PROXIES.pem


async def test_uid_headers_are_used_where_the_cluster_lists_them(source: TrustSource, kube: KubeDouble) -> None:
    kube.publish_trust(**PUBLISHED, requestheader_uid_headers='["X-Remote-Uid"]')
    await source.start()
    assert source.current.front_proxy is not None
    assert source.current.front_proxy.uid_headers == ("X-Remote-Uid",)


async def test_a_change_is_seen_within_a_minute(source: TrustSource, kube: KubeDouble, clock: ManualClock) -> None:
    await source.start()
    rotated = Authority("front-proxy-ca")
    kube.publish_trust(**PUBLISHED | {"requestheader_client_ca_file": PROXIES.pem + rotated.pem})
    reading = asyncio.ensure_future(source.keep_reading())
    # The third call begins after the second has been understood.
    await kube.until_called(CONFIG_MAP, 3)
    reading.cancel()
    assert source.current.authorities == CLIENTS.pem + PROXIES.pem + rotated.pem
    assert set(clock.slept) == {60.0}


async def test_what_did_not_change_stays_the_same_object(source: TrustSource, kube: KubeDouble) -> None:
    await source.start()
    before = source.current
    await source.read()
    assert source.current is before
    kube.publish_trust(**PUBLISHED | {"requestheader_allowed_names": "[]"})
    await source.read()
    assert source.current.clients is before.clients
    assert source.current.front_proxy is not None
    assert source.current.front_proxy.allowed_names == ()


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        pytest.param("requestheader_allowed_names", "[front-proxy-client", "names", id="invalid-json"),
        pytest.param("requestheader_group_headers", '"X-Remote-Group"', "names", id="not-a-list"),
        pytest.param("requestheader_username_headers", "[1]", "names", id="not-strings"),
        pytest.param("client_ca_file", "no certificate", "clients", id="no-client-pem"),
        pytest.param("requestheader_client_ca_file", "no certificate", "proxies", id="no-front-proxy-pem"),
    ],
)
async def test_what_cannot_be_read_stays_and_holds_up_nothing_else(
    source: TrustSource, kube: KubeDouble, key: str, value: str, kept: str, caplog: pytest.LogCaptureFixture
) -> None:
    await source.start()
    clients, proxies = Authority("new"), Authority("new")
    rotated = {
        "client_ca_file": clients.pem,
        "requestheader_client_ca_file": proxies.pem,
        "requestheader_allowed_names": '["another"]',
    }
    kube.publish_trust(**PUBLISHED | rotated | {key: value})
    reading = asyncio.ensure_future(source.keep_reading())
    await kube.until_called(CONFIG_MAP, 4)
    reading.cancel()
    now = source.current
    assert now.clients is not None
    assert now.front_proxy is not None
    assert now.clients.pem == (CLIENTS if kept == "clients" else clients).pem
    assert now.front_proxy.pool.pem == (PROXIES if kept == "proxies" else proxies).pem
    assert now.front_proxy.allowed_names == ("front-proxy-client" if kept == "names" else "another",)
    assert now.front_proxy.username_headers == ("X-Remote-User",)
    assert "stays as it was" in caplog.text
    assert key.replace("_", "-") in caplog.text


async def test_nobody_is_a_front_proxy_before_it_is_known_how_one_speaks(
    client: KubeClient, kube: KubeDouble, clock: ManualClock
) -> None:
    kube.publish_trust(**PUBLISHED | {"requestheader_allowed_names": "["})
    source = TrustSource(client, TrustOverrides(tolerate_lookup_failure=True), clock)
    await source.start()
    assert source.current.front_proxy is None
    assert source.current.authorities == CLIENTS.pem


@pytest.mark.parametrize("failure", [Failure(403), Failure(404), Failure(500), Failure(0)], ids=["403", "404", "500", "broken"])
async def test_a_cluster_that_does_not_answer_later_leaves_the_old_values(
    source: TrustSource, kube: KubeDouble, failure: Failure
) -> None:
    await source.start()
    before = source.current
    kube.fail(CONFIG_MAP, *[failure] * 8)
    reading = asyncio.ensure_future(source.keep_reading())
    await kube.until_called(CONFIG_MAP, 4)
    reading.cancel()
    assert source.current is before


async def test_an_authority_that_disappears_from_the_configmap_stays(source: TrustSource, kube: KubeDouble) -> None:
    await source.start()
    kube.publish_trust(**HEADERS)
    await source.read()
    assert source.current.authorities == CLIENTS.pem + PROXIES.pem


async def test_a_missing_configmap_is_tolerated_and_found_later(source: TrustSource, kube: KubeDouble) -> None:
    kube.fail(CONFIG_MAP, Failure(404))
    await source.start()
    assert source.current == Trust()
    await source.read()
    assert source.current.authorities


async def test_a_cluster_without_a_front_proxy_is_warned_about(
    source: TrustSource, kube: KubeDouble, caplog: pytest.LogCaptureFixture
) -> None:
    kube.publish_trust(client_ca_file=CLIENTS.pem)
    await source.start()
    assert source.current.front_proxy is None
    assert source.current.authorities == CLIENTS.pem
    assert "no front proxy is trusted" in caplog.text


async def test_not_being_allowed_to_read_it_is_fatal_and_says_what_to_bind(source: TrustSource, kube: KubeDouble) -> None:
    kube.fail(CONFIG_MAP, Failure(403, "configmaps is forbidden"))
    with pytest.raises(TrustUnreadable) as caught:
        await source.start()
    assert "configmaps is forbidden" in caught.value.message
    assert "--role=extension-apiserver-authentication-reader" in caught.value.message


@pytest.mark.parametrize("failure", [Failure(500), Failure(0)], ids=["500", "broken"])
async def test_any_other_failure_at_the_start_is_fatal_too(source: TrustSource, kube: KubeDouble, failure: Failure) -> None:
    kube.fail(CONFIG_MAP, *[failure] * 4)
    with pytest.raises(TrustUnreadable) as caught:
        await source.start()
    assert "rolebinding" not in caught.value.message


async def test_a_failure_at_the_start_may_be_tolerated(client: KubeClient, kube: KubeDouble, clock: ManualClock) -> None:
    kube.fail(CONFIG_MAP, Failure(403))
    source = TrustSource(client, TrustOverrides(tolerate_lookup_failure=True), clock)
    await source.start()
    assert source.current == Trust()


async def test_files_replace_what_the_configmap_says(
    client: KubeClient, kube: KubeDouble, clock: ManualClock, tmp_path: Path
) -> None:
    mine = Authority("mine")
    (tmp_path / "clients.pem").write_text(mine.pem)
    source = TrustSource(client, TrustOverrides(client_ca_file=str(tmp_path / "clients.pem")), clock)
    await source.start()
    assert source.current.authorities == mine.pem + PROXIES.pem

    overrides = TrustOverrides(
        requestheader_client_ca_file=str(tmp_path / "clients.pem"),
        requestheader_allowed_names=("mine",),
        requestheader_username_headers=("X-User",),
    )
    source = TrustSource(client, overrides, clock)
    await source.start()
    assert source.current.authorities == CLIENTS.pem + mine.pem
    assert source.current.front_proxy is not None
    assert source.current.front_proxy.allowed_names == ("mine",)
    assert source.current.front_proxy.username_headers == ("X-User",)
    assert source.current.front_proxy.group_headers == ("X-Remote-Group",)
    assert kube.calls[CONFIG_MAP] == 2


async def test_the_configmap_is_not_read_when_nothing_of_it_is_used(
    client: KubeClient, kube: KubeDouble, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(CLIENTS.pem)
    overrides = TrustOverrides(client_ca_file=str(tmp_path / "ca.pem"), requestheader_client_ca_file=str(tmp_path / "ca.pem"))
    for each in (
        overrides,
        TrustOverrides(skip_lookup=True),
        replace(overrides, requestheader_client_ca_file="", skip_lookup=True),
    ):
        await TrustSource(client, each, clock).start()
    assert not kube.calls


async def test_a_changed_file_is_read_again_and_a_broken_one_is_not_believed(
    client: KubeClient, clock: ManualClock, tmp_path: Path
) -> None:
    file, new = tmp_path / "ca.pem", Authority("new")
    file.write_text(CLIENTS.pem)
    source = TrustSource(client, TrustOverrides(client_ca_file=str(file), skip_lookup=True), clock)
    await source.start()
    file.write_text(new.pem)
    await source.read()
    assert source.current.authorities == new.pem
    for content in ("broken", None):
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
        with pytest.raises(TrustUnreadable, match=r"--client-ca-file .*ca\.pem"):
            await source.read()
        assert source.current.authorities == new.pem
