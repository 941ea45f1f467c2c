"""What a command is about, in the words of kubectl: ``KIND``, ``KIND/NAME``, ``KIND NAME``, or nothing for all workloads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from metrics_api.errors import BadQuery
from metrics_api.resources import API_VERSION, RESOURCE_TYPES, ResourceType

__all__ = ["GROUP_VERSION", "SHORT_NAMES", "Subject", "read_subject", "type_of_word"]

GROUP_VERSION = f"/apis/{API_VERSION}"
"""The path below which the API is."""

SHORT_NAMES = {
    "cj": "cronjobs",
    "deploy": "deployments",
    "ds": "daemonsets",
    "no": "nodes",
    "ns": "namespaces",
    "po": "pods",
    "rc": "replicationcontrollers",
    "rs": "replicasets",
    "sts": "statefulsets",
    "svc": "services",
    "ts": "trafficsplits",
}


class Subject(NamedTuple):
    """A kind, None for all workloads, and a name, empty for every one. A name may end with its cluster, ``web@west``."""

    type: ResourceType | None = None
    name: str = ""

    def __str__(self) -> str:
        kind = self.type.singular if self.type else "workloads"
        return f"{kind}/{self.name}" if self.name else self.type.plural if self.type else kind

    @property
    def namespaced(self) -> bool:
        """Whether it is in a namespace: all but nodes and namespaces are."""
        return self.type is None or self.type.namespaced

    def path(self, namespace: str, *, edges: bool = False) -> str:
        """Its path in the API. ``namespace`` is empty for all of them, which only lists can be asked of; ``edges`` are those of a name."""
        plural = self.type.plural if self.type else "trafficmetrics"
        parts = ["namespaces", namespace, plural] if namespace and self.namespaced else [plural]
        parts += [self.name] if self.name else []
        parts += ["edges"] if edges else []
        return "/".join([GROUP_VERSION, *(quote(part, safe="@") for part in parts)])


def read_subject(words: Sequence[str]) -> Subject:
    """The subject that the words of a command name. Raises :class:`metrics_api.errors.BadQuery` for an unknown kind, or for too many."""
    if len(words) > 2 or (len(words) == 2 and "/" in "".join(words)):
        raise BadQuery(f'name one KIND, KIND/NAME or KIND NAME, not "{" ".join(words)}"')
    if not words:
        return Subject()
    kind, slash, name = "/".join(words).partition("/")
    if slash and (not name or "/" in name):
        raise BadQuery(f'"{" ".join(words)}" is not KIND/NAME')
    return Subject(type_of_word(kind), name)


def type_of_word(kind: str) -> ResourceType:
    """The resource type of a kind as people type it: plural, singular or short. Raises :class:`metrics_api.errors.BadQuery`."""
    word = SHORT_NAMES.get(kind.lower(), kind.lower())
    for row in RESOURCE_TYPES:
        if word in (row.plural, row.singular):
            return row
    raise BadQuery(f'"{kind}" is not a kind traffic is measured for: {", ".join(row.plural for row in RESOURCE_TYPES)}')
