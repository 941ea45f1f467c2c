"""Which meshes there are, and in which versions: what the values of a label come to, whichever source they were found in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from backends.dialects.dialect import Dialect, View
from backends.dialects.names import FIELD
from metrics_api.diagnosis import Mesh

__all__ = ["mesh_of", "namespace_labels"]

_MOST = 20
"""Versions told of one mesh. An upgrade has two or three of them at a time."""

_LONGEST = 100
"""Characters of a version. What is longer is none."""

_NUMBER = re.compile(r"([0-9]+)")


def mesh_of(dialect: Dialect, versions: Iterable[str], of: str = "") -> Mesh:
    """The mesh of a dialect, with what is a version of ``versions``, which may hold anything that a label can, several times.

    ``of`` says whose they are, where that is not what the dialect says.
    """
    found = {version for version in versions if version.isprintable() and 0 < len(version.strip()) <= _LONGEST}
    of = of or (dialect.version.of if dialect.version is not None else "")
    return Mesh(dialect.mesh or dialect.name, dialect.name, tuple(sorted(found, key=_order)[-_MOST:]), of if found else "")


def _order(version: str) -> tuple[tuple[int, str], ...]:
    """1.9 before 1.24, and 1.24 before 1.24.1."""
    pieces = _NUMBER.split(version)
    return tuple((int(piece[:18]), piece) if at % 2 else (-1, piece) for at, piece in enumerate(pieces))


def namespace_labels(view: View) -> tuple[str, ...]:
    """The labels of a view that hold the name of a namespace as it is; patterns over other labels may tell of more."""
    templates = [identity.namespace for identity in (*view.source, *view.destination) if not identity.spelling]
    templates += [
        identity.name for identity in (*view.source, *view.destination) if identity.kind == "Namespace" and not identity.spelling
    ]
    fields = (FIELD.fullmatch(template) for template in templates)
    return tuple(dict.fromkeys(field[1] for field in fields if field is not None))
