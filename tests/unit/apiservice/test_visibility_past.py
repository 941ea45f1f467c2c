"""Whom edges of a past instant name: those whom their reader may know of now."""

from __future__ import annotations

from tests.unit.apiservice.test_visibility import ANN, FROM, SHOP_READER, SPY, Place, Rights


async def test_a_past_instant_is_told_by_the_rights_of_now_however_these_change():
    """Nobody goes on from the past, so nobody is told that it has become another."""
    place = Place(Rights(set(SHOP_READER)))
    past = "1970-01-01T00:01:35Z"
    assert (SPY, FROM) not in await place.told(ANN, time=past)
    place.rights.granted.add(("ann", "deployments", "secret"))
    question = place.question(ANN, time=past)
    result = await place.peers.answer(question, 95)
    assert SPY in {row.edge.peer for row in result.rows}
