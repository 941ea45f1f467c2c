"""A name is a name: whatever is in it, it is compared with labels and never read as PromQL or as a regular expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from backends.dialects import builtin_dialects, load_dialect, plan
from backends.prometheus import PrometheusBackend, PrometheusSettings
from backends.prometheus.promql import HistogramForm, query_of
from metrics_api import TrafficQuery, Window
from tests.backends.prometheus.conftest import WINDOW, Known
from tests.backends.prometheus.pages import HOSTILE

KINDS = ("Deployment", "Pod", "Namespace", "Node", "Service", "ReplicaSet")
LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"')
DIALECTS = [load_dialect(name) for name in builtin_dialects()]
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def promql_for(namespace: str, name: str) -> list[str]:
    """Every query that any dialect makes of a question about one object."""
    queries: list[str] = []
    for dialect in DIALECTS:
        for kind in KINDS:
            for edges in (False, True):
                query = TrafficQuery((kind,), Window(30), 0, namespace=namespace, name=name, edges=edges)
                for stage in plan(dialect, query):
                    reads = [read for part in stage for read in part.reads]
                    queries += [query_of(read, query.window, form) for read in reads for form in HistogramForm]
    return queries


PLAIN = promql_for("shop", "web")


def skeleton(promql: str) -> str:
    """The query without its literals. A name that a mesh spells in another way is one of two, and compared as such."""
    return LITERAL.sub("S", promql).replace("=~S", "=S")


SKELETONS = [skeleton(promql) for promql in PLAIN]


def read_literal(literal: str) -> str:
    """What Prometheus reads a double-quoted string as; KeyError for an escape that Go does not know."""
    return re.sub(r"\\.", lambda match: ESCAPES[match[0]], literal[1:-1])


def regex_of(text: str) -> str:
    """``text`` as a regular expression, with the escapes that Go's regexp/syntax documents for punctuation."""
    return "".join("\\" + character if character in "\\.+*?()|[]{}^$" else character for character in text)


def spellings(name: str) -> str:
    """A name as Kubernetes writes it, or with the underscores of a mesh that has no hyphens."""
    return "|".join(regex_of(text) for text in dict.fromkeys((name.replace("-", "_"), name)))


@budget(max_examples=50, deadline=None)
@given(namespace=st.text(min_size=1), name=st.text(min_size=1))
@example(namespace="shop", name='web"} or vector(1) or up{a="')
@example(namespace='"', name="\\")
@example(namespace="\n", name="\\n")
@example(namespace=".*", name=".+|api")
@example(namespace="(?i)shop", name="[a-z]{1,9}")
def test_no_name_changes_the_shape_of_a_query(namespace: str, name: str):
    # Two equal matchers are one.
    assume(namespace != name)
    queries = promql_for(namespace, name)
    assert [skeleton(promql) for promql in queries] == SKELETONS
    for promql, plain in zip(queries, PLAIN, strict=True):
        literals, before = LITERAL.findall(promql), LITERAL.findall(plain)
        for literal, was in zip(literals, before, strict=True):
            if literal == was:
                continue
            value, harmless = read_literal(literal), read_literal(was)
            assert value in {
                harmless.replace("shop", namespace),
                harmless.replace("web", name),
                harmless.replace("shop", regex_of(namespace)),
                harmless.replace("web", regex_of(name)),
                *(harmless.replace(plain, spellings(given)) for plain, given in (("shop", namespace), ("web", name))),
                *(f".*{regex_of(f'{given}'.replace('-', '_'))}.*|.*{regex_of(given)}.*" for given in (namespace, name)),
            }


def test_a_name_that_cannot_be_sent_matches_nothing_rather_than_fail():
    for promql in promql_for("shop", "\ud800"):
        promql.encode()


def source(known: Known, dialect: str = "linkerd") -> PrometheusBackend:
    return PrometheusBackend(PrometheusSettings("store", known.url, load_dialect(dialect), scrape_interval=1))


def question(known: Known, name: str, kind: str = "Deployment", *, edges: bool = False) -> TrafficQuery:
    return TrafficQuery((kind,), Window(WINDOW), known.instant, namespace="hostile", name=name, edges=edges)


@pytest.mark.real
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
async def test_a_name_finds_exactly_its_own_traffic(known: Known, name: str):
    async with source(known) as store:
        (sample,) = (await store.answer(question(known, name))).samples
    assert sample.resource.name == name
    assert sample.success == pytest.approx(100 * (HOSTILE.index(name) + 1) * WINDOW, rel=0.1)


@pytest.mark.real
@pytest.mark.parametrize("kind", ["Deployment", "Pod", "ReplicaSet", "Service"])
@pytest.mark.parametrize("dialect", builtin_dialects())
async def test_a_name_of_nobody_is_parsed_and_finds_nothing(known: Known, dialect: str, kind: str):
    async with source(known, dialect) as store:
        for name in (*HOSTILE[1:], "w.b", "wéé", "a" * 5000):
            for edges in (False, True):
                if store.refusal(question(known, name, kind, edges=edges)) is not None:
                    continue
                nobody = name if kind != "Deployment" or dialect != "linkerd" else f"{name}\x01"
                assert not (await store.answer(question(known, nobody, kind, edges=edges))).samples


@pytest.mark.real
async def test_a_list_has_every_name_as_it_is(known: Known):
    async with source(known) as store:
        samples = (await store.answer(question(known, ""))).samples
    assert {sample.resource.name for sample in samples} == set(HOSTILE)
