"""From ``kubectl traffic …`` to the ``kubectl get …`` that answers it. Pure: nothing is run here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kubectl_traffic.kubectl import VALUED
from kubectl_traffic.subject import type_of_word
from metrics_api.errors import BadQuery
from metrics_api.query import Direction
from metrics_api.resources import GROUP
from metrics_api.window import Window

__all__ = ["USAGE", "kubectl_arguments"]

USAGE = """\
Success rate, requests per second and latency of workloads, and with whom they exchange traffic.

  kubectl traffic [KIND | KIND/NAME] [options]            what a resource received; without KIND, all workloads
  kubectl traffic edges [KIND | KIND/NAME] [options]      with whom it exchanged traffic

  --window 5m      how far to look back
  --to, --from     edges: callees only, callers only

All options of "kubectl get" are good here: -n, -A, -o wide, -l, --context, ...

  kubectl traffic -n shop
  kubectl traffic sts/db -n data --window 5m
  kubectl traffic edges deploy/web -n shop --to -o wide
"""

# Options of kubectl that take their value as the next word, which is then no word of ours.
_VALUED = VALUED.union(
    ("-n", "-o", "-l", "-L", "-s", "-v", "--namespace", "--output", "--selector", "--label-columns"),
    ("--sort-by", "--chunk-size", "--template", "--field-selector"),
)


@dataclass(slots=True)
class _Line:
    """A command line, taken apart: our words and options, and what goes to kubectl as it is."""

    words: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)
    window: Window | None = None
    direction: Direction | None = None


def kubectl_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments for ``kubectl``. Raises :class:`metrics_api.errors.BadQuery` for a line that makes no sense."""
    line = _read(arguments)
    edges = line.words[:1] == ["edges"]
    subject = line.words[1:] if edges else line.words
    if len(subject) > 1:
        raise BadQuery(f'name one KIND, or one KIND/NAME, not "{" ".join(subject)}"')
    if line.direction and not edges:
        raise BadQuery("--to and --from are about edges: kubectl traffic edges KIND/NAME --to")
    kind, _, name = (subject[0] if subject else "").partition("/")
    row = type_of_word(kind) if kind else None
    window = [f"window={line.window}"] if line.window else []
    if edges and name and not window and not line.terms and not line.direction:
        # Before 1.32 kubectl asked for the subresources status and scale alone (kubernetes/kubernetes, pull request 128296).
        return ["get", f"{row.plural}.{GROUP}" if row else "trafficmetrics", name, "--subresource=edges", *line.rest]
    if edges and row and not row.namespaced:
        raise BadQuery(f"edges of {row.plural} are those of one by name, without further choice: kubectl traffic edges {kind}/NAME")
    if edges:
        terms = [f"resource.kind={row.kind}"] if row else []
        # The name of a row says its cluster, web@west; that of the resource does not.
        bare, _, cluster = name.partition("@")
        terms += [f"resource.name={bare}"] if name else []
        terms += [f"cluster={cluster}"] if cluster else []
        terms += [f"edge.direction={line.direction}" if line.direction else "edge.resource.name!="]
        return ["get", "trafficmetrics", *_selector([*terms, *window, *line.terms]), *line.rest]
    resource = f"{row.plural}.{GROUP}" if row else "trafficmetrics"
    if name and not window and not line.terms:
        return ["get", resource, name, *line.rest]
    # kubectl takes no field selector beside a name; a list of one name takes both.
    terms = [f"metadata.name={name}"] if name else []
    return ["get", resource, *_selector([*terms, *window, *line.terms]), *line.rest]


def _read(arguments: Sequence[str]) -> _Line:
    line = _Line()
    words = iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if option == "--window":
            line.window = Window.parse(value if equals else _next(words, option))
        elif word in ("--to", "--from"):
            if line.direction:
                raise BadQuery("--to and --from exclude each other; without either, both are listed")
            line.direction = Direction(word.removeprefix("--"))
        elif option == "--field-selector":
            line.terms.append(value if equals else _next(words, option))
        elif word.startswith("-"):
            line.rest += [word] if equals or word not in _VALUED else [word, _next(words, word)]
        else:
            line.words.append(word)
    return line


def _next(words: Iterator[str], option: str) -> str:
    value = next(words, None)
    if value is None:
        raise BadQuery(f"{option} needs a value")
    return value


def _selector(terms: Sequence[str]) -> list[str]:
    return ["--field-selector", ",".join(terms)] if terms else []
