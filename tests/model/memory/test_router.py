import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from awareness_model.memory.router import Candidate, RouteTopK, Selection


def candidate(record, document, angle):
    return Candidate(record, document, 0, torch.tensor([math.cos(angle), math.sin(angle)]))


POOL = [
    candidate("a1", "a", 1.0),
    candidate("a2", "a", 0.1),
    candidate("b1", "b", 0.3),
    candidate("c1", "c", 2.0),
]
QUERY = torch.tensor([1.0, 0.0])


def test_a_chosen_document_comes_whole_with_levels_and_biases():
    chosen = RouteTopK(POOL).select(QUERY, 2)
    assert chosen.record_ids == ("a1", "a2", "b1")
    assert chosen.levels == (0, 0, 0)
    assert chosen.log_bias == (0.0, 0.0, 0.0)


def test_routing_takes_the_documents_whose_best_chunk_is_nearest():
    assert RouteTopK(POOL).select(QUERY, 1).record_ids == ("a1", "a2")
    assert RouteTopK(POOL).select(QUERY, 2).record_ids == ("a1", "a2", "b1")
    assert RouteTopK(POOL).select(-QUERY, 1).record_ids == ("c1",)


def test_equal_scores_are_decided_by_name_not_by_order():
    pool = [candidate(name, name, 0.5) for name in ("z", "m", "b")]
    expected = ("b", "m")
    assert RouteTopK(pool).select(QUERY, 2).record_ids == expected
    assert RouteTopK(pool[::-1]).select(QUERY, 2).record_ids == expected


def test_more_budget_than_documents_and_no_documents_at_all():
    assert len(RouteTopK(POOL).select(QUERY, 99).record_ids) == 4
    assert RouteTopK([]).select(QUERY, 4).record_ids == ()


def test_a_prior_adds_to_the_weighted_cosine():
    prior = {"c": 1.0, "nowhere": 9.0}
    assert RouteTopK(POOL, prior, 0.1).select(QUERY, 1).record_ids == ("c1",)
    assert RouteTopK(POOL, prior, 9.0).select(QUERY, 1).record_ids == ("a1", "a2")
    assert RouteTopK(POOL, {}, 0.0).select(QUERY, 1).record_ids == ("a1", "a2")


@pytest.mark.parametrize("budget", [0, -1])
def test_no_budget_chooses_nothing(budget):
    assert RouteTopK(POOL).select(QUERY, budget) == Selection((), (), ())


def test_vectors_that_are_no_numbers_are_passed_over_and_named(caplog):
    broken = Candidate("bad-one", "0", 0, torch.tensor([math.nan, 1.0]))
    chosen = RouteTopK([broken, *POOL]).select(QUERY, 99)
    assert chosen == RouteTopK(POOL).select(QUERY, 99)
    assert "bad-one" in caplog.text
    assert RouteTopK([broken]).select(QUERY, 9).record_ids == ()


@pytest.mark.parametrize("query", [torch.tensor([math.nan, 0.0]), torch.ones(3)])
def test_a_query_that_fits_no_vector_is_refused(query):
    with pytest.raises(ValueError, match="query"):
        RouteTopK(POOL).select(query, 1)


@given(st.permutations(range(30)), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_neither_order_nor_number_of_candidates_matters(order, more):
    draw = torch.Generator().manual_seed(1)
    made = torch.nn.functional.normalize(torch.randn(30, 64, generator=draw), dim=1)
    pool = [Candidate(f"r{n:02}", f"d{n:02}", 0, made[n]) for n in range(30)]
    query = made[7]
    found = RouteTopK([pool[n] for n in order]).select(query, 5)
    assert set(found.record_ids) == set(RouteTopK(pool).select(query, 5).record_ids)
    few = [pool[n] for n in order[:more]]
    names = [one.document for one in few]
    whole = [one.document for name in _ranked(pool, query) for one in few if one.document == name]
    assert _ranked(few, query) == list(dict.fromkeys(whole))
    assert set(whole) == set(names)


def _ranked(pool, query):
    """Documents, best first."""
    document = {one.record_id: one.document for one in pool}
    return list(
        dict.fromkeys(document[one] for one in RouteTopK(pool).select(query, 99).record_ids)
    )
