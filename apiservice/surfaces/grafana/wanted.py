"""What one query of a panel wants: its payload, or the text of a variable or of a node graph, understood.

All of them have the same fields, written as JSON (``{"namespace": "shop", "kind": "deployments"}``) or as the query of a URL
(``namespace=shop&kind=deployments``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from apiservice.surfaces.grafana.choice import ALL, Choice, parse_choice
from apiservice.surfaces.grafana.filters import Filter, words_of
from apiservice.surfaces.grafana.metrics import Form, Target
from apiservice.surfaces.grafana.times import parse_window
from metrics_api.errors import BadQuery
from metrics_api.objects import TrafficMetrics
from metrics_api.query import Direction
from metrics_api.window import Window

__all__ = ["AUTO", "FIELDS", "FORMS", "Wanted", "parse_text", "parse_wanted"]

AUTO = "auto"
"""The window that fits: the server's own, or as long as the step of a series if that is longer, so that no request goes uncounted."""

FIELDS = {
    "namespace": "",
    "kind": "resource",
    "name": "workload",
    "direction": "edges",
    "peer": "",
    "peerKind": "edgeKind",
    "cluster": "",
    "window": "t",
    "labelSelector": "",
    "includeIdle": "",
    "format": "",
    "legend": "",
}
"""What a payload may say, each with another word that is understood for it."""

FORMS = {
    "timeseries": Form.SERIES,
    "timeserie": Form.SERIES,
    "time_series": Form.SERIES,
    "table": Form.TABLE,
    "graph": Form.GRAPH,
    "nodegraph": Form.GRAPH,
    "nodeGraph": Form.GRAPH,
}
"""The forms by all the names that versions of the plugins have for them."""

_BOTH = frozenset({"true", "1", "yes", "both", "all", "edges", "(from|to)", "(to|from)"})
_TOTAL = frozenset({"false", "0", "no", "received", "total"})
_LONGEST_LEGEND = 1_000  # characters
_OTHERS = frozenset({"time", "from", "to", "metric", "target", "pretty", "timeout", "refId", "above", "below"})
"""Words with a meaning beside those of :data:`FIELDS`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One query. ``directions`` are those of the edges that are wanted; none are wanted, but totals, when it is empty.

    ``window`` is None for :data:`AUTO`. ``remarks`` are sentences about what was written and not understood.
    """

    target: Target
    form: Form
    namespaces: Choice = ALL
    kinds: Choice = ALL
    names: Choice = ALL
    directions: tuple[Direction, ...] = ()
    peers: Choice = ALL
    clusters: Choice = ALL
    peer_kind: str = ""
    window: Window | None = None
    labels: str = ""
    idle: bool = False
    legend: str = ""
    filters: tuple[Filter, ...] = ()
    remarks: tuple[str, ...] = ()

    def has(self, row: TrafficMetrics) -> bool:
        """Whether a row that was read is one of those that are wanted."""
        words = words_of(row)
        return self._chooses(row, words) and all(each.passes(words, row) for each in self.filters)

    def _chooses(self, row: TrafficMetrics, words: Mapping[str, str]) -> bool:
        """Whether the query itself wants a row, whatever the filters of the dashboard say."""
        chosen = self.namespaces.has(words["namespace"]) or not words["namespace"]
        chosen = chosen and self.names.has(words["name"]) and self.clusters.has(words["cluster"])
        if not chosen or not self.directions:
            return chosen
        return row.edge.direction in self.directions and self.peers.has(words["peer"])

    def totals(self) -> Wanted:
        """The same for what resources received altogether, which knows nothing of peers."""
        return replace(
            self, directions=(), peers=ALL, peer_kind="", filters=tuple(each for each in self.filters if not each.about_edges)
        )


def parse_wanted(payload: Mapping[str, Any], target: Target, form: Form | None = None, filters: Iterable[Filter] = ()) -> Wanted:
    """What a payload asks of ``target``; ``form`` is what the request says outside of it. Raises BadQuery that says what to write."""
    given = {name: payload[name] if name in payload else payload.get(other) for name, other in FIELDS.items()}
    known = {*FIELDS, *FIELDS.values(), *_OTHERS}
    unknown = sorted(key for key in payload if key not in known and not key.startswith("__"))
    remarks = (
        (f"the payload has {', '.join(unknown[:5])}, which means nothing here: known are {', '.join(FIELDS)}",) if unknown else ()
    )
    chosen = form or target.form
    asked = str(given["format"] or "")
    if asked and asked not in FORMS:
        raise BadQuery(f'format "{asked[:40]}" is not known: write timeseries, table or graph')
    chosen = FORMS.get(asked, chosen)
    directions = _directions(given["direction"])
    if directions is None:
        directions = tuple(Direction) if target.edges or chosen is Form.GRAPH else ()
    elif target.edges and not directions:
        raise BadQuery(f'{target.name} is about edges: the direction is "to", "from" or "both"')
    if not directions and not parse_choice(given["peer"], "peer").everything:
        raise BadQuery('what was received in total has no peer: say the direction, "from" for callers or "to" for callees')
    return Wanted(
        target=target,
        form=chosen,
        namespaces=parse_choice(given["namespace"], "namespace"),
        kinds=parse_choice(given["kind"], "kind"),
        names=parse_choice(given["name"], "name"),
        directions=directions,
        peers=parse_choice(given["peer"], "peer"),
        clusters=parse_choice(given["cluster"], "cluster"),
        peer_kind=_text(given["peerKind"], "peerKind"),
        window=_window(given["window"]),
        labels=_text(given["labelSelector"], "labelSelector"),
        idle=_text(given["includeIdle"], "includeIdle") in ("true", "1", "yes", "True"),
        legend=_legend(given["legend"]),
        filters=tuple(filters),
        remarks=remarks,
    )


def parse_text(text: str) -> tuple[str, dict[str, str]]:
    """The word and the fields of a text such as ``workloads?namespace=shop&kind=deployments``."""
    word, _, query = text.partition("?")
    return word.strip(), dict(parse_qsl(query.strip(), keep_blank_values=True))


def _directions(given: Any) -> tuple[Direction, ...] | None:
    """The directions that are asked for; None when nothing is said of them, and none at all for what is received in total."""
    if isinstance(given, list):
        given = "both" if len(given) > 1 else (given or [""])[0]
    text = str(given).strip() if given is not None else ""
    if not text:
        return None
    if text.lower() in _BOTH or text in (".*", "$__all"):
        return tuple(Direction)
    if text.lower() in _TOTAL:
        return ()
    if text not in tuple(Direction):
        raise BadQuery(f'direction "{text[:40]}" is not known: write "to" for callees, "from" for callers, "both", or leave it out')
    return (Direction(text),)


def _window(given: Any) -> Window | None:
    text = _text(given, "window")
    return None if text in ("", AUTO) else parse_window(text)


def _legend(given: Any) -> str:
    text = _text(given, "legend")
    if len(text) > _LONGEST_LEGEND:
        raise BadQuery(f"legend is longer than {_LONGEST_LEGEND} characters, which the name of every series would be")
    return text


def _text(given: Any, what: str) -> str:
    """One text; a truth is ``true`` or ``false``."""
    if given is None:
        return ""
    if isinstance(given, bool):
        return str(given).lower()
    if not isinstance(given, str | int):
        raise BadQuery(f"{what} is one text")
    return str(given).strip()
