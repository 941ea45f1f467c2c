"""Objects found by something other than their name: an index that one thread changes while others may read it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Index"]

_K = TypeVar("_K", bound=Hashable)
_I = TypeVar("_I", bound=Hashable)
_V = TypeVar("_V")


class Index(Generic[_K, _I, _V]):
    """Values by a key that several share, and by an identity that tells them apart there; a key without values takes no memory.

    Whoever reads gets copies, each made in one step of the interpreter, so that no change can come in between.
    """

    def __init__(self) -> None:
        self._values: dict[_K, dict[_I, _V]] = {}

    def put(self, key: _K, identity: _I, value: _V) -> None:
        """Add a value, or replace the one of the same identity."""
        self._values.setdefault(key, {})[identity] = value

    def drop(self, key: _K, identity: _I) -> None:
        """Forget a value, if it is there."""
        held = self._values.get(key)
        if held is not None:
            held.pop(identity, None)
            if not held:
                del self._values[key]

    def get(self, key: _K, identity: _I) -> _V | None:
        """The value of this key and identity."""
        held = self._values.get(key)
        return None if held is None else held.get(identity)

    def at(self, key: _K) -> list[_V]:
        """The values of a key, the oldest first."""
        held = self._values.get(key)
        return [] if held is None else list(held.values())

    def places(self) -> list[_K]:
        """Every key that has a value."""
        return list(self._values)

    def __len__(self) -> int:
        return sum(map(len, list(self._values.values())))
