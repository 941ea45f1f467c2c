"""What a Secret has to hold: whatever is in it, one writing makes it right, and nobody who serves ceases to be trusted."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings

from apiservice.certificates import (
    SKEW,
    Signed,
    certificate_pem,
    covers,
    is_signed_by,
    key_pem,
    lasts,
    make_authority,
    make_leaf,
    service_names,
)
from apiservice.issuance.contents import Contents, Found, certificates_of, pem_of, read_contents, written
from apiservice.issuance.renewal import LEAF_LIFE, Renewal, renewal
from tests.doubles.authority import Authority
from tests.unit.apiservice.issuance.simulated import NAMES

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
OTHERS = service_names("other", "shop")


def issued(authority_age: int = 0, leaf_age: int = 0, names: tuple[str, ...] = NAMES) -> Contents:
    """A Secret whose authority and leaf were made so many days ago."""
    authority = make_authority(NOW - authority_age * DAY)
    return Contents(authority, make_leaf(authority, names, NOW - leaf_age * DAY, LEAF_LIFE), (authority[0],))


def found(contents: Contents, *more: x509.Certificate) -> Found:
    return Found(contents.authority, contents.leaf, (*contents.trusted, *more))


def due(found: Found, now: dt.datetime = NOW, **known: object) -> Renewal:
    """The renewal there has to be."""
    made = renewal(found, NAMES, now, **known)  # type: ignore[arg-type]
    assert made is not None
    return made


def test_what_is_written_is_read_back() -> None:
    contents = issued()
    read = read_contents(written(contents)).contents
    assert read is not None
    assert (read.authority[0], read.leaf[0], read.trusted) == (contents.authority[0], contents.leaf[0], contents.trusted)
    assert [key_pem(read.authority), key_pem(read.leaf)] == [key_pem(contents.authority), key_pem(contents.leaf)]


def test_a_leaf_is_good_for_ninety_days_and_an_authority_for_ten_years() -> None:
    contents = due(Found()).contents
    assert contents.leaf[0].not_valid_after_utc == NOW + 90 * DAY
    assert contents.authority[0].not_valid_after_utc == NOW + 3650 * DAY


@pytest.mark.parametrize(("authority_age", "leaf_age"), [(0, 0), (3284, 0), (60, 59), (400, 59)])
def test_nothing_is_written_while_all_is_well(authority_age: int, leaf_age: int) -> None:
    assert renewal(found(issued(authority_age, leaf_age)), NAMES, NOW) is None


def test_a_leaf_is_renewed_when_thirty_days_are_left_and_the_authority_stays() -> None:
    before = issued(61, 61)
    made = due(found(before))
    assert made.reasons == ("the certificate ends on 2026-12-21",)
    assert made.contents.authority == before.authority
    assert made.contents.leaf[0].not_valid_after_utc == NOW + LEAF_LIFE
    assert made.contents.trusted == before.trusted


def test_an_authority_is_renewed_a_year_before_its_end_and_stays_trusted_beside_the_new_one() -> None:
    before = issued(3286)
    made = due(found(before))
    assert made.reasons == ("the authority ends on 2027-11-21", "the certificate is of another authority")
    assert made.contents.trusted == (made.contents.authority[0], before.authority[0])
    assert made.contents.authority[0] != before.authority[0]
    assert is_signed_by(made.contents.leaf[0], made.contents.authority[0])


def test_an_earlier_authority_leaves_when_the_last_of_its_leaves_has_expired() -> None:
    before = issued(3286)
    contents = due(found(before)).contents
    over = NOW + LEAF_LIFE
    # The leaf is renewed meanwhile.
    contents = due(found(contents), NOW + 70 * DAY).contents
    assert contents.trusted[1:] == (before.authority[0],)
    assert renewal(found(contents), NAMES, over - dt.timedelta(seconds=1)) is None
    made = due(found(contents), over)
    assert made.reasons == ("all certificates of an earlier authority have expired",)
    assert made.contents == Contents(contents.authority, contents.leaf, contents.trusted[:1])


def test_an_earlier_authority_that_was_taken_out_by_hand_stays_out() -> None:
    contents = due(found(issued(3286))).contents
    assert renewal(Found(contents.authority, contents.leaf, contents.trusted[:1]), NAMES, NOW) is None


def test_the_authority_of_a_leaf_that_is_still_served_is_put_back() -> None:
    served, restored = issued().authority[0], issued(200)
    made = due(found(restored), serving=served)
    assert made.reasons == ("ca.crt lacks the authority of a certificate that is still served",)
    assert made.contents.trusted == (restored.authority[0], served)


def test_a_new_authority_goes_beside_whoever_is_trusted_now() -> None:
    """So replicas go on that have their certificate from elsewhere: the way the server had before, or a Secret that is gone."""
    elsewhere = Authority("chart").certificate
    made = due(Found(), dt.datetime.now(dt.UTC), bundled=[elsewhere])
    assert made.contents.trusted == (made.contents.authority[0], elsewhere)


def test_what_is_over_is_not_trusted_beside_a_new_authority() -> None:
    made = due(Found(), bundled=[make_authority(NOW - 4000 * DAY)[0]])
    assert len(made.contents.trusted) == 1


def test_a_secret_that_is_deleted_again_and_again_does_not_grow_without_end() -> None:
    bundled: tuple[x509.Certificate, ...] = ()
    for minute in range(40):
        bundled = due(Found(), NOW + minute * dt.timedelta(minutes=1), bundled=bundled).contents.trusted
    assert len(bundled) == 16
    # Those that were made last.
    assert bundled[0].not_valid_before_utc == NOW + dt.timedelta(minutes=39) - SKEW
    assert bundled[15].not_valid_before_utc == NOW + dt.timedelta(minutes=24) - SKEW


def test_a_leaf_for_other_names_is_replaced() -> None:
    made = due(found(issued(names=OTHERS)))
    assert made.reasons == (f"the certificate is not for all of {', '.join(NAMES)}",)
    assert covers(made.contents.leaf[0], NAMES)


def test_a_certificate_that_may_not_sign_is_no_authority() -> None:
    contents = issued()
    made = due(Found(contents.leaf, contents.leaf, (contents.leaf[0],)))
    assert made.reasons[0] == "the certificate of ca.key may not sign others"


def test_a_secret_from_the_future_is_replaced() -> None:
    made = due(found(issued(-10, -10)))
    assert made.reasons[0] == "the authority is not valid before 2026-12-01"


# Whatever is there


def _pem_pairs() -> st.SearchStrategy[tuple[bytes, bytes]]:
    authorities = st.sampled_from([-30, 0, 3000, 3300, 3660]).map(lambda age: make_authority(NOW - age * DAY))
    leaves = st.builds(issued, st.just(91), st.sampled_from([-30, 0, 59, 61, 91]), st.sampled_from([NAMES, OTHERS, NAMES[:2]]))
    made = st.one_of(authorities, leaves.map(lambda each: each.leaf), leaves.map(lambda each: each.authority))
    good = made.map(lambda signed: (certificate_pem(signed[0]), key_pem(signed)))
    broken = st.sampled_from([b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
    return st.one_of(good, st.tuples(broken, broken), good.flatmap(lambda pair: broken.map(lambda rubbish: (pair[0], rubbish))))


def _secrets() -> st.SearchStrategy[Mapping[str, object]]:
    """Whole ones, whole ones with something else in a place, and rubbish."""

    def encoded(authority: tuple[bytes, bytes], leaf: tuple[bytes, bytes], more: bytes) -> dict[str, object]:
        texts = {"ca.crt": authority[0] + more, "ca.key": authority[1], "tls.crt": leaf[0], "tls.key": leaf[1]}
        return {key: base64.b64encode(text).decode() for key, text in texts.items()}

    pairs, ages = _pem_pairs(), st.sampled_from([0, 59, 61, 3300])
    whole = st.builds(lambda *age: dict(written(issued(*age))), ages, ages)
    mixed = st.builds(encoded, pairs, pairs, st.one_of(st.just(b""), pairs.map(lambda pair: pair[0])))
    odd = st.dictionaries(st.sampled_from(["ca.crt", "ca.key", "tls.crt", "tls.key"]), st.sampled_from([None, 7, "%", "", "aGk="]))
    return st.one_of(whole, mixed, st.builds(lambda one, other: {**one, **other}, whole, odd), odd)


@settings(max_examples=60, deadline=None)
@given(secret=_secrets(), bundled=st.lists(_pem_pairs(), max_size=2), serving=st.none() | st.sampled_from([0, 80]))
def test_one_writing_makes_any_secret_right(
    secret: Mapping[str, object], bundled: list[tuple[bytes, bytes]], serving: int | None
) -> None:
    before = read_contents(secret)
    served = None if serving is None else make_authority(NOW - serving * DAY)[0]
    known = [authority for pem, _ in bundled for authority in certificates_of(pem)]
    made = renewal(before, NAMES, NOW, bundled=known, serving=served)
    after = before.contents if made is None else made.contents
    assert after is not None
    _right(after, NOW)
    if served is not None:
        assert served in after.trusted
    if made is not None:
        assert made.reasons
        again = read_contents(written(after))
        assert renewal(again, NAMES, NOW, bundled=known, serving=served) is None
        # A new authority takes nobody's place whose leaves may be served.
        if before.authority is None or before.authority[0] != after.authority[0]:
            valid = {each for each in (*before.trusted, *known) if each.not_valid_after_utc >= NOW}
            assert valid <= set(after.trusted)


def _right(contents: Contents, now: dt.datetime) -> None:
    """A server can serve with it for a while, and a client that trusts it can verify."""
    assert contents.authority[0] in contents.trusted
    assert is_signed_by(contents.leaf[0], contents.authority[0])
    assert lasts(contents.leaf[0], now, 30 * DAY)
    assert lasts(contents.authority[0], now, 365 * DAY)
    assert covers(contents.leaf[0], NAMES)
    for signed in (contents.authority, contents.leaf):
        _belongs_together(signed)
    assert certificates_of(pem_of(contents.trusted)) == contents.trusted


def _belongs_together(signed: Signed) -> None:
    key = load_pem_private_key(key_pem(signed), None)
    assert key.public_key() == signed[0].public_key()
