"""The package offers the names of its library, and loads no more of it than is asked for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import metrics_api
from metrics_api import library

ROOT = Path(library.__file__).parent


def test_its_names_are_those_of_the_library():
    assert metrics_api.__all__ == library.__all__
    assert [name for name in library.__all__ if getattr(metrics_api, name) is not getattr(library, name)] == []
    assert set(library.__all__) <= set(dir(metrics_api))


def test_a_function_is_not_hidden_by_the_module_of_its_name():
    shared = sorted({path.stem for path in ROOT.glob("*.py")} & set(library.__all__))
    for name in shared:
        module = importlib.import_module(f"metrics_api.{name}")
        # What the import system does when the module is imported before anybody asks for the function.
        setattr(metrics_api, name, module)
        assert isinstance(module, ModuleType)
        assert isinstance(getattr(metrics_api, name), FunctionType), name
    assert shared == ["lift", "normalise", "together"]


@pytest.mark.parametrize("name", ["nothing", "__nothing__"])
def test_what_it_does_not_have_it_does_not_have(name: str):
    with pytest.raises(AttributeError, match=f"module 'metrics_api' has no attribute '{name}'"):
        getattr(metrics_api, name)


def test_a_submodule_alone_loads_little():
    seen = subprocess.run(
        [sys.executable, "-c", "import sys, metrics_api.table, metrics_api.reading; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "metrics_api.table" in seen
    assert {"asyncio", "ssl", "yaml", "metrics_api.library"}.isdisjoint(seen)
