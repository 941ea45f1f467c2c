"""Adding up: whatever the order, and however it is done in steps, the sum says the same of where it comes from, and nothing new."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from metrics_api import EVERYTHING, Direction, Identities, ResourceRef, Sample, Side, SplitBackend, lift, roll_up
from metrics_api.rollup import added, agreed, joined

WEB = ResourceRef("Deployment", "shop", "web")
SAMPLE = Sample(WEB, EVERYTHING, Direction.FROM, Side.SERVER, 1.0, 0.0, None, source="mesh")

dialects = st.lists(st.sampled_from(["istio", "linkerd", "viz"]), max_size=3, unique=True).map(
    lambda names: ",".join(sorted(names))
)
claims = st.none() | st.sampled_from([Identities("a", "b"), Identities("a", "c"), Identities(insecure="no TLS")])
backends = st.none() | st.sampled_from([SplitBackend("web", "v1", 9), SplitBackend("web", "v2", 1)])
samples = st.builds(
    lambda dialect, identities, backend: replace(SAMPLE, dialect=dialect, identities=identities, backend=backend),
    dialects,
    claims,
    backends,
)
groups = st.lists(samples, min_size=1, max_size=6)


def said(sample: Sample) -> tuple[str, Identities | None, SplitBackend | None]:
    return sample.dialect, sample.identities, sample.backend


@given(groups, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(group: list[Sample], random: Random):
    shuffled = list(group)
    random.shuffle(shuffled)
    assert said(added(shuffled)) == said(added(group))


@given(groups, groups, groups)
def test_adding_up_in_steps_is_adding_up_at_once(one: list[Sample], two: list[Sample], three: list[Sample]):
    at_once = said(added([*one, *two, *three]))
    assert said(added([added([*one, *two]), *three])) == at_once
    assert said(added([*one, added([*two, *three])])) == at_once
    assert said(added([added(one), added(two), added(three)])) == at_once


@given(groups)
def test_a_sum_names_every_dialect_of_its_parts_and_no_other(group: list[Sample]):
    names = {name for sample in group for name in sample.dialect.split(",")} - {""}
    assert joined(sample.dialect for sample in group) == ",".join(sorted(names))


@given(groups)
def test_nothing_is_claimed_of_all_that_is_not_known_of_each(group: list[Sample]):
    together = added(group)
    for sample in group:
        assert together.identities in (None, sample.identities)
        assert together.backend in (None, sample.backend)
    if len({said(sample)[1] for sample in group}) == 1:
        assert together.identities == group[0].identities
    assert agreed([None, *(sample.identities for sample in group)]) is None


@given(groups)
def test_members_are_lifted_to_what_they_say_together(group: list[Sample]):
    pods = [replace(sample, resource=ResourceRef("Pod", "shop", f"web-{number}")) for number, sample in enumerate(group)]
    (whole,) = lift(pods, lambda _: (WEB,), lambda peer: peer)
    assert (whole.dialect, whole.identities) == said(added(group))[:2]
    assert whole.backend is None


@given(groups)
def test_sources_are_not_mixed_when_rolling_up(group: list[Sample]):
    sources = [replace(sample, source=f"source-{number % 2}") for number, sample in enumerate(group)]
    for whole in roll_up(sources):
        assert said(whole) == said(added([sample for sample in sources if sample.source == whole.source]))
