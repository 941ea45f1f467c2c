"""Mode "helm": what the Secret in the cluster holds is kept while it lasts, and renewed so that clients go on trusting what pods show."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.controlplane.pki import Authority
from tests.controlplane.plane import ControlPlane, manifest
from tests.deploy.chart.helm import CHART, Helm, documents

pytestmark = pytest.mark.real

NAMESPACE = "renewal"
NOTES = "metrics.smi-spec.io"


@dataclass(frozen=True)
class Issued:
    """What a rendering holds of the certificate."""

    secret: dict[str, Any]
    bundle: tuple[x509.Certificate, ...]

    @property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        return tuple(x509.load_pem_x509_certificates(base64.b64decode(self.secret["data"]["ca.crt"])))

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(base64.b64decode(self.secret["data"]["tls.crt"]))

    def trusts(self, leaf: x509.Certificate) -> bool:
        return any(signed(leaf, authority) for authority in self.bundle)


def signed(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError):
        return False
    return True


class Upgrades:
    """Upgrades of a release of which the Secret alone is applied; every rendering looks at the Secret before it."""

    def __init__(self, helm: Helm, cluster: ControlPlane) -> None:
        self._helm = helm
        self._cluster = cluster

    async def upgrade(self, **certificate: Any) -> Issued:
        values = {"certificate": {"mode": "helm", **certificate}, "config": {"surfaces": {"customMetrics": True}}}
        command = ("template", "blue", str(CHART), "-n", NAMESPACE, "--dry-run=server")
        objects = documents(await self._helm.done(*command, values=values))
        (secret,) = (each for each in objects if each["kind"] == "Secret")
        (bundle,) = {each["spec"]["caBundle"] for each in objects if each["kind"] == "APIService"}
        await self._cluster.apply(secret)
        return Issued(secret, tuple(x509.load_pem_x509_certificates(base64.b64decode(bundle))))

    async def age(self, notes: Mapping[str, str | None]) -> None:
        """Changes what the Secret says of itself, as if time had passed."""
        marks = [f"{NOTES}/{key}={value}" if value is not None else f"{NOTES}/{key}-" for key, value in notes.items()]
        command = ("annotate", "--overwrite", "secret", "blue-trafficmetrics-helm-issued", "-n", NAMESPACE)
        run = await self._cluster.kubectl(*command, f"{NOTES}/aged=true", *marks)
        assert run.code == 0, run.stderr


@pytest.fixture
async def upgrades(cluster_helm: Helm, custom_resources: ControlPlane) -> Upgrades:
    await custom_resources.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    await custom_resources.kubectl("delete", "secret", "--all", "-n", NAMESPACE)
    await custom_resources.unregister()
    return Upgrades(cluster_helm, custom_resources)


def days(count: float) -> str:
    return f"{dt.datetime.now(dt.UTC) + dt.timedelta(days=count):%Y-%m-%dT%H:%M:%SZ}"


async def test_the_first_certificate_is_what_was_asked_for(upgrades: Upgrades):
    first = await upgrades.upgrade(clusterDomain="corp.internal")
    assert first.bundle == first.authorities
    assert first.trusts(first.leaf)
    names = first.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    service = "blue-trafficmetrics"
    assert names == [
        service,
        f"{service}.{NAMESPACE}",
        f"{service}.{NAMESPACE}.svc",
        f"{service}.{NAMESPACE}.svc.corp.internal",
    ]
    for certificate, note, wanted in ((first.leaf, "certificate-ends", 1095), (first.authorities[0], "authority-ends", 3650)):
        told = dt.datetime.fromisoformat(first.secret["metadata"]["annotations"][f"{NOTES}/{note}"])
        assert abs(told - certificate.not_valid_after_utc) < dt.timedelta(minutes=1)
        assert abs(told - dt.datetime.now(dt.UTC) - dt.timedelta(days=wanted)) < dt.timedelta(minutes=5)


async def test_upgrades_keep_it(upgrades: Upgrades):
    first = await upgrades.upgrade()
    second = await upgrades.upgrade()
    assert second == first


@pytest.mark.parametrize(
    ("notes", "changed"),
    [
        pytest.param({"certificate-ends": days(364)}, {}, id="it ends soon"),
        pytest.param({"certificate-ends": None}, {}, id="nobody knows when it ends"),
        pytest.param({"certificate-ends": "soon"}, {}, id="its end is no date"),
        pytest.param({}, {"clusterDomain": "corp.internal"}, id="its names are others now"),
    ],
)
async def test_a_certificate_that_is_due_is_renewed_by_the_same_authority(
    upgrades: Upgrades, notes: Mapping[str, str | None], changed: dict[str, Any]
):
    first = await upgrades.upgrade()
    await upgrades.age(notes)
    second = await upgrades.upgrade(**changed)
    assert second.leaf != first.leaf
    assert second.bundle == first.bundle
    assert second.trusts(second.leaf)
    assert await upgrades.upgrade(**changed) == second


@pytest.mark.parametrize(
    ("notes", "changed"),
    [
        pytest.param({"authority-ends": days(1094)}, {}, id="it would end before a new certificate"),
        pytest.param({}, {"helm": {"generation": "2"}}, id="a new one is asked for"),
    ],
)
async def test_a_new_authority_leaves_the_old_one_trusted(
    upgrades: Upgrades, notes: Mapping[str, str | None], changed: dict[str, Any]
):
    first = await upgrades.upgrade()
    await upgrades.age(notes)
    second = await upgrades.upgrade(**changed)
    assert not signed(second.leaf, first.authorities[0])
    # Pods show the old one until the new Secret has reached them.
    assert second.trusts(first.leaf)
    assert second.trusts(second.leaf)
    assert second.authorities == second.bundle
    assert await upgrades.upgrade(**changed) == second
    # The one before the last is nobody's any more, even if both are of the same second.
    third = await upgrades.upgrade(helm={"generation": "3"})
    assert third.trusts(second.leaf)
    assert not third.trusts(first.leaf)


async def test_two_changes_end_the_trust_in_a_key_that_has_leaked_and_nothing_less_does(
    upgrades: Upgrades, custom_resources: ControlPlane
):
    """As docs/certificates.md has it done; whoever has a key can show a certificate of its authority."""
    leaked = await upgrades.upgrade()
    second = await upgrades.upgrade(helm={"generation": "2"})
    assert second.trusts(leaked.leaf)
    await register(custom_resources, second.bundle[0].public_bytes(serialization.Encoding.PEM))
    try:
        assert (await upgrades.upgrade(helm={"generation": "2"})).trusts(leaked.leaf)
        third = await upgrades.upgrade(helm={"generation": "3"})
    finally:
        await custom_resources.unregister()
    assert not third.trusts(leaked.leaf)
    # What replicas serve with between the two.
    assert third.trusts(second.leaf)


async def test_whoever_was_trusted_before_the_chart_stays_trusted(upgrades: Upgrades, custom_resources: ControlPlane):
    before = Authority("made-by-the-server").certificate
    await register(custom_resources, before)
    try:
        first = await upgrades.upgrade()
    finally:
        await custom_resources.unregister()
    assert first.trusts(first.leaf)
    assert first.bundle[1:] == (x509.load_pem_x509_certificate(before),)


async def register(cluster: ControlPlane, *bundle: bytes) -> None:
    registered = manifest("apiservice.yaml")
    registered["spec"]["caBundle"] = base64.b64encode(b"".join(bundle)).decode()
    await cluster.apply(registered)


def read(*certificates: bytes) -> set[x509.Certificate]:
    return {x509.load_pem_x509_certificate(each) for each in certificates}


def ending(when: dt.datetime) -> bytes:
    """An authority somebody else made, PEM, that ends then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ends {when:%Y-%m-%d}")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC)).not_valid_after(when)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def test_all_that_are_valid_stay_trusted_wherever_in_the_bundle_they_are(upgrades: Upgrades, custom_resources: ControlPlane):
    old, current = (Authority(name).certificate for name in ("old", "current"))
    # Ends from 2050 on are written in another form.
    late, over = ending(dt.datetime(2061, 1, 2, tzinfo=dt.UTC)), ending(dt.datetime.now(dt.UTC) - dt.timedelta(days=2))
    await register(custom_resources, old, over, current, old, late)
    try:
        first = await upgrades.upgrade()
    finally:
        await custom_resources.unregister()
    assert first.trusts(first.leaf)
    assert len(first.bundle) == 4
    assert set(first.bundle[1:]) == read(old, current, late)
    assert first.authorities == first.bundle


async def test_no_more_than_eight_of_others_stay_trusted(upgrades: Upgrades, custom_resources: ControlPlane):
    made = [ending(dt.datetime.now(dt.UTC) + dt.timedelta(days=each)) for each in range(1, 11)]
    await register(custom_resources, *made)
    try:
        first = await upgrades.upgrade()
    finally:
        await custom_resources.unregister()
    assert len(first.bundle) == 9
    assert set(first.bundle[1:]) == read(*made[2:])


async def test_of_the_charts_own_only_the_latest_stays_beside_those_of_others(upgrades: Upgrades, custom_resources: ControlPlane):
    other = Authority("of-cert-manager").certificate
    first = await upgrades.upgrade()
    own = [each.public_bytes(serialization.Encoding.PEM) for each in first.authorities]
    earlier = Authority("blue-trafficmetrics-serving-authority-1700000000").certificate
    await register(custom_resources, earlier, *own, other)
    try:
        second = await upgrades.upgrade(helm={"generation": "2"})
    finally:
        await custom_resources.unregister()
    assert set(second.bundle[1:]) == read(*own, other)
    assert read(earlier).isdisjoint(second.bundle)


async def test_of_those_of_the_same_second_the_first_is_the_latest(upgrades: Upgrades, custom_resources: ControlPlane):
    made = [Authority("blue-trafficmetrics-serving-authority-1700000000").certificate for _ in range(5)]
    await register(custom_resources, *made)
    try:
        first = await upgrades.upgrade()
    finally:
        await custom_resources.unregister()
    assert set(first.bundle[1:]) == read(made[0])


async def test_a_secret_that_holds_something_else_is_made_anew(upgrades: Upgrades, custom_resources: ControlPlane):
    metadata = {"name": "blue-trafficmetrics-helm-issued", "namespace": NAMESPACE}
    await custom_resources.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "kubernetes.io/tls",
            "data": {"tls.crt": "", "tls.key": ""},
        }
    )
    first = await upgrades.upgrade()
    assert first.bundle == first.authorities
    assert first.trusts(first.leaf)
