"""One score from several: the rules of the literature, and rows that lack a part."""

import pytest

from mergeit_ops.core.scoring.combination import PRESETS, Combination

# Golden values of the papers' coefficients, computed by hand to six digits.
RULES = [
    ("instruct_mining_v1", [1, 100, 0.9], 0.086357),
    ("instruct_mining_v2", [1, 0.9, 0.8, 0.7], 0.054130),
    ("instruct_mining_v2", [2, 0.5, 0.9, 0.9], -0.193030),
]


@pytest.mark.parametrize(("preset", "parts", "score"), RULES)
def test_presets_of_instruct_mining(preset, parts, score):
    assert PRESETS[preset].score(parts).value == pytest.approx(score, abs=5e-7)


# Six conversations; the sums of the products of their turns are the scores q6 of DEITA's golden values.
COMPLEXITY = [[2], [3, 1], [1], [4], [2], [5]]
QUALITY = [[3], [2, 2], [4], [1], [2], [1]]


@pytest.mark.parametrize(("turns", "scores"), [("sum", [6, 8, 4, 4, 4, 5]), ("mean", [6, 4, 4, 4, 4, 5])])
def test_evol_score_over_the_turns(turns, scores):
    weights = PRESETS["deita_evol"].weights
    rule = Combination(weights, "product", turns=turns)
    assert [rule.score(parts).value for parts in zip(COMPLEXITY, QUALITY, strict=True)] == scores
    # Not the product of the sums, which would be 16 for the second.
    assert rule.score([2, 3]).value == 6


def test_lift_counts_lengths_up_to_the_bound():
    """Lengths 10, 20, 30, 40 and 1000 have the 98th percentile 923.2; the judge gives 80."""
    rule = Combination(PRESETS["lift_total"].weights, full_at={"text_len": 923.2})
    assert rule.score([80, 10]).value == pytest.approx(72.108319, abs=5e-7)
    lengths = Combination({"text_len": 1.0}, full_at={"text_len": 923.2})
    found = [lengths.score([length]).value for length in (10, 20, 30, 40, 1000)]
    assert found == pytest.approx([1.083189, 2.166378, 3.249567, 4.332756, 100], abs=5e-7)


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([1.0, None], "missing_b"),
        ([float("nan"), 1.0], "missing_a"),
        (["1", 1.0], "missing_a"),
        ([True, 1.0], "missing_a"),
        ([[1.0, None], [1.0, 2.0]], "missing_a"),
        ([[], []], "missing_a"),
        ([[1.0, 2.0], [1.0]], "turn_mismatch"),
        ([[1.0, 2.0], 1.0], "turn_mismatch"),
        ([1e308, 1e308], "not_finite"),
    ],
)
def test_a_part_that_is_missing_gives_no_score_and_never_zero(parts, status):
    found = Combination({"a": 2.0, "b": 2.0}).score(parts)
    assert (found.value, found.status) == (None, status)


def test_a_product_raises_each_part_to_its_weight():
    rule = Combination({"a": 2.0, "b": 0.5, "c": -1.0}, "product", intercept=1.0)
    assert rule.score([3, 16, 2]).value == 1 + 9 * 4 / 2
    for parts in ([3, -1, 2], [3, 16, 0], [1e200, 16, 1]):
        assert rule.score(parts).status == "not_finite"
