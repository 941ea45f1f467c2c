"""Quantities: read exactly, printed canonically."""

import pytest

from metrics_api.errors import BadQuery
from metrics_api.quantity import Format, Quantity, of_micro, of_milli

CANONICAL = {
    "0": "0",
    "0.5": "500m",
    "1.5": "1500m",
    "1.08": "1080m",
    "1000": "1k",
    "100035": "100035",
    "0.001": "1m",
    "1000u": "1m",
    "1e9": "1e9",
    "0.001e0": "1e-3",
    "1.5Gi": "1536Mi",
    "1024Mi": "1Gi",
    "3.001n": "4n",
    "0.0000000001": "1n",
    "-1.5": "-1500m",
    "-3.001n": "-4n",
    "12E": "12E",
    "9Ei": "9223372036854775807",
    "16Ei": "9223372036854775807",
    "-16Ei": "-9223372036854775807",
    "1023Ki": "1023Ki",
    "0.5Ki": "512",
    "0.1Ki": "102400m",
    "+5": "5",
    ".5": "500m",
    "5.": "5",
    "1E3": "1e3",
    "1e0003": "1e3",
    "1E": "1E",
    "1e-12": "1e-9",
}


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items())
def test_the_canonical_form_has_no_fraction_and_the_largest_suffix(text: str, canonical: str):
    assert str(Quantity.parse(text)) == canonical
    assert str(Quantity.parse(canonical)) == canonical


@pytest.mark.parametrize(
    ("number", "canonical"),
    [
        ("1025", "1025"),
        ("1024", "1Ki"),
        ("1023", "1023"),
        ("0.5", "500m"),
        ("5", "5"),
        ("-1024", "-1Ki"),
        ("1024.5", "1024500m"),
        ("1000", "1k"),
    ],
)
def test_binary_quantities_that_are_small_or_have_a_fraction_are_printed_as_decimal(number: str, canonical: str):
    assert str(Quantity(Quantity.parse(number).nano, Format.BINARY_SI)) == canonical


@pytest.mark.parametrize(
    ("text", "form"),
    [("1", Format.DECIMAL_SI), ("1E", Format.DECIMAL_SI), ("1Ei", Format.BINARY_SI), ("1E1", Format.DECIMAL_EXPONENT)],
)
def test_a_quantity_remembers_the_family_it_was_written_in(text: str, form: Format):
    assert Quantity.parse(text).format is form


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 ",
        " 1",
        "1\n",
        "--1",
        "1.1.1",
        "0x10",
        "1_000",
        "1,5",
        "NaN",
        "Inf",
        "+Inf",
        "1K",
        "1ki",
        "1h",
        "1e",
        "1e+",
        "1e1.5",
        "١",
        "1e1000",
    ],
)
def test_what_is_no_quantity_is_refused(text: str):
    with pytest.raises(BadQuery, match="is not a quantity"):
        Quantity.parse(text)


@pytest.mark.parametrize(
    "text", ["9" * 5000, "0." + "0" * 5000 + "1", "1e" + "0" * 5000 + "1"], ids=["whole", "fraction", "exponent"]
)
def test_endless_digits_are_a_bad_query_and_not_a_crash(text: str):
    with pytest.raises(BadQuery, match="longer than") as caught:
        Quantity.parse(text)
    assert len(caught.value.message) < 100


def test_quantities_of_different_families_can_be_compared():
    small, large = Quantity.parse("1000"), Quantity.parse("1Ki")
    assert small < large
    assert sorted([large, small, Quantity.parse("1e3")]) == [small, small, large]


def test_equal_values_are_equal_whatever_their_family():
    assert Quantity.parse("1024") == Quantity.parse("1Ki")
    assert hash(Quantity.parse("1024")) == hash(Quantity.parse("1Ki"))
    assert Quantity.parse("1e3") == Quantity.parse("1k")


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "0"),
        (1, "1u"),
        (999, "999u"),
        (1_000, "1m"),
        (1_500, "1500u"),
        (10_000, "10m"),
        (1_000_000, "1"),
        (12_345_678, "12345678u"),
        (10**9, "1k"),
        (-1, "-1u"),
    ],
)
def test_micro_units_become_quantities(micro: int, text: str):
    assert of_micro(micro) == text


@pytest.mark.parametrize(
    ("milli", "text"),
    [
        (0, "0"),
        (1, "1m"),
        (1_000, "1"),
        (73_492, "73492m"),
        (100_000, "100"),
        (1_000_000, "1k"),
        (1_001_000, "1001"),
        (10**24, "1000E"),
        (-1500, "-1500m"),
    ],
)
def test_milli_units_become_quantities(milli: int, text: str):
    assert of_milli(milli) == text
