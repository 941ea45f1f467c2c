"""Quantities: exact and canonical for every text, and the short ways to print them agree with the long one."""

import math
import re
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from metrics_api.errors import BadQuery
from metrics_api.quantity import Format, Quantity, of_micro, of_milli

DECIMAL = {
    "n": "1e-9",
    "u": "1e-6",
    "m": "1e-3",
    "": "1",
    "k": "1e3",
    "M": "1e6",
    "G": "1e9",
    "T": "1e12",
    "P": "1e15",
    "E": "1e18",
}
BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
PARTS = re.compile(r"([+-]?[0-9]*\.?[0-9]*)(.*)")

numbers = st.from_regex(r"[+-]?([0-9]{1,25}(\.[0-9]{0,15})?|\.[0-9]{1,15})", fullmatch=True, alphabet=st.characters(codec="ascii"))
exponents = st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 40))
quantities = st.builds("{}{}".format, numbers, st.sampled_from([*DECIMAL, *BINARY]) | exponents)
nanos = st.integers(-(10**30), 10**30) | st.builds(
    lambda size, zeros: size * 10**zeros, st.integers(-9999, 9999), st.integers(0, 30)
)


def worth(text: str) -> int:
    """What a quantity is worth in nano units, in fractions; rounded and capped as Kubernetes does."""
    number, suffix = PARTS.fullmatch(text).groups()
    factor = Fraction(BINARY.get(suffix) or DECIMAL.get(suffix) or f"1{suffix}")
    exact = Fraction(number) * factor * 10**9
    size = math.ceil(abs(exact))
    if suffix in BINARY:
        size = min(size, (2**63 - 1) * 10**9)
    return size if exact >= 0 else -size


@given(quantities)
def test_a_quantity_is_worth_what_its_text_says(text: str):
    assert Quantity.parse(text).nano == worth(text)


@given(quantities)
def test_printing_and_reading_again_changes_nothing(text: str):
    quantity = Quantity.parse(text)
    again = Quantity.parse(str(quantity))
    assert again == quantity
    assert str(again) == str(quantity)


@given(quantities)
def test_the_printed_form_has_no_fraction_and_the_largest_suffix(text: str):
    printed = str(Quantity.parse(text))
    mantissa, suffix = re.fullmatch(r"(-?[0-9]+)(.*)", printed).groups()
    if printed == "0":
        return
    assert not mantissa.lstrip("-").startswith("0")
    if suffix in BINARY:
        assert suffix == "Ei" or int(mantissa) % 1024
    elif suffix.startswith("e"):
        assert int(suffix[1:]) % 3 == 0
        assert int(suffix[1:]) != 0
        assert int(mantissa) % 1000
    else:
        assert suffix in DECIMAL
        # Binary quantities of whole units are printed in whole units.
        assert suffix == "E" or int(mantissa) % 1000 or Quantity.parse(text).format is Format.BINARY_SI


@given(nanos, st.sampled_from(Format))
def test_every_value_can_be_printed_in_every_family(nano: int, form: Format):
    assume(form is not Format.BINARY_SI or abs(nano) <= (2**63 - 1) * 10**9)
    assert worth(str(Quantity(nano, form))) == nano


@given(st.integers(-(10**18), 10**18) | st.builds(lambda size, zeros: size * 10**zeros, st.integers(-999, 999), st.integers(0, 24)))
def test_the_short_ways_to_print_agree_with_the_long_one(number: int):
    assert of_micro(number) == str(Quantity(number * 1_000))
    assert of_milli(number) == str(Quantity(number * 1_000_000))


@given(quantities, quantities)
def test_quantities_are_ordered_by_what_they_are_worth(one: str, other: str):
    assert (Quantity.parse(one) < Quantity.parse(other)) is (worth(one) < worth(other))
    assert (Quantity.parse(one) == Quantity.parse(other)) is (worth(one) == worth(other))


@given(st.text() | st.text("0123456789.+-eEinumkKMGTP", max_size=12))
def test_no_text_does_anything_but_parse_or_be_refused(text: str):
    try:
        quantity = Quantity.parse(text)
    except BadQuery:
        return
    assert Quantity.parse(str(quantity)) == quantity
