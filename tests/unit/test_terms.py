"""What an entry of any type may say about the part it takes beside other sources, and each mistake in it."""

from __future__ import annotations

import re

import pytest

from backends.keys import ENTRY as KEYS
from backends.registry import configured
from metrics_api import Merge, Source, Terms
from metrics_api.document import Problems, parse_document

(_PATTERN,) = [key.form.schema["pattern"] for key in KEYS if key.name == "name"]
ENTRY = "name: mesh, type: prometheus, url: 'http://127.0.0.1:1', dialect: istio"


def read(text: str) -> tuple[list[Source], list[str]]:
    problems = Problems()
    sources = configured(parse_document(f"- {{{ENTRY}{text}}}", "sources.yaml", problems).items())
    return sources, problems.found


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        pytest.param("", Terms(), id="nothing"),
        pytest.param(", covers: {cluster: west-1}", Terms(cluster="west-1"), id="a cluster"),
        pytest.param(", covers: {namespaces: [shop, team-*]}", Terms(namespaces=("shop", "team-*")), id="namespaces"),
        pytest.param(", merge: sum", Terms(merge=Merge.SUM), id="disjoint"),
        pytest.param(", merge: first", Terms(), id="not disjoint"),
        pytest.param(", hedgeAfter: 250ms", Terms(hedge_after=0.25), id="hedged"),
    ],
)
def test_terms_are_read_whatever_the_type(text: str, terms: Terms):
    (source,), problems = read(text)
    assert (source.terms, source.type, problems) == (terms, "prometheus", [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(", covers: west", "covers: must be a mapping of keys to values", id="covers is a text"),
        pytest.param(
            ", covers: {kluster: west}", 'covers.kluster: unknown key "kluster"; known are cluster, namespaces', id="unknown key"
        ),
        pytest.param(
            ", covers: {cluster: 'a/b'}",
            'covers.cluster: "a/b" is not the name of a cluster: up to 63 letters, digits, and - . _ between them',
            id="no name of a cluster",
        ),
        pytest.param(", covers: {cluster: ''}", 'covers.cluster: "" is not the name of a cluster', id="empty cluster"),
        pytest.param(", covers: {cluster: 'a@b'}", 'covers.cluster: "a@b" is not the name of a cluster', id="an @ in it"),
        pytest.param(", covers: {namespaces: []}", "covers.namespaces: lists no namespace", id="no namespace"),
        pytest.param(
            ", covers: {namespaces: [Shop]}",
            'covers.namespaces[0]: "Shop" is not the name of a namespace, nor a pattern for some such as team-*',
            id="no name of a namespace",
        ),
        pytest.param(", merge: add", 'merge: "add" is not one of first, sum', id="unknown rule"),
        pytest.param(", hedgeAfter: -1s", 'hedgeAfter: "-1s"', id="negative"),
        pytest.param(", hedgeAfter: 5m", 'hedgeAfter: "5m" must be from 0s, which is never, to 60s', id="too long"),
        pytest.param(", hedge: 1s", "known are name, type, url", id="a key nobody knows"),
    ],
)
def test_each_mistake_is_named_with_its_place(text: str, problem: str):
    _, problems = read(text)
    assert len(problems) == 1
    assert problem in problems[0]
    assert problems[0].startswith("sources.yaml:1: [0]")


def test_the_keys_of_all_types_are_named_where_known_keys_are_listed():
    _, (problem,) = read(", cover: {cluster: west}")
    assert problem.endswith("covers, merge, hedgeAfter")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a,b", "has a comma in it, which stands between the names of several sources"),
        ("a/b", "has a slash in it, which no path to it can have (/sources/NAME)"),
    ],
    ids=["comma", "slash"],
)
def test_the_name_of_a_source_has_nothing_in_it_that_stands_between_names(name: str, why: str):
    problems = Problems()
    text = f"- {{name: '{name}', type: prometheus, url: 'http://127.0.0.1:1'}}"
    configured(parse_document(text, "sources.yaml", problems).items())
    assert problems.found == [f'sources.yaml:1: [0].name: "{name}" {why}']


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (r"a ok\n[-]etcd", r'"a ok\n[-]etcd" has characters in it that cannot be printed'),
        (r"a\0", r'"a\u0000" has characters in it that cannot be printed'),
        (r"a\e[2K", r'"a\u001b[2K" has characters in it that cannot be printed'),
        (r"a\Lb", r'"a\u2028b" has characters in it that cannot be printed'),
        (" a", '" a" begins or ends with a blank, which nobody sees'),
        ("a ", '"a " begins or ends with a blank, which nobody sees'),
        (" ", "a source needs a name"),
        (r"\n", "a source needs a name"),
        ("", "a source needs a name"),
    ],
    ids=["line", "null", "escape", "separator", "before", "after", "blank", "break", "empty"],
)
def test_the_name_of_a_source_is_all_that_stands_in_a_line_of_a_health_check(written: str, told: str):
    problems = Problems()
    text = f'- {{name: "{written}", type: prometheus, url: "http://127.0.0.1:1"}}'
    configured(parse_document(text, "sources.yaml", problems).items())
    assert problems.found == [f"sources.yaml:1: [0].name: {told}"]


@pytest.mark.parametrize("name", ["a", "mesh-1", "my mesh", "eu.west_1:9090", "Ä?#", "(edge)"])
def test_other_names_are_names(name: str):
    problems = Problems()
    text = f"- {{name: '{name}', type: prometheus, url: 'http://127.0.0.1:1'}}"
    (source,) = configured(parse_document(text, "sources.yaml", problems).items())
    assert (source.name, problems.found) == (name, [])
    assert re.search(_PATTERN, name)
