"""Sentences for readers: how many of many names a message gives, and which objects it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from metrics_api.resources import ResourceRef

__all__ = ["Naming", "first_few"]

_FEW = 3


def first_few(names: Sequence[str]) -> str:
    """The first three names, and how many more there are: ``a, b, c and 4 more``."""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more


class Naming(str):
    """A sentence that names objects, which not every reader may be told of.

    ``about`` are those objects, ``otherwise`` is the same sentence without their names, which everybody may read; empty when it says
    nothing without them. Other sentences name nothing but what was asked for. It has to reach its reader as it is: what is made of it, by
    formatting or joining, is a text like any other.
    """

    __slots__ = ("about", "otherwise")

    about: frozenset[ResourceRef]
    otherwise: str

    def __new__(cls, text: str, about: Iterable[ResourceRef], otherwise: str = "") -> Self:
        """The sentence ``text``."""
        sentence = super().__new__(cls, text)
        sentence.about = frozenset(about)
        sentence.otherwise = otherwise
        return sentence
