"""Dialect files: read with every mistake named, each with its line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from backends.dialects.dialect import Dialect, Sign, Trap, VersionSeries
from backends.dialects.ends import KINDS
from backends.dialects.keeping import KEYS as KEPT
from backends.dialects.keeping import kept, read_kept
from backends.dialects.names import LABEL
from backends.dialects.views import read_view
from backends.dialects.words import label_name, read_sign, read_signs
from metrics_api import BadConfiguration
from metrics_api.document import Node, Problems, parse_document

__all__ = [
    "AUTO",
    "builtin_dialects",
    "candidates",
    "dialect_file",
    "hosted_dialects",
    "load_dialect",
    "parse_dialect",
    "read_dialect",
]

AUTO = "auto"
"""What stands for a dialect in the configuration of a source that is to find out for itself."""

_FILES = resources.files("backends.dialects") / "files"
_HOSTED = _FILES / "hosted"


def builtin_dialects() -> list[str]:
    """The names of the dialects of meshes that come with the project."""
    return _named_in(_FILES)


def hosted_dialects() -> list[str]:
    """The names of those of services that keep metrics for others, under names of their own that few stores understand."""
    return _named_in(_HOSTED)


def _named_in(folder: Traversable) -> list[str]:
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def dialect_file(name: str) -> Path | None:
    """The file of the user's own that a configuration means by a dialect of that name; None when it can only mean a built-in one."""
    return Path(name) if "/" in name or name.endswith((".yaml", ".yml")) else None


@cache
def candidates() -> tuple[Dialect, ...]:
    """The built-in dialects in the order of their precedence: those of meshes, by name, then those that are a fallback for them."""
    return tuple(sorted(map(load_dialect, builtin_dialects()), key=lambda dialect: (dialect.fallback, dialect.name)))


def load_dialect(name: str) -> Dialect:
    """A built-in dialect by name, or one of the user's own by the path of its file.

    :class:`BadConfiguration` lists every mistake in the file, each with its line.
    """
    return _load(name, builtin_dialects())


def _load(name: str, known: Sequence[str]) -> Dialect:
    """``known`` is what a name that is none could have been meant to be."""
    for folder in (_FILES, _HOSTED):
        if name in _named_in(folder):
            return parse_dialect((folder / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")
    file = dialect_file(name)
    if file is None:
        raise BadConfiguration([f'there is no dialect "{name}": it is one of {", ".join(known)}, or the path of a dialect file'])
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadConfiguration([f'dialect file "{name}" cannot be read: {error.strerror}']) from error
    except UnicodeDecodeError as error:
        raise BadConfiguration([f'dialect file "{name}" is not UTF-8 text']) from error
    except ValueError as error:
        raise BadConfiguration(["the path of the dialect file has a character in it that no path can have"]) from error
    return parse_dialect(text, name)


def read_dialect(node: Node, *, auto: bool) -> Dialect | None:
    """The dialect a configuration names, which could have been :data:`AUTO` if ``auto``.

    None when there were mistakes, which go to the node's problems.
    """
    try:
        return _load(node.text(), [*sorted([*builtin_dialects(), *hosted_dialects()]), *([AUTO] if auto else [])])
    except BadConfiguration as error:
        for problem in error.problems:
            node.problem(problem)
        return None


def parse_dialect(text: str, file: str) -> Dialect:
    """A dialect from the text of its file."""
    problems = Problems()
    root = parse_document(text, file, problems)
    dialect = _dialect(root)
    problems.raise_if_any()
    return dialect


def _dialect(root: Node) -> Dialect:
    # "shapes" is a place for anchors: parts that several views share.
    known = (
        "name",
        "description",
        "recognise",
        "absent",
        "views",
        "cannot",
        "limits",
        "labels",
        "warns",
        "fallback",
        "shapes",
        "mesh",
        "version",
        *KEPT,
    )
    entries = root.mapping(known, required=("name", "views"))
    absent = frozenset({"", *(entries["absent"].texts() if "absent" in entries else ())})
    views = [read_view(node, absent) for node in entries["views"].items()] if "views" in entries else []
    views = [kept(view, read_kept(entries)) for view in views]
    if "views" in entries and not views:
        entries["views"].problem("a dialect needs at least one view")
    return Dialect(
        name=entries["name"].text() if "name" in entries else "",
        description=" ".join(entries["description"].text().split()) if "description" in entries else "",
        views=tuple(views),
        reasons=_reasons(entries["cannot"]) if "cannot" in entries else {},
        signs=read_signs(entries["recognise"]) if "recognise" in entries else (),
        limits=tuple(" ".join(text.split()) for text in entries["limits"].texts()) if "limits" in entries else (),
        origins=_origins(entries["labels"]) if "labels" in entries else {},
        traps=tuple(_trap(item) for item in entries["warns"].items()) if "warns" in entries else (),
        fallback=entries["fallback"].boolean(default=False) if "fallback" in entries else False,
        mesh=entries["mesh"].text() if "mesh" in entries else "",
        version=_version(entries["version"]) if "version" in entries else None,
    )


def _reasons(node: Node) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for key, reason in node.mapping().items():
        if key != "edges" and key not in KINDS:
            reason.problem(f'"{key}" is neither "edges" nor a kind; kinds are {", ".join(KINDS)}')
        reasons[key] = " ".join(reason.text().split())
    return reasons


def _origins(node: Node) -> dict[str, str]:
    """``{pod: "who adds this label, and how"}``."""
    origins: dict[str, str] = {}
    for label, sentence in node.mapping().items():
        if not LABEL.fullmatch(label):
            sentence.problem(f'"{label}" is not a label name')
        origins[label] = " ".join(sentence.text().split())
    return origins


def _trap(node: Node) -> Trap:
    """``{series: requests_total{protocol="grpc"}, unless: requests_total{status!=""}, text: "what is wrong; what to do"}``."""
    entries = node.mapping(("series", "unless", "text"), required=("series", "text"))
    return Trap(
        read_sign(entries["series"]) if "series" in entries else Sign(""),
        " ".join(entries["text"].text().split()) if "text" in entries else "",
        read_sign(entries["unless"]) if "unless" in entries else None,
    )


def _version(node: Node) -> VersionSeries:
    """``{series: istio_build{component="pilot"}, label: tag}``; ``of`` says whose version it is, if not the mesh's own."""
    entries = node.mapping(("series", "label", "of"), required=("series", "label"))
    return VersionSeries(
        read_sign(entries["series"]) if "series" in entries else Sign(""),
        label_name(entries["label"]) if "label" in entries else "",
        entries["of"].text() if "of" in entries else "",
    )
