"""Measures of several sets: by hand, against each other, and no difference where there is none."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mergeit_ops.compare.measuring import Compared, compare_sets
from mergeit_ops.compare.reading import RowSet
from mergeit_ops.core.measures.bootstrap import mean_interval
from mergeit_ops.core.measures.diversity import best_cosines, nearest_two, redundancy, vendi_score
from mergeit_ops.core.measures.pseudo_values import coverage_pseudo_values
from mergeit_ops.core.sample import Sample
from tests.core.measures.test_diversity import X6, unit

POOL = unit(400, 6)


def row_set(name: str, rows) -> RowSet:
    samples = [Sample(f"{row}", "of it", "An answer.") for row in rows]
    return RowSet(Path(f"{name}.jsonl"), len(samples), samples, [f"{row:05d}" for row in rows], [None] * len(samples))


def compared(*rows, pool=POOL, reference=True, scores=None) -> Compared:
    """Compare sets of rows of a pool, by their positions."""
    sets = [row_set(f"s{number}", part) for number, part in enumerate(rows)]
    whole = row_set("pool", range(len(pool))) if reference else None
    vectors = [pool[list(part)] for part in rows] + ([pool] if reference else [])
    return compare_sets(sets, whole, vectors, scores or [{} for _ in rows])


def estimates(figures) -> dict[str, float]:
    return {key: interval.estimate for key, interval in figures.items()}


def test_measures_by_hand():
    found = compared([1, 3], [0, 1, 2, 3, 4, 5], pool=X6, scores=[{0: 2.0, 1: 4.0}, {0: 1.0, 2: None, 3: 1.0}])
    few, all_rows = found.files
    # The six are K-means' one topic; 1 - cosine of the pair is 1.6. NovelSum: 1.6 has rank 2, and the mean squared
    # distances of the pair to all other rows are 8.08 / 5 and 14.8 / 5.
    assert estimates(few.values) == pytest.approx(
        {
            "quality": 3,
            "quality_spread": 1,
            "coverage": 0.726667,
            "vendi": 1.649385,
            "distance": 1.6,
            "novelsum": 1.6 / 3 * (1.616**-0.5 + 2.96**-0.5) / 2,
            "redundancy": 0,
            "topics_reached": 1,
            "effective_topics": 1,
        },
        abs=1e-6,
    )
    assert all_rows.values["coverage"].estimate == pytest.approx(1)
    assert all_rows.values["vendi"].estimate == pytest.approx(1.898446, abs=1e-6)
    assert all_rows.values["redundancy"].estimate == pytest.approx(2 / 6)
    assert all_rows.differences["coverage"].estimate == pytest.approx(1 - 0.726667, abs=1e-6)
    assert all_rows.differences["quality"].estimate == pytest.approx(-2)
    assert (all_rows.scored, all_rows.unscored) == (2, 1)
    assert few.differences == {}
    assert few.characters == {"instruction": 2, "input": 10, "output": 20}
    # Redundancy of the 15 pairs of the six: one pair, both of its rows, is near.
    assert found.equal_rows == 2
    assert all_rows.equal_values["redundancy"].estimate == pytest.approx(1 / 15)
    assert few.equal_values["coverage"].estimate == few.values["coverage"].estimate


def test_a_set_beside_itself_does_not_differ_at_all():
    rows = range(0, 400, 3)
    found = compared(rows, rows, scores=[dict.fromkeys(range(20), 2.0) | {20: 4.0}] * 2)
    for key, interval in found.files[1].differences.items():
        assert interval.estimate == 0, key
        assert interval.low in (0, None), key
        assert interval.high in (0, None), key
    assert found.files[0].values["vendi"].high > found.files[0].values["vendi"].low
    assert found.equal_rows is None
    assert found.files[0].equal_values == {}


def test_rows_that_sets_share_do_not_blur_their_difference():
    shared = list(range(180))
    paired = compared([*shared, *range(180, 200)], [*shared, *range(200, 220)]).files[1].differences
    apart = compared(range(200), range(200, 400)).files[1].differences
    for key in ("vendi", "distance", "effective_topics"):
        assert paired[key].high - paired[key].low < 0.6 * (apart[key].high - apart[key].low), key


def test_coverage_is_drawn_among_the_reference_and_among_the_rows():
    rows, others = list(range(0, 400, 5)), list(range(1, 400, 5))
    first, second = compared(rows, others).files
    parts = [coverage_pseudo_values(nearest_two(POOL, POOL[part])[0], np.arange(80)) for part in (rows, others)]
    best = [best_cosines(POOL, POOL[part]).astype(np.float64) for part in (rows, others)]
    of_one, of_two = parts[0].var() / 80, (parts[0].var() + parts[1].var()) / 80
    for found, of_reference, of_rows in (
        (first.values["coverage"], mean_interval(best[0]), of_one),
        (second.differences["coverage"], mean_interval(best[1] - best[0]), of_two),
    ):
        reach = np.hypot((of_reference.high - of_reference.low) / 2, 1.96 * of_rows**0.5)
        assert (found.high - found.low) / 2 == pytest.approx(reach, rel=0.05)


@pytest.mark.slow
def test_draws_of_one_pool_rarely_differ():
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(40, 32))[rng.integers(0, 40, 4000)] + 0.6 * rng.normal(size=(4000, 32))
    whole = (whole / np.linalg.norm(whole, axis=1, keepdims=True)).astype(np.float32)
    reference, marked = row_set("r", range(800)), Counter()
    for number in range(20):
        order = np.random.default_rng(100 + number).permutation(np.arange(800, 4000))
        parts = [order[:100], order[100:400]]
        sets = [row_set(str(at), part) for at, part in enumerate(parts)]
        found = compare_sets(sets, reference, [whole[part] for part in parts] + [whole[:800]], [{}, {}])
        marked.update(key for key, one in found.fair_differences(found.files[1]).items() if one.excludes_zero)
    # One is expected of each; more than four with one chance in four hundred.
    for key in ("coverage", "effective_topics", "distance", "redundancy"):
        assert marked[key] <= 4, key


def test_rows_of_subsets_count_as_often_as_they_are_drawn():
    few, many = compared(range(60), range(60, 64 + 300)).files
    # Of hardly overlapping draws the mean varies less than one of them does.
    one, mean = (file.equal_values["vendi"] for file in (few, many))
    assert 0.3 * (one.high - one.low) < mean.high - mean.low < 0.8 * (one.high - one.low)
    assert few.equal_values["vendi"] == few.values["vendi"]


def test_effective_topics_are_compared_with_as_many_rows():
    few, many = compared(range(20), range(100, 400)).files
    assert many.differences["effective_topics"].estimate > 1
    assert abs(many.equal_differences["effective_topics"].estimate) < many.differences["effective_topics"].estimate / 2
    assert few.equal_values["effective_topics"] == few.values["effective_topics"]


def test_one_row_or_score_tells_nothing_about_how_they_vary():
    first, second = compared([3], range(50, 90), scores=[{0: 2.0}, {0: 3.0, 1: 4.0}]).files
    for key, interval in (first.values | second.differences | second.equal_differences).items():
        assert (interval.low, interval.high) == (None, None), key
    assert math.isnan(first.values["distance"].estimate)
    assert second.values["quality"].low is not None


def test_with_as_many_rows_a_larger_draw_is_no_better():
    few, many = compared(range(60), range(100, 400)).files
    assert many.differences["coverage"].excludes_zero
    assert many.differences["vendi"].excludes_zero
    for key in ("coverage", "vendi"):
        assert not many.equal_differences[key].excludes_zero, key
        low, high = many.equal_values[key].low, many.equal_values[key].high
        assert low < many.equal_values[key].estimate < high
    subsets = [POOL[np.random.default_rng(i).choice(300, 60, replace=False) + 100] for i in range(300)]
    assert many.equal_values["redundancy"].estimate == pytest.approx(np.mean(list(map(redundancy, subsets))), abs=0.02)
    assert many.equal_values["vendi"].estimate == pytest.approx(np.mean(list(map(vendi_score, subsets))), rel=0.03)
    assert few.equal_values["vendi"].estimate == pytest.approx(vendi_score(POOL[:60]))


def test_intervals_hold_what_the_measure_can_be():
    # One pair of twins among 40: drawing values may go below no twins at all.
    vectors = np.concatenate([unit(39, 30), unit(39, 30)[:1]])
    found = compared(range(40), pool=vectors).files[0].values
    assert 0 <= found["redundancy"].low <= 2 / 40 < found["redundancy"].high
    assert found["vendi"].low >= 1


def test_without_reference_and_scores_the_rest_is_measured():
    found = compared(range(30), range(30, 60), reference=False)
    assert set(found.files[0].values) == {"vendi", "distance", "novelsum", "redundancy"}
    assert (found.reference, found.quality) == (None, None)


def test_a_single_row_has_figures_without_intervals():
    found = compared([3], pool=POOL[:4]).files[0].values
    assert found["vendi"].estimate == pytest.approx(1)
    assert (found["vendi"].low, found["vendi"].high) == (None, None)
    assert (found["coverage"].low, found["coverage"].high) == (None, None)


def test_another_seed_changes_draws_and_nothing_else():
    rows = [row_set("a", range(50)), row_set("b", range(50, 150))]
    vectors = [POOL[:50], POOL[50:150]]
    one, other, same = (compare_sets(rows, None, vectors, [{}, {}], seed=seed) for seed in (1, 2, 1))
    assert estimates(one.files[1].values) == pytest.approx(estimates(other.files[1].values))
    assert one.files[1].values != other.files[1].values
    assert one.files == same.files
