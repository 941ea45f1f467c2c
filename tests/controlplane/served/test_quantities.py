"""Quantities: kube-apiserver reads ours as what they are worth and writes them as we do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from metrics_api.quantity import Quantity, of_micro, of_milli
from tests.controlplane.plane import ControlPlane
from tests.controlplane.served.api import Api

pytestmark = pytest.mark.real

DECIMAL = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"]
BINARY = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
FACTS = {
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
    "1025Ki": "1025Ki",
    "0.5Ki": "512",
    "0.0001Ki": "102400u",
    "3.001n": "4n",
    "0.0000000001": "1n",
    "12E": "12E",
    "9Ei": "9223372036854775807",
}
"""Texts, and how Kubernetes writes them (quantity_test.go of k8s.io/apimachinery)."""


async def rewritten(plane: ControlPlane, texts: Iterable[str]) -> list[str]:
    """What kube-apiserver makes of these quantities; they are never stored."""
    texts = list(texts)
    volumes = [{"name": f"v{number}", "emptyDir": {"sizeLimit": text}} for number, text in enumerate(texts)]
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "quantities", "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "example.com/main"}], "volumes": volumes},
    }
    run = await plane.kubectl("create", "--dry-run=server", "--validate=false", "-f", "-", "-o", "json", stdin=json.dumps(pod))
    assert run.code == 0, run.stderr
    return [volume["emptyDir"]["sizeLimit"] for volume in json.loads(run.stdout)["spec"]["volumes"]]


def drawn(strategy: st.SearchStrategy[str], count: int) -> list[str]:
    """So many texts of a strategy: one request asks about all of them."""
    texts: list[str] = []

    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def draw(text: str) -> None:
        texts.append(text)

    draw()
    return texts


def spelt_out(text: str) -> str:
    """The same quantity by the next smaller suffix where there is one.

    kube-apiserver keeps the text of a quantity that looks canonical at first sight, even if it is not (``869.5``). One that ends
    in three zeros it does write anew.
    """
    match = re.fullmatch(r"([0-9]+)(.*)", text)
    assert match is not None, text
    number, suffix = int(match[1]), match[2]
    if suffix.startswith("e"):
        return f"{number}000e{int(suffix[1:]) - 3}" if suffix != "e-9" else text
    if suffix.endswith("i"):
        return f"{number * 1024}{BINARY[BINARY.index(suffix) - 1]}" if suffix != "Ki" else text
    return f"{number}000{DECIMAL[DECIMAL.index(suffix) - 1]}" if number and suffix != "n" else text


async def test_known_quantities_are_written_as_kubernetes_writes_them(control_plane: ControlPlane):
    assert await rewritten(control_plane, FACTS) == list(FACTS.values())
    assert [str(Quantity.parse(text)) for text in FACTS] == list(FACTS.values())


async def test_any_quantity_is_written_as_kubernetes_writes_it(control_plane: ControlPlane):
    numbers = st.from_regex(r"([0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12})", fullmatch=True, alphabet=st.characters(codec="ascii"))
    suffixes = st.sampled_from([*DECIMAL[:7], *BINARY[:4], "e3", "E-3", "e0", "e+6"])
    texts = drawn(st.builds("{}{}".format, numbers, suffixes), 400)
    ours = [str(Quantity.parse(text)) for text in texts]
    theirs = await rewritten(control_plane, texts)
    kept = [text == their for text, their in zip(texts, theirs, strict=True)]
    assert [case for case in zip(kept, texts, ours, theirs, strict=True) if not case[0] and case[2] != case[3]] == []
    assert kept.count(False) > len(texts) / 4
    assert await rewritten(control_plane, map(spelt_out, ours)) == ours


async def test_the_numbers_of_answers_are_written_as_kubernetes_writes_them(control_plane: ControlPlane):
    amounts = st.integers(0, 10**15) | st.builds(lambda size, zeros: size * 10**zeros, st.integers(0, 999), st.integers(0, 15))
    ours = [*drawn(amounts.map(of_micro), 200), *drawn(amounts.map(of_milli), 200)]
    assert await rewritten(control_plane, map(spelt_out, ours)) == ours


async def test_every_value_served_is_canonical(api: Api):
    documents = [await api.raw(path) for path in ("/trafficmetrics", "/pods", "/services", "/namespaces", "/namespaces/shop/edges")]
    values = list(dict.fromkeys(value for document in documents for value in served_values(document)))
    assert len(values) > 10
    assert await rewritten(api.plane, map(spelt_out, values)) == values


def served_values(document: Any) -> Iterator[str]:
    """The values of a list that are known."""
    for item in document["items"]:
        yield from (metric["value"] for metric in item["metrics"] if metric["value"] is not None)
