"""Kubernetes quantities: parsed exactly, printed canonically, never through a float.

The grammar and the canonical form are those of ``k8s.io/apimachinery/pkg/api/resource`` (quantity.go, suffix.go): values are
kept in whole nano units, anything finer is rounded away from zero, and the output keeps the family of the input
(decimal suffixes, binary suffixes, decimal exponent). Two differences are on purpose: a number without any digit is refused
(Kubernetes reads ``k`` or ``-`` as 0), and 1000E stays 1000E (Kubernetes has no suffix past E and prints 1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from metrics_api.errors import BadQuery

__all__ = ["Format", "Quantity", "of_micro", "of_milli"]

_NANO = 10**9
_LARGEST_BINARY = 2**63 - 1
_LONGEST = 256  # characters; no quantity needs more, and arithmetic on endless digits would be slow

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_BINARY_SUFFIX = {bits: suffix for suffix, bits in _BINARY.items()}

_QUANTITY = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?0*[0-9]{1,3})?",
    re.ASCII,
)


class Format(Enum):
    """Which family of suffixes a quantity is written in."""

    DECIMAL_SI = "DecimalSI"
    BINARY_SI = "BinarySI"
    DECIMAL_EXPONENT = "DecimalExponent"


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """An exact number of nano units and the family it is printed in; compared by value alone, as Kubernetes does."""

    nano: int
    format: Format = field(default=Format.DECIMAL_SI, compare=False)

    @classmethod
    def parse(cls, text: str) -> Quantity:
        """Read a quantity; :class:`BadQuery` when it is not one."""
        if len(text) > _LONGEST:
            raise BadQuery(f'"{text[:20]}..." is not a quantity: it is longer than {_LONGEST} characters')
        match = _QUANTITY.fullmatch(text)
        if match is None or not (match["whole"] or match["fraction"]):
            raise BadQuery(f'"{text}" is not a quantity: a number with an optional suffix such as 250m, 1.5k or 64Mi')
        fraction = match["fraction"] or ""
        digits = int((match["whole"] or "") + fraction)
        suffix = match["suffix"] or ""
        if suffix in _BINARY:
            numerator, denominator, form = digits * 2 ** _BINARY[suffix] * _NANO, 10 ** len(fraction), Format.BINARY_SI
        else:
            form = Format.DECIMAL_EXPONENT if suffix[:1] in ("e", "E") and len(suffix) > 1 else Format.DECIMAL_SI
            exponent = int(suffix[1:]) if form is Format.DECIMAL_EXPONENT else _DECIMAL[suffix]
            exponent += 9 - len(fraction)
            numerator, denominator = digits * 10 ** max(exponent, 0), 10 ** max(-exponent, 0)
        nano = -(-numerator // denominator)
        if form is Format.BINARY_SI:
            nano = min(nano, _LARGEST_BINARY * _NANO)
        return cls(-nano if match["sign"] == "-" else nano, form)

    def __str__(self) -> str:
        if self.nano == 0:
            return "0"
        sign, size = ("-", -self.nano) if self.nano < 0 else ("", self.nano)
        if self.format is Format.BINARY_SI and size % _NANO == 0 and size >= 1024 * _NANO:
            return sign + _binary(size // _NANO)
        # Decimal suffixes end at E; the exponent form of Kubernetes goes on past them.
        limit = 18 if self.format is not Format.DECIMAL_EXPONENT else 999
        exponent = -9
        while size % 1000 == 0 and exponent < limit:
            size //= 1000
            exponent += 3
        if self.format is Format.DECIMAL_EXPONENT:
            return f"{sign}{size}e{exponent}" if exponent else f"{sign}{size}"
        return f"{sign}{size}{_DECIMAL_SUFFIX[exponent]}"


def _binary(whole: int) -> str:
    bits = 0
    while whole % 1024 == 0 and bits < 60:
        whole //= 1024
        bits += 10
    return f"{whole}{_BINARY_SUFFIX.get(bits, '')}"


def of_micro(micro: int) -> str:
    """The canonical quantity of a whole number of millionths."""
    if micro % 1000 or micro == 0:
        return f"{micro}u" if micro else "0"
    return of_milli(micro // 1000)


def of_milli(milli: int) -> str:
    """The canonical quantity of a whole number of thousandths."""
    if milli % 1000:
        return f"{milli}m"
    return str(Quantity(milli * 1_000_000))
