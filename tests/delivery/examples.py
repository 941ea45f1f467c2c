"""The examples of the documentation as those who read them use them: the YAML of a page, with the variables of a controller filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

__all__ = ["blocks", "command", "documents", "fill", "named", "snippet"]

DOCS = Path(__file__).parent.parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page that are in this language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def documents(page: str) -> Iterator[Any]:
    """Every YAML document of a page."""
    for block in blocks(page, "yaml"):
        yield from yaml.safe_load_all(block)


def named(page: str, kind: str, name: str) -> Any:
    """The one object of this kind and name."""
    (found,) = (each for each in documents(page) if each.get("kind") == kind and each["metadata"]["name"] == name)
    return found


def snippet(page: str, key: str) -> Any:
    """The one document that is no object and has this key at its top."""
    (found,) = (each for each in documents(page) if isinstance(each, dict) and key in each and "kind" not in each)
    return found


def command(page: str, words: str) -> str:
    """The one block of shell that says these words."""
    (found,) = (block for block in blocks(page, "sh") if words in block)
    return found


def fill(example: Any, variables: Mapping[str, str]) -> Any:
    """The example with each variable, written as it stands there (``{{ target }}``), filled in; one that is not known stays."""
    if isinstance(example, dict):
        return {key: fill(value, variables) for key, value in example.items()}
    if isinstance(example, list):
        return [fill(each, variables) for each in example]
    if isinstance(example, str):
        for variable, value in variables.items():
            example = example.replace(variable, value)
    return example
