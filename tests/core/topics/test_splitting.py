"""Holding out rows by topic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.topics.splitting import held_out_topics

sizes_of_topics = st.dictionaries(st.integers(0, 500), st.integers(1, 60), min_size=2, max_size=40)


@given(sizes_of_topics, st.floats(0.001, 0.999), st.integers(0, 1000))
def test_some_topics_are_held_out_never_all_and_no_more_rows_than_asked_for(sizes, share, seed):
    held_out = held_out_topics(sizes, share, seed)
    assert held_out
    assert held_out < set(sizes)
    rows = sum(sizes[topic] for topic in held_out)
    # One topic is held out in any case; then it is the smallest.
    assert rows <= max(1, round(share * sum(sizes.values()))) or (len(held_out) == 1 and rows == min(sizes.values()))


@given(sizes_of_topics, st.floats(0, 0.999), st.integers(0, 1000), st.randoms())
def test_the_choice_does_not_depend_on_the_order_in_which_topics_are_met(sizes, share, seed, random):
    shuffled = list(sizes.items())
    random.shuffle(shuffled)
    assert held_out_topics(dict(shuffled), share, seed) == held_out_topics(sizes, share, seed)


def test_topics_of_one_row_give_the_very_share_and_a_seed_gives_others():
    sizes = dict.fromkeys(range(200), 1)
    chosen = [held_out_topics(sizes, 0.1, seed) for seed in range(4)]
    assert [len(topics) for topics in chosen] == [20] * 4
    assert len(set(chosen)) == 4
    # Written down: a set aside once must stay aside on other machines and with later releases of Python.
    assert sorted(held_out_topics(dict.fromkeys(range(10), 1), 0.3, 42)) == [0, 1, 6]


def test_a_share_of_nothing_holds_nothing_out_and_one_topic_cannot_be_split():
    assert held_out_topics({3: 10}, 0, 42) == frozenset()
    with pytest.raises(ValueError, match="fewer than two topics"):
        held_out_topics({3: 10}, 0.1, 42)
