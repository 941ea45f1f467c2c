"""TrafficMetrics as a library: the domain of the Service Mesh Interface's TrafficMetrics API, without any I/O.

``Backend`` is what a source must be, ``TrafficQuery`` what it is asked, ``Sample`` what it answers; ``normalise`` turns samples into
``TrafficMetrics``, whose ``wire`` is what clients receive.

Names are found when they are asked for: a command that needs one submodule (``metrics_api.table``) starts without the others.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metrics_api.library import *  # noqa: F403 what it lists in __all__ is what the package offers

_FUNCTIONS = frozenset({"lift", "normalise", "together"})


class _Package(ModuleType):
    """A package whose names are those of :mod:`metrics_api.library`, which is imported with the first of them."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        library = import_module("metrics_api.library")
        if name == "__all__" or name in library.__all__:
            return getattr(library, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: object) -> None:
        # The import system puts a submodule under its name, which some share with a function that the package offers.
        if not isinstance(value, ModuleType) or name not in _FUNCTIONS:
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__getattr__("__all__")})


sys.modules[__name__].__class__ = _Package
