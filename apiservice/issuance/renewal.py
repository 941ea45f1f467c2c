"""When something of the Secret has to be made anew, and whom clients have to trust from then on: a function of what is there and the time.

A new authority takes its place before the old ones, which stay trusted for as long as a leaf lives. A replica may learn late that there
is a new leaf, and be asked meanwhile; but it cannot serve an old one for longer than that one is valid.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from cryptography import x509

from apiservice.certificates import SKEW, Signed, covers, extension_of, is_signed_by, lasts, make_authority, make_leaf
from apiservice.issuance.contents import Contents, Found

__all__ = ["LEAF_LIFE", "MOST_UNDONE", "RESPITE", "Renewal", "Rivals", "renewal"]

LEAF_LIFE = dt.timedelta(days=90)
_LEAF_RENEWAL = dt.timedelta(days=30)
_AUTHORITY_RENEWAL = dt.timedelta(days=365)

MOST_UNDONE = 3
"""Renewals in an hour that somebody else may undo: more of them help nobody, and each is a new certificate for all."""

RESPITE = 3600.0
"""Seconds in which they are counted."""

_MOST_TRUSTED = 16
"""Authorities one Secret holds: a Secret that is deleted over and over must not grow without end."""


class Renewal(NamedTuple):
    """What the Secret has to hold, and why it does not already."""

    contents: Contents
    reasons: tuple[str, ...]


class Rivals:
    """Whether somebody else undoes the renewals of this replica: one whose clock differs by months, or whose Service has another name."""

    def __init__(self) -> None:
        self._leaf: x509.Certificate | None = None
        self._undone: deque[float] = deque(maxlen=MOST_UNDONE)

    def prevail(self, found: Found, due: Renewal, elapsed: float) -> bool:
        """Whether this renewal has to wait, for it would be undone as those before; ``elapsed`` is of a clock that never goes back."""
        return self._undo(found, due) and len(self._undone) == MOST_UNDONE and elapsed - self._undone[0] < RESPITE

    def note(self, found: Found, written: Renewal, elapsed: float) -> None:
        """The Secret was renewed by this replica."""
        if self._undo(found, written):
            self._undone.append(elapsed)
        self._leaf = written.contents.leaf[0]

    def _undo(self, found: Found, due: Renewal) -> bool:
        """Whether a certificate that is whole has to be replaced, as this replica's own was before it. What is broken does not count."""
        before = found.contents
        return before is not None and self._leaf not in (None, before.leaf[0]) and due.contents.leaf is not before.leaf


def renewal(
    found: Found,
    names: Sequence[str],
    now: dt.datetime,
    *,
    bundled: Iterable[x509.Certificate] = (),
    serving: x509.Certificate | None = None,
) -> Renewal | None:
    """What to write into the Secret; None when it can stay as it is.

    ``names`` are those the leaf has to be for. ``bundled`` is what the APIServices trust: whoever serves now is verified with it, so a new
    authority goes beside it. ``serving`` is the authority of the leaf that this replica serves, None when it serves no valid one.
    """
    reasons: list[str] = []
    authority, others = found.authority, list(found.trusted)
    if fault := _authority_fault(authority, now):
        reasons.append(fault)
        others += bundled
        authority = make_authority(now)
    assert authority is not None  # noqa: S101 that would have been a fault
    leaf = found.leaf
    if fault := _leaf_fault(leaf, authority[0], names, now):
        reasons.append(fault)
        leaf = make_leaf(authority, names, now, LEAF_LIFE)
    assert leaf is not None  # noqa: S101 that would have been a fault
    needed = [serving] if serving is not None else []
    trusted = _trusted(authority[0], others, needed, now)
    if not reasons:
        if set(trusted) - set(found.trusted):
            reasons.append("ca.crt lacks the authority of a certificate that is still served")
        elif set(found.trusted) - set(trusted):
            reasons.append("all certificates of an earlier authority have expired")
    return Renewal(Contents(authority, leaf, trusted), tuple(reasons)) if reasons else None


def _authority_fault(authority: Signed | None, now: dt.datetime) -> str:
    """Why an authority cannot stay, or ""."""
    if authority is None:
        return "ca.crt and ca.key are no authority"
    if not _may_sign(authority[0]):
        return "the certificate of ca.key may not sign others"
    return _age_fault("the authority", authority[0], now, _AUTHORITY_RENEWAL)


def _leaf_fault(leaf: Signed | None, authority: x509.Certificate, names: Sequence[str], now: dt.datetime) -> str:
    """Why a leaf cannot stay, or ""."""
    if leaf is None:
        return "tls.crt and tls.key are no pair"
    if not is_signed_by(leaf[0], authority):
        return "the certificate is of another authority"
    if not covers(leaf[0], names):
        return f"the certificate is not for all of {', '.join(names)}"
    return _age_fault("the certificate", leaf[0], now, _LEAF_RENEWAL)


def _age_fault(what: str, certificate: x509.Certificate, now: dt.datetime, margin: dt.timedelta) -> str:
    if lasts(certificate, now, margin):
        return ""
    if now < certificate.not_valid_before_utc:
        return f"{what} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
    return f"{what} ends on {certificate.not_valid_after_utc:%Y-%m-%d}"


def _may_sign(certificate: x509.Certificate) -> bool:
    constraints = extension_of(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _trusted(
    authority: x509.Certificate, others: Collection[x509.Certificate], needed: Collection[x509.Certificate], now: dt.datetime
) -> tuple[x509.Certificate, ...]:
    """The authority, those that are needed whatever the time, and those of whom a leaf may still be served; the youngest of these."""
    outlived = now >= authority.not_valid_before_utc + SKEW + LEAF_LIFE
    waning = () if outlived else sorted(set(others), key=lambda each: (each.not_valid_before_utc, each.serial_number), reverse=True)
    valid = [each for each in (*needed, *waning) if now <= each.not_valid_after_utc]
    return tuple(dict.fromkeys((authority, *valid)))[:_MOST_TRUSTED]
