"""How a metric is asked for: by label selectors, which must never be taken for less than they say.

An autoscaler that was answered something else than it asked for would act on it. So a label there is not is an error, and so is an
operator that leaves open what is meant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from metrics_api.errors import BadQuery
from metrics_api.query import Direction
from metrics_api.resources import RESOURCE_TYPES, SPLIT_KINDS, ResourceType
from metrics_api.selector import LabelSelector, Operator, Requirement

__all__ = ["Manner", "Selected", "parse_manner", "parse_selected"]

_MANNER = ("window", "direction")
_BACKEND = "backend"
_SELECTABLE = {row.singular: row for row in RESOURCE_TYPES if row.namespaced}
"""What a label can name. A request is authorised for its namespace, so nothing else than what is in it."""

_HOME = ("fieldSelector", "cluster=")
"""What is autoscaled is in the cluster of the server."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to measure: ``labels`` are what was asked, each with its value. An empty ``window`` is the usual one, an empty backend all."""

    labels: Mapping[str, str]

    @property
    def window(self) -> str:
        """A Go duration."""
        return self.labels.get("window", "")

    @property
    def backend(self) -> str:
        """The one backend of a split that is wanted."""
        return self.labels.get(_BACKEND, "")

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The same as parameters of our own API."""
        return (("window", self.window),) if self.window else ()

    @property
    def list_parameters(self) -> tuple[tuple[str, str], ...]:
        """Those of a list, which is of one cluster."""
        return (*self.parameters, _HOME)


@dataclass(frozen=True, slots=True)
class Selected:
    """What is measured: the objects of ``names``, of one kind, together; or the namespace of the request as a whole (``row`` is None).

    ``labels`` are those of the answer.
    """

    row: ResourceType | None
    names: tuple[str, ...]
    manner: Manner
    labels: Mapping[str, str]


def parse_manner(text: str, row: ResourceType) -> Manner:
    """The manner that a ``metricLabelSelector`` asks for, of objects of this type.

    Raises :class:`metrics_api.errors.BadQuery` for a label there is not, and for a value that cannot be had.
    """
    return _manner(_by_key(LabelSelector.parse(text)), row)


def parse_selected(text: str, namespace: str) -> Selected:
    """What the ``labelSelector`` of an external metric chooses in a namespace, and how to measure it.

    ``deployment=web`` is the same as ``kind=Deployment,name=web``; ``deployment in (web,api)`` is both together. Raises as
    :func:`parse_manner`.
    """
    asked = _by_key(LabelSelector.parse(text))
    told = {key: each.values[0] for key, each in asked.items() if each.operator is Operator.IN and len(each.values) == 1}
    space = asked.pop("namespace", None)
    if space is not None and _one(space) != namespace:
        raise BadQuery(f'{space} is asked for in "{namespace}": a request is about its own namespace, so ask in that of the object')
    row, names = _objects(text, asked)
    manner = _manner(asked, row, ("namespace", "kind", "name", *_SELECTABLE))
    return Selected(row, names, manner, {"namespace": namespace, **told})


def _objects(text: str, asked: dict[str, Requirement]) -> tuple[ResourceType | None, tuple[str, ...]]:
    """The objects that labels name, which are taken out of ``asked``."""
    kinds = [key for key in asked if key in _SELECTABLE]
    kind, name = asked.pop("kind", None), asked.pop("name", None)
    if len(kinds) + (kind is not None or name is not None) > 1:
        raise BadQuery(f'"{text}" names objects in more than one way: write deployment=web, or kind=Deployment,name=web')
    if kinds:
        return _SELECTABLE[kinds[0]], _several(asked.pop(kinds[0]))
    if kind is None and name is None:
        return None, ()
    if kind is None or name is None:
        raise BadQuery(f'kind and name go together, and "{text}" has one of them: write kind=Deployment,name=web')
    row = _SELECTABLE.get(_one(kind).lower())
    if row is None:
        known = ", ".join(row.kind for row in _SELECTABLE.values())
        raise BadQuery(f'kind: "{_one(kind)}" is not a kind of what is in namespaces; known are {known}')
    return row, _several(name)


def _manner(asked: Mapping[str, Requirement], row: ResourceType | None, also: Collection[str] = ()) -> Manner:
    split = row is not None and row.kind in SPLIT_KINDS
    for key in asked:
        if key == _BACKEND and not split:
            raise BadQuery(f"only what splits traffic has backends: {', '.join(SPLIT_KINDS)}")
        if key not in (*_MANNER, _BACKEND):
            raise BadQuery(f'there is no label "{key}" to choose by; there are {", ".join((*also, *_MANNER, _BACKEND))}')
    labels = {key: _one(requirement) for key, requirement in asked.items()}
    if labels.get("direction", Direction.FROM) != Direction.FROM:
        raise BadQuery(
            f"direction={labels['direction']}: what autoscalers are told is the traffic received, which is direction=from"
        )
    return Manner(labels)


def _by_key(selector: LabelSelector) -> dict[str, Requirement]:
    found: dict[str, Requirement] = {}
    for requirement in selector.requirements:
        if requirement.key in found:
            raise BadQuery(f"{requirement.key} is there twice: {found[requirement.key]} and {requirement}")
        found[requirement.key] = requirement
    return found


def _several(requirement: Requirement) -> tuple[str, ...]:
    """The values of a label that has some."""
    if requirement.operator is not Operator.IN or not all(requirement.values):
        raise BadQuery(f'"{requirement}" does not say what is meant: labels take = and in here, with values')
    return requirement.values


def _one(requirement: Requirement) -> str:
    values = _several(requirement)
    if len(values) > 1:
        raise BadQuery(f'"{requirement}" leaves open which: {requirement.key} takes one value')
    return values[0]
