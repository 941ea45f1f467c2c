"""The documentation stays true: what it lists is what there is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from apiservice.main import _parser
from backends.dialects import Dialect, builtin_dialects, hosted_dialects, load_dialect, parse_dialect
from backends.dialects.reference import reference, support_table
from backends.prometheus import settings as prometheus
from metrics_api import EVERYTHING, Direction, Percentiles, ResourceRef, Sample, Side, Window, normalise
from metrics_api.document import Problems, parse_document

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "deploy").rglob("*.md"), *(ROOT / "bench").glob("*.md")])
PACKAGES = ("metrics_api", "backends", "apiservice", "kubectl_traffic")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def dialects() -> list[Dialect]:
    return [load_dialect(name) for name in sorted([*builtin_dialects(), *hosted_dialects()])]


@pytest.mark.parametrize("page", ["docs/dialects.md", "README.md"])
def test_the_support_table_is_what_the_dialects_can_answer(page: str):
    (written,) = re.findall(r"<!-- support table: scripts/dialect-reference -->\n(.*?)\n<!-- end -->", text(page), re.DOTALL)
    assert written == support_table(dialects()), "run scripts/dialect-reference"


def test_the_reference_is_what_the_dialect_files_say():
    assert text("docs/dialect-reference.md") == reference(dialects()), "run scripts/dialect-reference"


def test_the_map_names_every_module_and_no_other():
    listed = set(re.findall(r"^\| `([\w/.-]+)` \|", text("docs/architecture.md"), re.MULTILINE))
    there = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    there -= {path for path in there if path.endswith(("__init__.py", "__main__.py"))}
    assert {path for path in listed if path.endswith(".py")} == there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_example_of_a_dialect_is_one():
    example = next(block for block in _blocks("docs/dialects.md", "yaml") if block.startswith("name: linkerd"))
    assert parse_dialect(example, "example").views[0].requests == ("response_total",)


def test_the_example_of_overrides_is_one():
    (example,) = (block for block in _blocks("docs/configuration.md", "yaml") if "overrides:" in block)
    problems = Problems()
    (source,) = parse_document(example, "example", problems).mapping()["backends"].items()
    assert prometheus.read_settings(source, "mesh") is not None, problems.found


def test_the_example_of_an_object_is_what_is_sent():
    example = yaml.load(next(_blocks("docs/api.md", "yaml")), Loader=yaml.BaseLoader)  # noqa: S506 every scalar stays text
    sample = Sample(
        resource=ResourceRef("Deployment", "shop", "web"),
        peer=EVERYTHING,
        direction=Direction.FROM,
        side=Side.SERVER,
        success=100,
        failure=3,
        latency=Percentiles(dict.fromkeys((0.5, 0.9, 0.99), 0.01)),
        source="mesh",
        dialect="istio",
    )
    (row,) = normalise([sample], 1795300000, Window(30), lambda _: {"app": "web"})
    sent = row.wire()
    assert example["metrics"] == sent["metrics"]
    assert example["edge"] == sent["edge"]
    assert example.keys() == sent.keys()
    assert example["metadata"] == {name: value for name, value in sent["metadata"].items() if value is not None}


def _blocks(page: str, language: str) -> Iterator[str]:
    return iter(re.findall(rf"```{language}\n(.*?)```", text(page), re.DOTALL))


def test_commands_in_the_documentation_exist():
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    for page in PAGES:
        body = page.read_text(encoding="utf-8")
        assert set(re.findall(r"`make ([a-z]+)`", body)) <= targets, page
        for flag in re.findall(r"trafficmetrics serve[^\n`]*?(--[a-z-]+)", body):
            assert flag in _parser_help(), (page, flag)


def _parser_help() -> str:
    commands = next(action for action in _parser()._actions if isinstance(action.choices, dict))
    return str(commands.choices["serve"].format_help())


_ROW = re.compile(r"^\| (\d+) \|(?:[^|]*\|){2}([^|]*)\|$", re.MULTILINE)
_NAMED_TEST = re.compile(r"\[([\w/]+\.py)::([\w:]+)\]\(\.\./([\w/.]+)\)")


def test_conformance_has_a_test_for_every_row():
    rows = [(int(number), proof) for number, proof in _ROW.findall(text("docs/conformance.md"))]
    assert [number for number, _ in rows] == [*range(1, 65)]
    assert [number for number, proof in rows if not _NAMED_TEST.search(proof)] == []


def test_conformance_names_tests_that_exist():
    page = text("docs/conformance.md")
    named = _NAMED_TEST.findall(page)
    assert len(named) == page.count(".py::")
    assert [name for file, name, path in named if not path.endswith(f"/{file}") or name not in _tests_in(path)] == []


@cache
def _tests_in(path: str) -> frozenset[str]:
    """The tests of a file as pytest names them, without their parameters."""
    found = set()
    for node in ast.parse(text(path)).body:
        members = [(f"{node.name}::", child) for child in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
        found |= {prefix + child.name for prefix, child in members if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return frozenset(name for name in found if name.rpartition(":")[2].startswith("test_"))


def test_the_licence_is_that_of_the_package():
    assert "Apache License" in text("LICENSE")
    assert 'license = "Apache-2.0"' in text("pyproject.toml")


def test_the_changelog_knows_the_version():
    version = re.search(r'^version = "([^"]+)"', text("pyproject.toml"), re.MULTILINE)
    assert version is not None
    assert f"## [{version[1]}]" in text("CHANGELOG.md")
