"""The templates of the Deita scorers by their hashes, and the score by hand-computed values."""

import hashlib
import math

import pytest

from mergeit_ops.core.scoring.deita import (
    COMPLEXITY_TEMPLATE,
    QUALITY_TEMPLATE,
    complexity_prompt,
    expected_score,
    quality_prompt,
)

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("template", "length", "sha256"),
    [
        (QUALITY_TEMPLATE, 171, "5f9fec526d8855b581327d0cfe2346b74de9f2e439b84e3d560056841acef265"),
        (COMPLEXITY_TEMPLATE, 135, "7d3b818c0530b64aee6c2b422157fc0cc2fc4f05bc00090481f00ad812ab23f7"),
    ],
)
def test_the_templates_are_those_the_scorers_were_trained_on(template, length, sha256):
    assert len(template) == length
    assert hashlib.sha256(template.encode()).hexdigest() == sha256


def test_a_prompt_is_its_template_with_the_row_in_place():
    assert quality_prompt("Why?", "So.").endswith("#Question#:\nWhy?\n#Response#:\nSo. \n##Quality: ")
    assert complexity_prompt("Why?").endswith("##Query: Why?  \n##Complexity: ")


@pytest.mark.parametrize("text", ["{instruction}", "{output}", "{0} {x!r:>{w}} {{ }", "a % b %s", "  two  lines\n\n"])
def test_a_row_is_inserted_as_it_is(text):
    before, between, after = QUALITY_TEMPLATE.replace("{output}", "{instruction}").split("{instruction}")
    assert quality_prompt(text, f"<{text}>") == f"{before}{text}{between}<{text}>{after}"
    assert complexity_prompt(text) == text.join(COMPLEXITY_TEMPLATE.split("{instruction}"))


@pytest.mark.parametrize(
    ("weights", "score"),
    [
        ([0, 1, 2, 3, 2, 1], 3.927361),
        ([0, 0, 0, 0, 0, 0], 3.5),
        ([-INF, -INF, 0, 0, -INF, -INF], 3.5),
        *(([-INF] * (k - 1) + [0.0] + [-INF] * (6 - k), float(k)) for k in range(1, 7)),
        ([math.log(p) for p in (0.5, 0.1, 0.1, 0.1, 0.1, 0.1)], 2.5),
    ],
)
def test_the_score_is_the_mean_of_the_digits_weighted_by_their_softmax(weights, score):
    assert expected_score(weights) == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("shift", [-1e30, -5000.0, 700.0, 5000.0])
def test_the_score_depends_on_differences_only_and_does_not_overflow(shift):
    weights = [0.0, 1024.0, 0.0, 0.0, 1024.0, 0.0]
    assert expected_score([weight + shift for weight in weights]) == pytest.approx(3.5)


@pytest.mark.parametrize(
    "weights",
    [[], [0.0] * 5, [0.0] * 7, [0, 0, NAN, 0, 0, 0], [NAN, 0, 0, 0, 0, 0], [0, 0, 0, INF, 0, 0], [-INF] * 6],
)
def test_weights_that_say_nothing_are_an_error_and_no_score(weights):
    with pytest.raises(ValueError, match="weights"):
        expected_score(weights)
