"""Cohesion of an answer's sentences against hand-computed cases."""

import numpy as np
import pytest

from mergeit_ops.core.scoring.cohesion import COHESION_NAMES, cohesion

QUERY = np.array((1, 0), np.float32)


def cohesion_of(sentences, words) -> dict[str, float]:
    values = cohesion(QUERY, np.array(sentences, np.float32), np.array(words, float))
    return dict(zip(COHESION_NAMES, values, strict=True))


def test_cosines_to_the_query_are_weighed_by_words():
    values = cohesion_of([(1, 0), (0.6, 0.8)], [3, 1])
    assert values["query_sentence_cosine_lowest"] == pytest.approx(0.6)
    assert values["query_sentence_cosine_mean"] == pytest.approx(0.9)
    assert (values["query_sentence_cosine_first"], values["query_sentence_cosine_last"]) == pytest.approx((1.0, 0.6))


def test_the_rest_is_the_sum_of_the_other_sentences():
    values = cohesion_of([(1, 0), (0, 1), (0, 1)], [1, 1, 1])
    assert values["sentence_rest_cosine_lowest"] == pytest.approx(0)
    assert values["sentence_rest_cosine_last"] == pytest.approx(1 / np.sqrt(2))
    assert values["sentence_neighbour_cosine_mean"] == pytest.approx(2 / 3)


def test_a_sentence_tied_to_nothing_is_loose():
    values = cohesion_of([(1, 0), (1, 0), (0, 1)], [2, 2, 4])
    assert values["loose_words_share"] == values["very_loose_words_share"] == values["distant_words_share"] == 0.5
    assert values["attached_log_words"] == pytest.approx(np.log1p(4))


def test_a_single_sentence_has_nothing_but_the_query_to_fit_to():
    values = cohesion_of([(0, 1)], [5])
    assert values["sentence_rest_cosine_lowest"] == values["sentence_neighbour_cosine_lowest"] == 1
    assert values["sentence_tie_lowest"] == 0
    assert values["loose_words_share"] == 1


def test_the_order_of_sentences_matters_to_the_first_and_the_last_only():
    forward = cohesion_of([(1, 0), (0.6, 0.8), (0, 1)], [1, 2, 3])
    backward = cohesion_of([(0, 1), (0.6, 0.8), (1, 0)], [3, 2, 1])
    differing = {name for name in forward if forward[name] != pytest.approx(backward[name])}
    assert differing <= {
        "query_sentence_cosine_first",
        "query_sentence_cosine_last",
        "sentence_rest_cosine_last",
    }
