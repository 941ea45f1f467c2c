"""``kubectl traffic sources``: where the numbers come from, how each of those sources is, and what is to be done about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from kubectl_traffic.kubectl import KubectlError
from kubectl_traffic.options import COLOURS, read_line
from kubectl_traffic.sheet import Cell, Heading, clean, lay_out
from kubectl_traffic.subject import GROUP_VERSION
from metrics_api.errors import BadQuery
from metrics_api.table import ABSENT

__all__ = ["CHOICES", "USAGE", "main"]

USAGE = """\
The sources of the server: of which type each is, how it has been, which meshes are in it, and what was found wrong with it.

  kubectl traffic sources [NAME] [options]

  -o, --output         table, wide or json (the document as the server has it)
  --color auto         always, never, or on a terminal unless NO_COLOR is set

It takes "list" (with NAME "get") on sources.metrics.smi-spec.io in the whole cluster to read them.
All options of kubectl that choose cluster and user are good here: --context, --kubeconfig, --as, ...
"""

_OUTPUTS = ("table", "wide", "json")
_HEALTH = {"ok": "green", "failing": "red", "open": "red", "unknown": "dim"}
_LEVELS = {"ok": "green", "warning": "yellow", "problem": "red"}
_WIDE = ("PRODUCT", "DELAY", "PERCENTILES", "SINCE")

CHOICES = {"-o": _OUTPUTS, "--output": _OUTPUTS, "--color": COLOURS}
"""The options that take one of a few words, for completion."""


def main(arguments: list[str]) -> int:
    """Print the sources; the exit code is 0. Raises what :func:`kubectl_traffic.main.main` tells."""
    if any(word in ("-h", "--help") for word in arguments):
        print(USAGE, end="")  # noqa: T201 a command prints
        return 0
    line = read_line("sources", arguments, {"output": "o", "color": ""}, {})
    output, coloured = line.one_of("output", _OUTPUTS), line.one_of("color", COLOURS)
    if len(line.words) > 1:
        raise BadQuery(f'name one source, not "{" ".join(line.words)}"')
    from kubectl_traffic.screen import has_colours, terminal_width  # noqa: PLC0415 neither help nor a mistake needs a terminal

    document = line.kubectl.get_raw("/".join([f"{GROUP_VERSION}/sources", *(quote(word, safe="") for word in line.words)]))
    if output == "json":
        print(json.dumps(document, indent=2, ensure_ascii=False))  # noqa: T201
        return 0
    try:
        items = document["items"] if document["kind"] == "SourceList" else [document]
        colour = has_colours(coloured)
        print("\n".join(_text(items, wide=output == "wide", width=terminal_width(), colour=colour)))  # noqa: T201
    except (AttributeError, KeyError, TypeError) as error:
        raise KubectlError(f"the server answered what is no list of sources: {type(error).__name__}: {error}") from error
    return 0


def _text(items: Sequence[Mapping[str, Any]], *, wide: bool, width: int, colour: bool) -> list[str]:
    """The table, and below it what is wrong and what to do about it."""
    names = ("NAME", "TYPE", "HEALTH", "CHECKED", "MESHES", "COVERS", *(_WIDE if wide else ()))
    headings = [Heading(name, name in ("NAME", "MESHES", "COVERS", "PRODUCT")) for name in names]
    table = lay_out(headings, [_cells(item, wide=wide) for item in items], width=width, colour=colour)
    notes = [note for item in items for note in _notes(item)]
    return [*table, "", *notes] if notes else table


def _cells(item: Mapping[str, Any], *, wide: bool) -> list[Cell]:
    spec, status = item["spec"], item["status"]
    health, examination = status["health"]["state"], status["examination"]
    level = examination.get("level", examination["state"])
    covers = spec["covers"]
    places = "all namespaces" if covers["namespaces"] == ["*"] else ",".join(covers["namespaces"])
    cells = [
        Cell(item["metadata"]["name"]),
        Cell(spec["type"]),
        Cell(health, _HEALTH.get(health, "")),
        Cell(level, _LEVELS.get(level, "dim")),
        Cell(", ".join(_mesh(mesh) for mesh in status["meshes"]) or ABSENT),
        Cell(f"{covers['cluster']}: {places}" if covers.get("cluster") else places),
    ]
    if wide:
        percentiles = ",".join(f"p{each}" for each in status["percentiles"]).replace("p*", "any")
        product = " ".join(status[key] for key in ("product", "version") if key in status)
        cells += [Cell(text or ABSENT) for text in (product, status["delay"], percentiles, status["health"].get("since", ""))]
    return cells


def _mesh(mesh: Mapping[str, Any]) -> str:
    versions = "/".join(mesh["versions"])
    return f"{mesh['name']} {versions}" if versions else str(mesh["name"])


def _notes(item: Mapping[str, Any]) -> list[str]:
    """Why it fails, and what was found that is not in order: a line for each."""
    name, status = item["metadata"]["name"], item["status"]
    notes = [f"{name}: {status['health']['state']}: {status['health']['reason']}"] if "reason" in status["health"] else []
    for finding in status["findings"]:
        if finding["level"] != "ok":
            advice = f"; {finding['advice']}" if finding.get("advice") else ""
            notes.append(f"{name}: {finding['level']}: {finding['check']}: {finding['what']}{advice}")
    return [clean(note) for note in notes]
