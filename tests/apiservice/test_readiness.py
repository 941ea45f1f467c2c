"""What readiness is made of: each check fails while what it is about cannot work, and not a moment longer."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from apiservice.health import Check, Health
from apiservice.identity import TrustOverrides, TrustSource
from apiservice.kube import KubeClient
from apiservice.lifecycle import Lifecycle
from apiservice.serving import ServingTLS
from tests.apiservice.asking import client
from tests.doubles.authority import SERVER, Authority
from tests.doubles.clock import ManualClock
from tests.doubles.kube import CONFIG_MAP, Failure, running_kube

HOUR = dt.timedelta(hours=1)


def serving(authority: Authority, directory: Path, begins: dt.timedelta, ends: dt.timedelta) -> ServingTLS:
    """What a server has whose certificate is valid between these two moments, told from now."""
    files = authority.issue("localhost", usage=(SERVER,), lifetime=(begins, ends)).save(directory, "serving")
    return ServingTLS(lambda: files, str, ManualClock())


def test_a_serving_certificate_that_is_valid_is_well(tmp_path: Path) -> None:
    assert serving(Authority("ca"), tmp_path, -HOUR, HOUR).unusable() is None


async def test_an_expired_serving_certificate_fails_until_it_is_renewed(tmp_path: Path) -> None:
    authority = Authority("ca")
    tls = serving(authority, tmp_path, -2 * HOUR, -HOUR)
    expired = f"{dt.datetime.now(dt.UTC) - HOUR:%Y-%m-%dT%H:}"
    assert (tls.unusable() or "").startswith(f"the serving certificate expired at {expired}")
    authority.issue("localhost", usage=(SERVER,)).save(tmp_path, "serving")
    await tls.refresh()
    assert tls.unusable() is None


def test_a_serving_certificate_of_the_future_fails(tmp_path: Path) -> None:
    assert "is not valid before" in (serving(Authority("ca"), tmp_path, HOUR, 2 * HOUR).unusable() or "")


async def test_the_configuration_of_the_cluster_has_to_be_read_once(tmp_path: Path) -> None:
    async with running_kube(tmp_path) as kube, KubeClient.connect(str(kube.kubeconfig)) as kube_client:
        kube.publish_trust(client_ca_file=Authority("kubernetes").pem)
        source = TrustSource(kube_client, TrustOverrides(tolerate_lookup_failure=True), ManualClock())
        kube.fail(CONFIG_MAP, Failure(403))
        await source.start()
        assert source.unsynced() == "ConfigMap kube-system/extension-apiserver-authentication has not been read yet"
        await source.read()
        assert source.unsynced() is None


async def test_a_failing_check_is_public_and_its_reason_is_not() -> None:
    broken = Check("serving-cert", lambda: "the serving certificate expired at 2026-01-01T00:00:00Z")
    seen: list[tuple[str, str, bool]] = []

    def observe(endpoint: str, check: str, *, passed: bool) -> None:
        seen.append((endpoint, check, passed))

    async with client(health=Health(readyz=[broken], observe=observe)) as session:
        response = await session.get("/readyz")
        assert (response.status, await response.text()) == (
            500,
            "[-]serving-cert failed: reason withheld\nreadyz check failed\n",
        )
        response = await session.get("/readyz/serving-cert")
        assert await response.text() == "internal server error: the serving certificate expired at 2026-01-01T00:00:00Z\n"
    assert seen == [("readyz", "serving-cert", False)]


def test_a_server_told_to_stop_is_not_ready() -> None:
    lifecycle = Lifecycle()
    assert lifecycle.shutdown() is None
    lifecycle.stopping = True
    assert lifecycle.shutdown() == "process is shutting down"
