"""Plans are made once for each question to a dialect, whatever instant and window it is about."""

from __future__ import annotations

import gc
from dataclasses import replace
from weakref import ref

import pytest

from backends.dialects import Dialect, load_dialect
from backends.dialects.overrides import Overrides, override
from backends.dialects.plan import plan
from backends.dialects.remembering import remembered
from metrics_api import TrafficQuery, Window

QUERY = TrafficQuery(("Deployment",), Window(60), 1_600_000_020, "shop", "web")


@pytest.fixture
def made() -> list[TrafficQuery]:
    """What had to be made."""
    return []


@pytest.mark.parametrize(
    "again",
    [
        pytest.param({"instant": 1_600_000_080}, id="instant"),
        pytest.param({"window": Window(300)}, id="window"),
        pytest.param({}, id="same"),
    ],
)
def test_the_same_question_is_planned_once(again: dict[str, object]) -> None:
    dialect = load_dialect("linkerd")

    assert plan(dialect, replace(QUERY, **again)) is plan(dialect, QUERY)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"name": "api"}, id="name"),
        pytest.param({"namespace": "bank"}, id="namespace"),
        pytest.param({"sums": True}, id="sums"),
        pytest.param({"narrowing": ("web-5d4f-",), "kinds": ("Pod",)}, id="narrowing"),
    ],
)
def test_another_question_is_planned_by_itself(other: dict[str, object]) -> None:
    dialect = load_dialect("linkerd")

    assert plan(dialect, replace(QUERY, **other)) != plan(dialect, QUERY)


def test_a_dialect_with_other_labels_is_planned_by_itself() -> None:
    dialect = load_dialect("linkerd")
    renamed = override(dialect, Overrides({"deployment": "workload_name"}))

    assert plan(renamed, QUERY) != plan(dialect, QUERY)


def test_no_more_is_kept_than_so_much(made: list[TrafficQuery]) -> None:
    @remembered
    def name_of(_: Dialect, query: TrafficQuery) -> str:
        made.append(query)
        return query.name

    dialect, many = load_dialect("linkerd"), [replace(QUERY, name=f"web-{number}") for number in range(2_000)]

    assert [name_of(dialect, query) for query in many] == [query.name for query in many]
    assert name_of(dialect, many[-1]) == many[-1].name
    assert len(made) == 2_000
    assert name_of(dialect, many[0]) == many[0].name
    assert len(made) == 2_001


def test_what_is_asked_again_stays_while_others_come_and_go(made: list[TrafficQuery]) -> None:
    """A dashboard goes on asking the same, whatever else is asked once."""

    @remembered
    def name_of(_: Dialect, query: TrafficQuery) -> str:
        made.append(query)
        return query.name

    dialect, dashboard = load_dialect("linkerd"), [replace(QUERY, namespace=f"team-{number}") for number in range(150)]
    for number in range(2_000):
        name_of(dialect, dashboard[number % len(dashboard)])
        name_of(dialect, replace(QUERY, name=f"web-{number}"))

    assert len([query for query in made if query in dashboard]) == len(dashboard)


def test_plans_with_the_names_of_many_pods_take_the_room_of_several(made: list[TrafficQuery]) -> None:
    """After every rollout the names are others, and plans with the old ones are never asked for again."""

    @remembered
    def name_of(_: Dialect, query: TrafficQuery) -> str:
        made.append(query)
        return query.name

    dialect, pods = load_dialect("linkerd"), tuple(f"web-{number}" for number in range(1_000))
    many = [replace(QUERY, name=f"web-{number}", narrowing=pods) for number in range(300)]
    for query in (*many, *reversed(many)):
        name_of(dialect, query)
    remembered_of_them = 2 * len(many) - len(made)

    assert 10 <= remembered_of_them <= 40
    name_of(dialect, replace(QUERY, narrowing=pods * 1_000))
    name_of(dialect, many[0])
    assert len(made) == 2 * len(many) - remembered_of_them + 1


def test_the_plans_of_a_dialect_are_gone_with_it() -> None:
    """Whoever writes the configuration anew has other dialects then."""

    class Made:
        """Something large."""

    @remembered
    def large(_: Dialect, __: TrafficQuery) -> Made:
        return Made()

    dialect = override(load_dialect("linkerd"), Overrides({"deployment": "workload_name"}))
    there, made = ref(dialect), ref(large(dialect, QUERY))
    plan(dialect, QUERY)
    gc.collect()
    assert made() is large(dialect, QUERY)
    del dialect
    gc.collect()

    assert (there(), made()) == (None, None)
