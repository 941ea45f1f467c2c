"""Looking at objects of the cluster as somebody who may not be allowed to: seen, not there, and not to be seen are three things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from apiservice.checkup.verdicts import warning
from apiservice.kube import KubeError
from metrics_api.diagnosis import Finding

__all__ = ["Document", "Kube", "Place", "Seen", "Unseen", "items_of", "look", "unseen"]

Document = Mapping[str, Any]
_QUOTED = 200
"""Characters of what kube-apiserver says of a failure."""


class Kube(Protocol):
    """Whom objects are read from; both methods raise :class:`apiservice.kube.KubeError`."""

    async def get_json(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The document at a path."""
        ...

    async def post_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What is answered to a document."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is read. ``what`` names it for people, ``needs`` is the right it takes: ``get on services in shop``.

    ``single`` is whether ``path`` is a list that holds one object at most. Lists are what the server's account may read.
    """

    what: str
    needs: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    single: bool = False


@dataclass(frozen=True, slots=True)
class Unseen:
    """What could not be looked at; ``why`` is empty where it is only a right that is missing."""

    place: Place
    why: str = ""


Seen = Document | None | Unseen
"""The document, None where it does not exist, or that nobody knows."""


async def look(kube: Kube, place: Place) -> Seen:
    """What is there."""
    try:
        found = await kube.get_json(place.path, place.params)
    except KubeError as error:
        if error.status == 404:
            return None
        return Unseen(place, "" if error.status == 403 else error.message[:_QUOTED])
    return next(iter(items_of(found)), None) if place.single else found


def items_of(seen: Seen) -> Sequence[Document]:
    """The items of a list; none of what is not there or was not seen."""
    items = seen.get("items") if isinstance(seen, Mapping) else None
    return items if isinstance(items, list) else ()


def unseen(seen: Sequence[Seen], who: str) -> list[Finding]:
    """What was not looked at, in one finding for all that ``who`` may not see, and one for each that failed otherwise."""
    missed = [each for each in seen if isinstance(each, Unseen)]
    found = [
        warning("access", f"could not look at {each.place.what}: {each.why}", "try again; is kube-apiserver overloaded?")
        for each in missed
        if each.why
    ]
    if denied := [each.place for each in missed if not each.why]:
        what = f"could not look at {_listed([place.what for place in denied])}: needs {_listed([place.needs for place in denied])}"
        advice = "ask as an administrator, from outside: trafficmetrics doctor --only cluster --kubeconfig FILE"
        found.append(warning("access", f"{what}, which {who} has not", advice))
    return found


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
