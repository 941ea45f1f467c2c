"""Whose Secret it is: a pair that somebody else has made is not written over, because its key may be nowhere else."""

from __future__ import annotations

import pytest

from apiservice.certificates import certificate_pem, key_pem, make_authority, make_leaf
from apiservice.issuance.contents import LABELS
from apiservice.issuance.renewal import LEAF_LIFE
from apiservice.issuance.store import IssuanceFailed
from tests.doubles.authority import Authority
from tests.doubles.clock import ManualClock
from tests.unit.apiservice.issuance.simulated import NAMES, SECRET, Cluster, Replica, finish


def start(replica: Replica) -> None:
    finish(replica.issuer.start())


def _with_rsa(_: ManualClock) -> dict[str, bytes]:
    """As somebody makes it whose tools make RSA keys."""
    authority = Authority("corporate", use_rsa=True)
    leaf = authority.issue("trafficmetrics", names=NAMES)
    return {"ca.crt": authority.pem.encode(), "tls.crt": leaf.pem, "tls.key": leaf.key_pem}


def _like_ours(clock: ManualClock) -> dict[str, bytes]:
    """As cert-manager may make it: just like ours, but without the key of the authority."""
    authority = make_authority(clock.now())
    leaf = make_leaf(authority, NAMES, clock.now(), LEAF_LIFE)
    return {"ca.crt": certificate_pem(authority[0]), "tls.crt": certificate_pem(leaf[0]), "tls.key": key_pem(leaf)}


@pytest.mark.parametrize("made", [_with_rsa, _like_ours], ids=["RSA", "EC"])
@pytest.mark.parametrize("kept", [("ca.crt", "tls.crt", "tls.key"), ("tls.key",), ("ca.crt",)], ids="+".join)
def test_a_pair_of_somebody_else_stays_and_the_server_does_not_start(
    cluster: Cluster, replica: Replica, clock: ManualClock, made: object, kept: tuple[str, ...]
) -> None:
    assert callable(made)
    theirs = {key: made(clock)[key] for key in kept}
    cluster.set_foreign(theirs, **{"app.kubernetes.io/name": "web"})
    with pytest.raises(IssuanceFailed) as caught:
        start(replica)
    assert cluster.data == theirs
    assert "Secret mesh/issued holds a certificate that this server has not made" in caught.value.message
    for remedy in ("server.certSecret", "server.tlsCertFile", "kubectl delete secret issued -n mesh"):
        assert remedy in caught.value.message
    assert not [call for call in cluster.calls if not call.startswith("GET")]


def test_a_pair_that_somebody_else_puts_there_later_is_trouble(cluster: Cluster, replica: Replica, clock: ManualClock) -> None:
    start(replica)
    leaf, theirs = replica.leaf, _with_rsa(clock)
    cluster.set_foreign(theirs)
    replica.look()
    assert cluster.data == theirs
    assert replica.leaf == leaf
    assert "that this server has not made" in str(replica.issuer.trouble())
    cluster.delete_secret()
    replica.look()
    assert replica.issuer.trouble() is None


@pytest.mark.parametrize("data", [{}, {"tls.crt": b"", "tls.key": b""}, {"note": b"made by hand"}], ids=["none", "empty", "other"])
def test_a_secret_without_a_certificate_is_filled_and_labelled(cluster: Cluster, replica: Replica, data: dict[str, bytes]) -> None:
    cluster.set_foreign(data, team="mesh")
    start(replica)
    assert cluster.documents[SECRET]["metadata"]["labels"] == {"team": "mesh"} | LABELS
    assert cluster.documents[SECRET]["metadata"]["name"] == "issued"
    assert {"ca.crt", "ca.key", "tls.crt", "tls.key"} <= set(cluster.data)


@pytest.mark.parametrize("labelled", [True, False], ids=["labelled", "by its key"])
def test_what_was_written_here_is_mended_whatever_was_done_to_it(cluster: Cluster, replica: Replica, *, labelled: bool) -> None:
    start(replica)
    broken = cluster.data | ({"ca.key": b""} if labelled else {"tls.key": b"garbage"})
    cluster.set_foreign(broken, **(LABELS if labelled else {}))
    replica.look()
    assert replica.issuer.trouble() is None
    assert cluster.data.keys() == broken.keys()
    assert all(cluster.data.values())
    assert cluster.data["tls.key"] != b"garbage"
