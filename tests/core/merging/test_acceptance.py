"""How likely groups are to become accepted merges."""

from __future__ import annotations

import math
import random

import pytest

from mergeit_ops.core.merging.acceptance import (
    MIN_PILOT,
    AcceptanceModel,
    Prospect,
    best_first,
    group_features,
    pilot,
)
from mergeit_ops.core.sample import Sample

FISH = Sample("Name a fish.", "", "A pike, of course.")
BIRD = Sample("Name a bird that swims.", "In a lake.", "A duck.")


def prospects(count: int, tokens: int = 100) -> list[Prospect]:
    return [Prospect(f"{number * 7919 % 1000:03d}", "q", (number / count,), tokens) for number in range(count)]


def test_features_by_hand():
    found = group_features([FISH, BIRD], 0.61234567, [3.0, 4.0])
    # Words without function words, and without what follows the fifth letter: name, fish, pike, cours; name, bird,
    # swim, lake, duck.
    assert found == pytest.approx(
        (
            0.612346,
            math.log1p(3 + 8),
            math.log1p(4 + 2),
            math.log1p(8) - math.log1p(3),
            math.log1p(4) - math.log1p(2),
            1 / 8,
            0.5,
            1.0,
            3.5,
        )
    )


def test_features_do_not_depend_on_the_order_of_the_parents_and_a_missing_score_leaves_all_out():
    assert group_features([FISH, BIRD], 0.6) == group_features([BIRD, FISH], 0.6)
    assert group_features([FISH, BIRD], 0.6, [3.0, None])[-2:] == (0.0, 0.0)


def test_features_of_rows_without_any_word_are_numbers():
    assert all(map(math.isfinite, group_features([Sample("", "", ""), Sample("", "", "")], 0.0)))


def test_the_pilot_is_a_tenth_and_spread_over_the_similarities():
    found = prospects(1000)
    chosen = pilot(found)
    assert len(chosen) == 100
    assert [int(10 * found[at].features[0] * 10) for at in chosen] == list(range(100))


def test_the_pilot_is_at_least_forty_if_there_are_as_many():
    assert len(pilot(prospects(200))) == MIN_PILOT == 40
    assert sorted(pilot(prospects(7))) == list(range(7))
    assert pilot([]) == []


def test_the_pilot_takes_a_quarter_of_the_budget_but_at_least_ten():
    assert len(pilot(prospects(1000), max_tokens=20_000)) == 50
    assert len(pilot(prospects(1000), max_tokens=500)) == 10


def test_the_pilot_depends_on_the_groups_and_not_on_their_order():
    found = prospects(300)
    mixed = random.Random(1).sample(found, len(found))
    assert [found[at] for at in pilot(found)] == [mixed[at] for at in pilot(mixed)]


def test_a_feature_that_decides_is_learnt():
    features = [(number / 20, 1.0) for number in range(40)]
    model = AcceptanceModel.fit(features, [first > 1 for first, _ in features])
    low, high = model.predict([(0.1, 1.0), (1.9, 1.0)])
    assert low < 0.1
    assert high > 0.9


@pytest.mark.parametrize(("accepted", "share"), [(True, 11 / 12), (False, 1 / 12)])
def test_if_all_fared_alike_the_share_is_all_that_is_known(accepted, share):
    model = AcceptanceModel.fit([(0.1 * number,) for number in range(10)], [accepted] * 10)
    assert model.predict([(0.0,), (99.0,)]) == [share, share]


def test_a_probability_does_not_depend_on_its_company():
    features = [(math.sin(number), math.cos(3 * number)) for number in range(50)]
    model = AcceptanceModel.fit(features, [first + second > 0.2 for first, second in features])
    together = model.predict(features)
    assert together == [model.predict([one])[0] for one in features]
    assert model.predict([]) == []


def test_best_first_is_by_accepted_merges_for_a_token():
    found = [Prospect("b", "q", (), 100), Prospect("a", "q", (), 100), Prospect("c", "q", (), 50)]
    assert best_first(found, [0.5, 0.5, 0.3]) == [2, 1, 0]
