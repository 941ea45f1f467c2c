"""The reference of the configuration and its schema are what the settings say, and the readers take just the keys that they name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from apiservice.settings import OPTIONS, read_settings
from apiservice.settings.options import SECTIONS
from backends.cloudwatch.settings import SOURCES
from backends.registry import configured
from metrics_api import BadConfiguration
from metrics_api.document import Problems
from tests.scripts import load_script

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "configuration.md"
SCHEMA = ROOT / "apiservice" / "settings" / "schema.json"
_ROW = re.compile(r"^\| `([A-Za-z.]+)` \|", re.MULTILINE)
_UNKNOWN = re.compile(r'unknown key "nosuch"; known are (.*)')


@cache
def script() -> ModuleType:
    return load_script("config-reference")


@cache
def documented(table: str) -> tuple[str, ...]:
    """The keys of a table of the page as it stands."""
    found = re.search(
        rf"<!-- table of {table}: scripts/config-reference -->\n(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found is not None, table
    return tuple(_ROW.findall(found[1]))


def taken_by(source: str) -> list[str]:
    """The keys of the table of CloudWatch that it says a source takes."""
    (table,) = re.findall(r"<!-- table of cloudwatch: .*?-->\n(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    rows = re.findall(r"^\| `([A-Za-z.]+)` \| ([^|]*) \|", table, re.MULTILINE)
    return [key for key, told in rows if told == "all" or f"`{source}`" in told]


def test_the_tables_are_what_the_settings_say():
    text = PAGE.read_text(encoding="utf-8")
    assert text == script().page(text), "run scripts/config-reference"
    assert len(re.findall("<!-- table of ", text)) == len(script().tables()), "a table has no place in the page"


def test_the_schema_is_what_the_settings_say():
    assert SCHEMA.read_text(encoding="utf-8") == script().file_schema(), "run scripts/config-reference"


def told(text: str) -> list[str]:
    """The problems that the readers of the whole file have with it."""
    problems = Problems()
    configured(read_settings(text, "file", {}, {}, problems).backends)
    return problems.found


def with_keys(keys: Iterable[str]) -> dict[str, Any]:
    """A mapping that has all of these, those with a dot in mappings of their own."""
    made: dict[str, Any] = {}
    for key in keys:
        parent, _, name = key.rpartition(".")
        (made.setdefault(parent, {}) if parent else made)[name] = None
    return made


def unknown(problems: list[str]) -> list[str]:
    return [problem for problem in problems if "unknown key" in problem]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_reader_of_a_section_takes_the_keys_of_its_table_and_no_other(section: str):
    assert unknown(told(json.dumps({section: with_keys(documented(section))}))) == []
    (refused,) = unknown(told(json.dumps({section: {"nosuch": None}})))
    assert sorted(_known(refused)) == sorted(documented(section))


def _known(problem: str) -> list[str]:
    found = _UNKNOWN.search(problem)
    assert found is not None, problem
    return found[1].split(", ")


ENTRIES: Mapping[str, tuple[dict[str, str], str]] = {
    **{kind: ({"type": kind}, kind) for kind in ("prometheus", "scrape", "linkerd")},
    **{source: ({"type": "cloudwatch", "source": source}, "cloudwatch") for source in SOURCES},
}


@pytest.mark.parametrize("name", ENTRIES)
def test_the_reader_of_a_source_takes_the_keys_of_its_table_and_no_other(name: str):
    entry, table = ENTRIES[name]
    own = documented(table) if table == name else taken_by(name)
    keys = {*documented("entries"), *own}
    assert unknown(told(json.dumps({"backends": [{**with_keys(keys), "name": "x", **entry}]}))) == []
    (refused,) = unknown(told(json.dumps({"backends": [{"name": "x", **entry, "nosuch": None}]})))
    assert set(_known(refused)) == {key.partition(".")[0] for key in keys}
    for parent in {key.rpartition(".")[0] for key in keys if "." in key}:
        (refused,) = unknown(told(json.dumps({"backends": [{"name": "x", **entry, parent: {"nosuch": None}}]})))
        inside = {key.removeprefix(f"{parent}.") for key in keys if key.startswith(f"{parent}.")}
        # Only to say that it is not for gRPC.
        assert set(_known(refused)) - inside == ({"insecureSkipVerify"} if name == "linkerd" and parent == "tls" else set())


def test_the_reader_of_overrides_takes_the_keys_of_its_table_and_no_other():
    entry = {"name": "x", "type": "prometheus", "url": "http://x", "dialect": "istio"}
    (refused,) = unknown(told(json.dumps({"backends": [{**entry, "overrides": {"nosuch": None}}]})))
    assert sorted(_known(refused)) == sorted(documented("overrides"))


def test_every_key_has_a_meaning_and_a_flag_of_its_own():
    names = [option.name for option in OPTIONS]
    assert len(set(names)) == len(names)
    assert [option.key for option in OPTIONS if not option.described.meaning] == []


def examples() -> Iterator[Any]:
    """Every whole configuration in the documentation and in the manifests, as text."""
    for page in sorted(
        [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md"), ROOT / "bench" / "README.md"]
    ):
        for number, block in enumerate(
            re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        ):
            if _is_configuration(block):
                yield pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for file in sorted([*(ROOT / "docs").rglob("*.yaml"), *(ROOT / "deploy").rglob("*.yaml")]):
        text = file.read_text(encoding="utf-8")
        if "{{" in text:
            continue
        for document in yaml.safe_load_all(text):
            inside = document.get("data") if isinstance(document, dict) else None
            for name, value in (inside or {}).items() if isinstance(inside, dict) else ():
                if _is_configuration(value):
                    yield pytest.param(value, id=f"{file.relative_to(ROOT)}-{name}")
        if _is_configuration(text):
            yield pytest.param(text, id=str(file.relative_to(ROOT)))


def _is_configuration(text: str) -> bool:
    try:
        read = list(yaml.safe_load_all(text))
    except yaml.YAMLError:
        return False
    first = read[0] if len(read) == 1 and isinstance(read[0], dict) else {}
    sections = [value for key, value in first.items() if key != "backends"]
    return "apiVersion" not in first and (
        isinstance(first.get("backends"), list)
        or (bool(first) and first.keys() <= SECTIONS.keys() and all(isinstance(each, dict) for each in sections))
    )


EXAMPLES = list(examples())


def test_there_are_examples():
    assert len(EXAMPLES) >= 20


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    made = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_schema_takes_every_example(text: str, validator: Draft202012Validator):
    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_readers_take_every_example(text: str):
    problems = Problems(elsewhere=True)
    configured(read_settings(text, "example", {}, {}, problems).backends)
    assert [problem for problem in problems.found if "dialect file" not in problem] == []


BAD = {
    "unknown section": "extra: {}",
    "unknown key": "server: {bindAdress: 0.0.0.0}",
    "port": "server: {securePort: 70000}",
    "word": "logging: {format: xml}",
    "duration": "metrics: {refresh: 5 seconds}",
    "secret": "server: {certSecret: Upper}",
    "no name": "backends: [{type: prometheus, url: http://x}]",
    "no url": "backends: [{name: a, type: prometheus}]",
    "type": "backends: [{name: a, type: gizmo}]",
    "key of another type": "backends: [{name: a, type: prometheus, url: http://x, targets: []}]",
    "inside tls": "backends: [{name: a, type: prometheus, url: http://x, tls: {ca: x}}]",
    "user without a name": "backends: [{name: a, type: prometheus, url: http://x, basicAuth: {passwordFile: x}}]",
    "inside covers": "backends: [{name: a, type: linkerd, address: x, covers: {namespace: x}}]",
    "overrides": "backends: [{name: a, type: prometheus, url: http://x, overrides: {failures: {}}}]",
    "code": 'backends: [{name: a, type: prometheus, url: http://x, overrides: {failure: {http: ["6xx"]}}}]',
    "key of another source": "backends: [{name: a, type: cloudwatch, source: xray, mesh: m}]",
    "key of another source than the usual": "backends: [{name: a, type: cloudwatch, cluster: c, group: g}]",
    "no mesh": "backends: [{name: a, type: cloudwatch, source: appmesh}]",
    "target": "backends: [{name: a, type: scrape, dialect: envoy, targets: [{labels: {}}]}]",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_the_schema_refuses_what_the_readers_refuse(text: str, validator: Draft202012Validator):
    assert list(validator.iter_errors(yaml.safe_load(text)))
    try:
        found = told(text)
    except BadConfiguration as error:
        found = list(error.problems)
    assert found


def test_the_example_of_a_modeline_names_the_schema_there_is():
    written = re.findall(r"# yaml-language-server: \$schema=(\S+)", PAGE.read_text(encoding="utf-8"))
    assert written
    assert [path for path in written if Path(path).name != "trafficmetrics.schema.json"] == []
    assert "trafficmetrics config schema > trafficmetrics.schema.json" in PAGE.read_text(encoding="utf-8")
