"""One replica at a time: what it does about what it finds, what it tells, and what it waits for."""

from __future__ import annotations

import datetime as dt
import logging
import ssl

import pytest

from apiservice.certificates import make_authority
from apiservice.issuance.contents import certificates_of, pem_of
from apiservice.issuance.registration import GIVEN, LINGERING
from apiservice.issuance.store import IssuanceFailed
from tests.doubles.authority import Authority
from tests.doubles.clock import ManualClock
from tests.unit.apiservice.issuance.simulated import APIS, SECRET, SECRETS, Cluster, Replica, finish

API_SERVICE = f"/apis/apiregistration.k8s.io/v1/apiservices/{APIS[0]}"


def start(replica: Replica) -> None:
    finish(replica.issuer.start())


def test_the_first_start_makes_everything_in_this_order(cluster: Cluster, replica: Replica) -> None:
    start(replica)
    others = [path for path in cluster.documents if path != SECRET]
    assert cluster.calls == [
        f"GET {SECRET}",
        *(f"GET {path}" for path in others),
        f"POST {SECRETS}",
        *(f"PATCH {path}" for path in others),
    ]
    assert cluster.documents[SECRET]["type"] == "kubernetes.io/tls"
    assert [cluster.bundle(name) for name in APIS] == [cluster.data["ca.crt"]] * 2
    assert replica.issuer.trouble() is None


def test_what_is_right_is_read_and_not_written(cluster: Cluster, replica: Replica, clock: ManualClock) -> None:
    start(replica)
    cluster.calls.clear()
    other = Replica(cluster, clock)
    start(other)
    replica.look()
    assert {call.partition(" ")[0] for call in cluster.calls} == {"GET"}
    assert other.leaf == replica.leaf
    other.close()


def test_openssl_can_load_the_pair_and_a_new_one_takes_its_place(cluster: Cluster, replica: Replica, clock: ManualClock) -> None:
    start(replica)
    assert replica.issuer.changed.is_set()
    first = _loaded(replica)
    clock.advance(61 * 86_400)
    replica.issuer.changed.clear()
    replica.look()
    assert replica.issuer.changed.is_set()
    assert _loaded(replica) != first
    assert _loaded(replica) == cluster.data["tls.crt"]


def _loaded(replica: Replica) -> bytes:
    certificate, key = replica.issuer.files()
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    return certificate.read_bytes()


def test_a_leaf_of_a_new_authority_is_served_only_when_that_has_been_trusted_for_a_while(
    cluster: Cluster, replica: Replica, clock: ManualClock
) -> None:
    start(replica)
    old = replica.leaf
    cluster.delete_secret()
    replica.look()
    assert cluster.bundle() == cluster.data["ca.crt"]
    clock.advance(4)
    replica.look()
    assert replica.leaf == old
    clock.advance(1)
    replica.look()
    assert replica.leaf == certificates_of(cluster.data["tls.crt"])[0] != old


def test_a_leaf_of_a_new_authority_is_not_served_while_one_bundle_lacks_it(
    cluster: Cluster, replica: Replica, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    start(replica)
    old = replica.leaf
    cluster.delete_secret()
    cluster.refused[f"PATCH {API_SERVICE}"] = 403
    for _ in range(5):
        clock.advance(10)
        replica.look()
    assert replica.leaf == old
    trouble = replica.issuer.trouble()
    assert trouble is not None
    assert trouble.startswith(f"the caBundle of APIService {APIS[0]} cannot be written: ")
    assert "kubectl create clusterrole trafficmetrics-issued-bundle --verb=get,patch" in trouble
    # The other one is looked after all the same, and the log says it once.
    assert cluster.bundle(APIS[1]) == cluster.data["ca.crt"]
    assert len([record for record in caplog.records if "stays as it is" in record.message]) == 1
    cluster.refused.clear()
    replica.look()
    clock.advance(10)
    replica.look()
    assert replica.leaf != old
    assert replica.issuer.trouble() is None


def test_a_leaf_of_a_new_authority_is_not_served_while_one_bundle_cannot_be_read(
    cluster: Cluster, replica: Replica, clock: ManualClock
) -> None:
    start(replica)
    old, unread = replica.leaf, f"/apis/apiregistration.k8s.io/v1/apiservices/{APIS[1]}"
    other = Replica(cluster, clock)
    cluster.delete_secret()
    cluster.refused[f"PATCH {unread}"] = 500
    other.look()
    cluster.refused[f"GET {unread}"] = 500
    for _ in range(3):
        replica.look()
        clock.advance(10)
    assert set(certificates_of(cluster.bundle())) > set(certificates_of(cluster.bundle(APIS[1])))
    assert replica.leaf == old
    cluster.refused.clear()
    for _ in range(2):
        replica.look()
        clock.advance(10)
    assert replica.leaf == certificates_of(cluster.data["tls.crt"])[0] != old
    other.close()


def test_no_authority_is_made_while_it_is_unknown_whom_clients_trust(cluster: Cluster, replica: Replica) -> None:
    cluster.set_bundle(Authority("chart").pem.encode())
    cluster.refused[f"GET {API_SERVICE}"] = 500
    replica.look()
    assert cluster.data == {}
    assert "cannot be read" in str(replica.issuer.trouble())
    cluster.refused.clear()
    replica.look()
    assert cluster.data["ca.crt"].endswith(cluster.bundle()[-200:])
    assert len(certificates_of(cluster.data["ca.crt"])) == 2


def test_once_its_leaf_has_expired_a_replica_takes_what_there_is(cluster: Cluster, replica: Replica, clock: ManualClock) -> None:
    start(replica)
    old = replica.leaf
    cluster.delete_secret()
    cluster.refused[f"PATCH {API_SERVICE}"] = 403
    clock.advance(91 * 86_400)
    replica.look()
    assert replica.leaf != old


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            f"GET {SECRET}",
            (
                "let this server do it: kubectl create role trafficmetrics-issued-secret -n mesh --verb=get,update --resource=secrets"
                " --resource-name=issued && kubectl create rolebinding trafficmetrics-issued-secret -n mesh"
                " --role=trafficmetrics-issued-secret --serviceaccount=mesh:tm"
            ),
        ),
        (
            f"POST {SECRETS}",
            "kubectl create role trafficmetrics-issued-secret-creation -n mesh --verb=create --resource=secrets &&",
        ),
        (
            f"GET {API_SERVICE}",
            (
                "kubectl create clusterrole trafficmetrics-issued-bundle --verb=get,patch --resource=apiservices.apiregistration.k8s.io"
                f" --resource-name={APIS[0]} --resource-name={APIS[1]} && kubectl create clusterrolebinding trafficmetrics-issued-bundle"
                " --clusterrole=trafficmetrics-issued-bundle --serviceaccount=mesh:tm"
            ),
        ),
        (f"PATCH {API_SERVICE}", "kubectl create clusterrole trafficmetrics-issued-bundle"),
    ],
    ids=["read the Secret", "make the Secret", "read an APIService", "write an APIService"],
)
def test_a_right_that_is_missing_at_the_start_is_told_with_its_remedy(
    cluster: Cluster, replica: Replica, call: str, told: str
) -> None:
    cluster.refused[call] = 403
    with pytest.raises(IssuanceFailed) as caught:
        start(replica)
    assert told in caught.value.message


@pytest.mark.parametrize("status", [0, 500])
def test_other_failures_at_the_start_name_no_right(cluster: Cluster, replica: Replica, status: int) -> None:
    cluster.refused[f"GET {SECRET}"] = status
    with pytest.raises(IssuanceFailed, match=r"Secret mesh/issued cannot be read: .*told to fail$"):
        start(replica)


def test_a_namespace_that_is_not_there_is_asked_about(cluster: Cluster, replica: Replica) -> None:
    cluster.refused[f"POST {SECRETS}"] = 404
    with pytest.raises(IssuanceFailed, match=r"is mesh the namespace of the server\? server.serviceNamespace says so"):
        start(replica)


def test_while_kube_apiserver_is_away_the_pair_stays_and_the_check_says_why(
    cluster: Cluster, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    start(replica)
    leaf = replica.leaf
    cluster.refused[f"GET {SECRET}"] = 0
    for _ in range(4):
        replica.look()
    assert replica.leaf == leaf
    assert "Secret mesh/issued cannot be read" in str(replica.issuer.trouble())
    cluster.refused.clear()
    replica.look()
    assert replica.issuer.trouble() is None
    told = [record.message for record in caplog.records if record.message.startswith("the serving certificate")]
    assert [text.partition(":")[0] for text in told] == [
        "the serving certificate stays as it is",
        "the serving certificate is looked after again",
    ]


def test_someone_who_always_comes_first_is_told_of(cluster: Cluster, replica: Replica) -> None:
    cluster.refused[f"POST {SECRETS}"] = 409
    with pytest.raises(IssuanceFailed, match="are never left alone"):
        start(replica)
    assert cluster.calls.count(f"POST {SECRETS}") == 5


def test_a_wrong_bundle_is_mended_at_once_and_what_was_put_there_leaves_later(
    cluster: Cluster, replica: Replica, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    start(replica)
    wrong = pem_of([make_authority(clock.now())[0]])
    cluster.set_bundle(wrong)
    replica.look()
    assert cluster.bundle() == cluster.data["ca.crt"] + wrong
    assert f"{APIS[0]}: its caBundle lacked an authority and was mended" in caplog.text
    clock.advance(LINGERING - 1)
    replica.look()
    assert cluster.bundle() == cluster.data["ca.crt"] + wrong
    clock.advance(1)
    replica.look()
    assert cluster.bundle() == cluster.data["ca.crt"]


def test_what_is_over_leaves_a_bundle_at_once(cluster: Cluster, replica: Replica, clock: ManualClock) -> None:
    start(replica)
    right = cluster.bundle()
    cluster.set_bundle(right + pem_of([make_authority(clock.now() - dt.timedelta(days=3651))[0]]))
    replica.look()
    assert cluster.bundle() == right


@pytest.mark.parametrize("bundle", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_bundle_that_holds_nobody_is_replaced(cluster: Cluster, replica: Replica, bundle: bytes) -> None:
    start(replica)
    cluster.set_bundle(bundle)
    replica.look()
    assert cluster.bundle() == cluster.data["ca.crt"]


def test_other_data_of_the_secret_and_its_type_stay(cluster: Cluster, replica: Replica) -> None:
    cluster.set_data({"note": b"made by hand"})
    cluster.documents[SECRET]["type"] = "Opaque"
    start(replica)
    assert cluster.data["note"] == b"made by hand"
    assert cluster.documents[SECRET]["type"] == "Opaque"
    assert {"ca.crt", "ca.key", "tls.crt", "tls.key"} <= set(cluster.data)


@pytest.mark.parametrize(
    ("spec", "annotation", "told"),
    [
        ({"insecureSkipTLSVerify": True}, "", "insecureSkipTLSVerify: true"),
        ({}, "cert-manager.io/inject-ca-from", "cert-manager fills it in"),
        ({}, GIVEN, "says that somebody else fills it in"),
    ],
    ids=["not verified", "cert-manager", "given"],
)
def test_a_bundle_that_others_keep_is_left_alone_and_told_of_once(
    cluster: Cluster,
    replica: Replica,
    caplog: pytest.LogCaptureFixture,
    spec: dict[str, object],
    annotation: str,
    told: str,
) -> None:
    theirs = Authority("theirs").pem.encode()
    cluster.register(APIS[0], **spec)
    cluster.set_bundle(theirs)
    if annotation:
        cluster.annotate(APIS[0], annotation, "given")
    start(replica)
    replica.look()
    assert cluster.bundle() == theirs
    assert len([record for record in caplog.records if told in record.message]) == 1
    assert told in str(replica.issuer.trouble())
    # Nothing is the matter once they trust whom they have to.
    cluster.set_bundle(cluster.data["ca.crt"])
    replica.look()
    assert replica.issuer.trouble() is None


@pytest.mark.parametrize("service", [None, {"name": "keda", "namespace": "keda"}], ids=["kube-apiserver", "another Service"])
def test_a_group_that_somebody_else_serves_is_no_trouble(
    cluster: Cluster, replica: Replica, caplog: pytest.LogCaptureFixture, service: dict[str, str] | None
) -> None:
    caplog.set_level(logging.INFO)
    cluster.register(APIS[1], service=service)
    start(replica)
    assert cluster.bundle(APIS[1]) == b""
    assert f"APIService {APIS[1]}: its caBundle is left alone" in caplog.text
    assert replica.issuer.trouble() is None


def test_an_apiservice_that_comes_later_gets_its_bundle(
    cluster: Cluster, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for name in APIS:
        cluster.unregister(name)
    start(replica)
    replica.look()
    assert caplog.text.count(f"APIService {APIS[0]}: it is not there yet") == 1
    assert replica.leaf is not None
    assert replica.issuer.trouble() is None
    cluster.register(APIS[0])
    replica.look()
    assert cluster.bundle() == cluster.data["ca.crt"]


def test_no_key_is_ever_logged(cluster: Cluster, replica: Replica, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    start(replica)
    keys = [cluster.data["ca.key"], cluster.data["tls.key"]]
    cluster.delete_secret()
    replica.look()
    clock.advance(100 * 86_400)
    replica.look()
    for key in [*keys, cluster.data["ca.key"], cluster.data["tls.key"]]:
        assert key.decode().splitlines()[1] not in caplog.text
    assert "was gone, and was made anew" in caplog.text


def test_it_looks_every_ten_seconds_or_so(cluster: Cluster, replica: Replica, clock: ManualClock) -> None:
    start(replica)
    looks = cluster.calls.count(f"GET {SECRET}")
    work = replica.issuer.keep()
    while cluster.calls.count(f"GET {SECRET}") < looks + 5:
        work.send(None)
    work.close()
    assert 5 <= len(clock.slept) <= 6
    assert all(9 <= seconds <= 11 for seconds in clock.slept)
