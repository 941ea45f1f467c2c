"""Plain numbers: the same rows for readers that know neither quantities nor lists of metrics, such as scripts and canary controllers.

``?format=numbers`` asks for them, on any path that is got or listed. Every row is one flat object, in which each metric has a key of its
own and is a number of JSON; the shape never changes, so that a path into it (``{$.p99Ms}``) always leads somewhere. None is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from multidict import MultiMapping

from apiservice.encoding import encode
from apiservice.negotiate import Encoding, Negotiated, NotAcceptable, negotiate
from apiservice.representation import Sheet, Style, encode_sheet
from apiservice.result import Result
from metrics_api.errors import BadQuery
from metrics_api.numbers import number_row
from metrics_api.objects import TrafficMetrics

__all__ = ["negotiate_numbers", "represent_number_list", "represent_numbers", "wants_numbers"]

_FORMAT = "numbers"
_QUOTED = 40  # characters of what was asked that an error repeats


def wants_numbers(query: MultiMapping[str], *, served: bool) -> bool:
    """Whether a request asks for plain numbers. :class:`BadQuery` for any other ``format``, and for this one when it is not ``served``."""
    asked = set(query.getall("format", ())) - {""}
    if unknown := sorted(asked - {_FORMAT}):
        raise BadQuery(f'format "{unknown[0][:_QUOTED]}" is not known: it is {_FORMAT}, or left out for objects of the API')
    if asked and not served:
        raise BadQuery(f"format={_FORMAT} is switched off on this server (surfaces.numbers): leave it out for objects of the API")
    return bool(asked)


def negotiate_numbers(accept: str) -> Negotiated:
    """The encoding of plain numbers: JSON for everybody but those who want YAML, and whatever else a client says it prefers.

    Readers of numbers are written for any server there is, and name types that a document of numbers can never be of (Infinity prefers
    ``text/plain``; grafana/grafana-infinity-datasource: ``pkg/infinity/headers.go``). They parse JSON all the same.
    """
    try:
        return negotiate(accept)
    except NotAcceptable:
        return Negotiated(Encoding.JSON)


def represent_numbers(row: TrafficMetrics, warnings: Sequence[str], style: Style) -> Iterator[bytes]:
    """One row, with the ``warnings`` that the API sends as headers."""
    return iter([encode({**number_row(row), "warnings": list(warnings)}, style.encoding, pretty=style.pretty)])


def represent_number_list(
    rows: Sequence[TrafficMetrics], metadata: Mapping[str, Any], result: Result, style: Style
) -> Iterator[bytes]:
    """A list of rows in parts to be joined, as :func:`apiservice.representation.represent_list`; ``result`` tells of the whole answer."""
    # The last page has an empty token: Infinity takes one that is missing for an error (grafana/infinity-libs:
    # lib/go/jsonframer/rootselector.go).
    envelope = {"metadata": {"continue": "", **metadata}, "incomplete": result.incomplete, "warnings": list(result.warnings)}
    return encode_sheet(Sheet(envelope, "items", number_row), rows, style)
