"""The commands in ``scripts/`` that are written in Python, as modules: their names end in nothing, so they cannot be imported."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

__all__ = ["load_script"]

_SCRIPTS = Path(__file__).parents[1] / "scripts"


def load_script(name: str) -> ModuleType:
    """``scripts/NAME`` as a module. Raises :class:`OSError` when there is none."""
    loader = SourceFileLoader(f"{name.replace('-', '_')}_script", str(_SCRIPTS / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
