"""How a store keeps the series of a dialect: whether samples are running totals or deltas, and histograms classic or native.

The same metrics may be kept in either way: what a mesh exposes as running totals arrives as deltas where a collector on the way converts
it, and a service that takes OTLP keeps histograms whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from backends.dialects.dialect import Temporality, View
from metrics_api.document import Node
from metrics_api.forms import choice, member
from metrics_api.keys import key, keys_of, names_of

__all__ = ["KEYS", "TEMPORALITY", "Keeping", "kept", "read_kept"]

TEMPORALITY = "__temporality__"
"""The label by which series tell it, in stores that keep both kinds (CloudWatch User Guide, "PromQL querying")."""

_FORMS = ("classic", "native")


@dataclass(frozen=True, slots=True)
class Keeping:
    """``native`` histograms have no ``_bucket``; classic ones may be native beside. None where nothing is said."""

    temporality: Temporality | None = field(
        default=None,
        metadata=key(
            "`cumulative`, samples are running totals, or `delta`, each tells what came since the one before: a collector on the way "
            "may have turned one into the other",
            member(Temporality),
            otherwise="the dialect's",
        ),
    )
    native: bool | None = field(
        default=None,
        metadata=key(
            "`native`, the store keeps them whole, without `_bucket`; or `classic`",
            choice(_FORMS),
            "histograms",
            otherwise="the dialect's",
        ),
    )


KEYS = names_of(keys_of(Keeping))


def read_kept(entries: Mapping[str, Node]) -> Keeping:
    """``temporality: delta`` and ``histograms: native``, or what is there of it; mistakes go to the problems of the nodes."""
    temporality = entries["temporality"].choice([word.value for word in Temporality], "") if "temporality" in entries else ""
    form = entries["histograms"].choice(_FORMS, "") if "histograms" in entries else ""
    return Keeping(Temporality(temporality) if temporality else None, form == "native" if form else None)


def kept(view: View, keeping: Keeping) -> View:
    """The view of series that are kept so. Histograms whose observations are the requests are native whatever is said."""
    return replace(
        view,
        temporality=view.temporality if keeping.temporality is None else keeping.temporality,
        native=view.observations or (view.native if keeping.native is None else keeping.native),
    )
