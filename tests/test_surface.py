"""The public surface: what each package and module says it offers is what it has, in order, and the library explains itself."""

import importlib
import inspect
import types
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("metrics_api", "backends", "apiservice", "kubectl_traffic")


def module_names(package: str) -> list[str]:
    """The package and everything in it, found by its files so that a broken module fails its own tests only."""
    found = [path.relative_to(ROOT).with_suffix("").parts for path in sorted((ROOT / package).rglob("*.py"))]
    names = [".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in found if parts[-1] != "__main__"]
    # What a compiler has written offers what its schema has.
    return [name for name in names if not name.endswith("_pb2")]


MODULES = [name for package in PACKAGES for name in module_names(package)]
DOMAIN = module_names("metrics_api")


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by name: the order of ruff's RUF022."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def own(module: types.ModuleType) -> dict[str, Any]:
    """The public functions and classes a module defines itself."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    }


def documented(name: str) -> list[Any]:
    """The public functions and classes of a module, and the public methods and properties of those classes."""
    found = []
    for thing, value in own(importlib.import_module(name)).items():
        found.append(pytest.param(value, id=f"{name}.{thing}"))
        if inspect.isclass(value):
            found += [
                pytest.param(member, id=f"{name}.{thing}.{key}")
                for key, member in vars(value).items()
                if not key.startswith("_")
                and (inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod))
            ]
    return found


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_why_it_exists(name: str):
    assert inspect.getdoc(importlib.import_module(name))


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_offers_exists_is_sorted_and_given_once(name: str):
    module = importlib.import_module(name)
    offered = getattr(module, "__all__", [])
    assert offered == sorted(set(offered), key=order)
    missing = [each for each in offered if not hasattr(module, each)]
    assert missing == []


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_defines_in_public_it_offers(name: str):
    module = importlib.import_module(name)
    assert sorted(set(own(module)) - set(getattr(module, "__all__", []))) == []


@pytest.mark.parametrize("name", [name for name in MODULES if (ROOT / name.replace(".", "/")).is_dir()])
def test_what_a_package_imports_from_its_modules_it_offers(name: str):
    module = importlib.import_module(name)
    imported = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and not inspect.ismodule(value) and str(getattr(value, "__module__", "")).startswith(f"{name}.")
    }
    assert sorted(imported - set(getattr(module, "__all__", []))) == []


@pytest.mark.parametrize("name", DOMAIN)
def test_every_module_of_the_library_lists_what_it_offers(name: str):
    assert importlib.import_module(name).__all__


def test_the_library_is_importable_by_its_names_alone():
    library = importlib.import_module("metrics_api")
    namespace: dict[str, Any] = {}
    exec("from metrics_api import *", namespace)  # noqa: S102 the one way to see what a star import gives
    assert set(namespace) - {"__builtins__"} == set(library.__all__)


@pytest.mark.parametrize("value", [value for name in DOMAIN for value in documented(name)])
def test_everything_public_of_the_library_is_explained(value: object):
    assert (value.__doc__ or "").strip()
    # A dataclass without a docstring is given its signature for one.
    assert not (inspect.isclass(value) and (value.__doc__ or "").startswith(f"{value.__name__}("))
